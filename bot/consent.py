"""What a person agrees to before their photos train anything. The record keeps the digest of the very words."""

import hashlib
from dataclasses import dataclass
from typing import Self

from bot.settings import BotSettings

VERSION = "1"

WORDS = """\
- I took these photos, or whoever did lets me use them.
- If they show a person, it is me, or somebody who has agreed to this and is 18 or older.
- They train this one model and nothing else. {photos}
- The model and the pictures made with it stay until I delete the model in `/models`, which deletes them all.
- Others can use the model only where I share it."""


@dataclass(frozen=True)
class ConsentText:
    words: str
    version: str = VERSION

    @classmethod
    def of(cls, settings: BotSettings) -> Self:
        return cls(WORDS.format(photos=_how_long(settings.photo_retention_days)))

    @property
    def mark(self) -> str:
        """Stands in custom ids for the words that are shown beside them."""
        return self.digest[:16]

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.words.encode()).hexdigest()


def _how_long(days: float) -> str:
    if days == 0:
        return "The photos are deleted when the training ends."
    return f"The photos are deleted {days:g} days after the training ends."
