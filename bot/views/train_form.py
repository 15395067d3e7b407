"""The form that `/train` opens when no photo is attached: photos, kind, quality and consent."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

import discord
from discord import ui

from bot.consent import Consent
from bot.replies import pressed
from bot.text import cut
from bot.training import Wish
from storage.contract import MAX_PHOTOS, MIN_PHOTOS, Quality, SubjectKind

TITLE_CHARS = 45

KIND_LABELS = {
    SubjectKind.PET: "a pet or another animal",
    SubjectKind.PERSON: "a person, 18 or older",
    SubjectKind.OBJECT: "a thing",
    SubjectKind.STYLE: "a style of pictures",
}
QUALITY_LABELS = {
    Quality.FAST: "fast: done soonest",
    Quality.GOOD: "good: the usual choice",
    Quality.BEST: "best: takes longest",
}

Submit = Callable[[discord.Interaction[Any], Wish, Sequence[discord.Attachment], Consent], Awaitable[None]]
"""Gets the form's interaction, the wish with what the form added, the photos and the consent."""


class TrainForm(ui.Modal):
    def __init__(self, wish: Wish, consent_words: str | None, submit: Submit) -> None:
        """`consent_words` are None for a person who has agreed to them before."""
        super().__init__(title=cut(f"Photos of {wish.name}", TITLE_CHARS))
        self._wish, self._submit, self._asks = wish, submit, consent_words is not None
        self._photos: ui.FileUpload[Any] = ui.FileUpload(
            custom_id="photos", min_values=MIN_PHOTOS, max_values=MAX_PHOTOS
        )
        self._kind: ui.Select[Any] = ui.Select(
            custom_id="kind", options=_options(KIND_LABELS, default=wish.subject_kind)
        )
        self._quality: ui.Select[Any] = ui.Select(
            custom_id="quality", options=_options(QUALITY_LABELS, default=wish.quality)
        )
        self._agrees: ui.Checkbox[Any] = ui.Checkbox(custom_id="agrees")
        about = f"{MIN_PHOTOS} to {MAX_PHOTOS}, from different sides and in different places"
        self.add_item(ui.Label(text="Photos", description=about, component=self._photos))
        self.add_item(ui.Label(text="What do they show?", component=self._kind))
        self.add_item(ui.Label(text="Quality", component=self._quality))
        if consent_words is not None:
            self.add_item(ui.TextDisplay(consent_words))
            self.add_item(ui.Label(text="I agree to this", component=self._agrees))

    @pressed
    async def on_submit(self, interaction: discord.Interaction[Any]) -> None:
        wish = replace(
            self._wish, subject_kind=SubjectKind(self._kind.values[0]), quality=Quality(self._quality.values[0])
        )
        given = Consent.NOW if self._agrees.value else Consent.MISSING
        await self._submit(interaction, wish, self._photos.values, given if self._asks else Consent.BEFORE)


def _options(labels: dict[Any, str], default: str) -> list[discord.SelectOption]:
    return [discord.SelectOption(label=label, value=value, default=value == default) for value, label in labels.items()]
