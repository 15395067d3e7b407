"""Forms that outlive the process which opened them.

discord.py keeps open forms in memory and knows none of them after a restart, while people may take their time over one.
So none is left to it: a form's custom id and the rows say all that is needed to build it anew when it comes in.
"""

import re
from typing import TYPE_CHECKING, Any, ClassVar, Self

import discord
from discord import ui

from bot.drafts import FormGone
from bot.language import speak
from bot.replies import answer_error

if TYPE_CHECKING:
    from bot.app import Dreambot

    Interaction = discord.Interaction[Dreambot]

KINDS: "list[type[Form]]" = []


class Form(ui.Modal):
    """A modal that is found again by its custom id."""

    template: ClassVar[re.Pattern[str]]

    def __init_subclass__(cls, *, template: str) -> None:
        super().__init_subclass__()
        cls.template = re.compile(template)
        KINDS.append(cls)

    @classmethod
    async def reopen(cls, interaction: "Interaction", match: re.Match[str]) -> Self:
        """Build the form that `match`, of its custom id, tells of. Raises a `UserError` where it cannot be sent in."""
        raise NotImplementedError

    async def open(self, interaction: discord.Interaction[Any]) -> None:
        self.stop()  # from waiting for its submission: `take_in` does that
        await interaction.response.send_modal(self)


async def take_in(interaction: "Interaction") -> None:
    """Build the form that was sent in, fill it, and submit it."""
    data: Any = interaction.data
    speak(interaction.locale)
    try:
        form = await _build(interaction, data["custom_id"])
    except Exception as error:  # noqa: BLE001 -- the loop top of a form
        await answer_error(interaction, error)
        return
    await form._dispatch_submit(interaction, data["components"], data.get("resolved", {}))


async def _build(interaction: "Interaction", custom_id: str) -> Form:
    for kind in KINDS:
        match = kind.template.fullmatch(custom_id)
        if match is not None:
            return await kind.reopen(interaction, match)
    raise FormGone
