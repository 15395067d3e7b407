"""The form that `/train` opens when no photo is attached, and that swaps photos: photos, kind, quality and consent."""

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import discord
from discord import ui

from bot.consent import ConsentText
from bot.drafts import wish_of
from bot.forms import Form
from bot.language import N_, _
from bot.markup import cut
from bot.replies import pressed
from bot.training import Wish, agreed_already
from storage.contract import MAX_PHOTOS, MIN_PHOTOS, Quality, SubjectKind

if TYPE_CHECKING:
    from bot.app import Dreambot

TITLE_CHARS = 45

KIND_LABELS = {
    SubjectKind.PET: N_("a pet or another animal"),
    SubjectKind.PERSON: N_("a person, 18 or older"),
    SubjectKind.OBJECT: N_("a thing"),
    SubjectKind.STYLE: N_("a style of pictures"),
}
QUALITY_LABELS = {
    Quality.FAST: N_("fast: done soonest"),
    Quality.GOOD: N_("good: the usual choice"),
    Quality.BEST: N_("best: takes longest"),
}


class TrainForm(Form, template=r"train:(?P<draft>[0-9a-f]{32}):(?P<words>[0-9a-f]{16}|agreed)"):
    def __init__(self, wish: Wish, draft_id: str, words: ConsentText | None) -> None:
        """`words` are None for a person who has agreed to them before."""
        asked = "agreed" if words is None else words.mark
        super().__init__(
            title=cut(_("Photos of {name}").format(name=wish.name), TITLE_CHARS), custom_id=f"train:{draft_id}:{asked}"
        )
        self._wish, self._draft_id, self._asks, self._words_are_new = wish, draft_id, words is not None, False
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
        about = _("{least} to {most}, from different sides and in different places").format(
            least=MIN_PHOTOS, most=MAX_PHOTOS
        )
        self.add_item(ui.Label(text=_("Photos"), description=about, component=self._photos))
        self.add_item(ui.Label(text=_("What do they show?"), component=self._kind))
        self.add_item(ui.Label(text=_("Quality"), component=self._quality))
        if words is not None:
            self.add_item(ui.TextDisplay(words.words))
            self.add_item(ui.Label(text=_("I agree to this"), component=self._agrees))

    @classmethod
    async def reopen(cls, interaction: "discord.Interaction[Dreambot]", match: re.Match[str]) -> Self:
        services = interaction.client.services
        async with services.database.read() as session:
            wish = await wish_of(session, match["draft"], interaction.user.id)
            agreed = await agreed_already(session, services, interaction.user.id)
        words = ConsentText.of(services.settings)
        form = cls(wish, match["draft"], None if agreed else words)
        form._words_are_new = match["words"] != words.mark
        return form

    @pressed
    async def on_submit(self, interaction: "discord.Interaction[Dreambot]") -> None:
        from bot.commands.train import learn  # here, because that command opens this form

        wish = replace(
            self._wish, subject_kind=SubjectKind(self._kind.values[0]), quality=Quality(self._quality.values[0])
        )
        # A tick counts for the words that stood beside it, which may be older than the present ones.
        agrees = self._asks and self._agrees.value and not self._words_are_new
        await learn(interaction, wish, self._photos.values, agrees=agrees, in_place_of=self._draft_id)


def _options(labels: dict[Any, N_], default: str) -> list[discord.SelectOption]:
    return [
        discord.SelectOption(label=str(label), value=value, default=value == default) for value, label in labels.items()
    ]
