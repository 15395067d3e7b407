"""What a person agrees to before their photos train anything. The record keeps the digest of the English words.

The same words in another language are the same agreement.
"""

import hashlib
from dataclasses import dataclass
from typing import Self

from bot.language import ENGLISH, N_, spoken
from bot.settings import BotSettings

VERSION = "1"

TERMS = (
    N_("I took these photos, or whoever did lets me use them."),
    N_("If they show a person, it is me, or somebody who has agreed to this and is 18 or older."),
    N_("They train this one model and nothing else. {photos}"),
    N_("The model and the pictures made with it stay until I delete the model in `/models`, which deletes them all."),
    N_("Others can use the model only where I share it."),
)
DELETED_AT_ONCE = N_("The photos are deleted when the training ends.")
DELETED_LATER = N_("The photos are deleted {days} days after the training ends.")


@dataclass(frozen=True)
class ConsentText:
    retention_days: float
    version: str = VERSION

    @classmethod
    def of(cls, settings: BotSettings) -> Self:
        return cls(settings.photo_retention_days)

    @property
    def words(self) -> str:
        photos = DELETED_LATER if self.retention_days else DELETED_AT_ONCE
        said = photos.format(days=f"{self.retention_days:g}")
        return "\n".join(f"- {term.format(photos=said)}" for term in TERMS)

    @property
    def mark(self) -> str:
        """Stands in custom ids for the words that are shown beside them."""
        return self.digest[:16]

    @property
    def digest(self) -> str:
        with spoken(ENGLISH):
            return hashlib.sha256(self.words.encode()).hexdigest()
