"""The forms about looks: draw with one, or write one for the server."""

import re
from typing import TYPE_CHECKING, Self

import discord
from discord import ui

from bot.acknowledging import acknowledge
from bot.forms import Form
from bot.imagining import Wish, imagine
from bot.language import _
from bot.look_pages import may_keep_looks, show_looks
from bot.looks import PLACE, Look, MayNotKeepLooks, check_words, find_look
from bot.markup import cut
from bot.prompts import tidy
from bot.replies import pressed
from storage.contract import MAX_PROMPT_CHARS
from storage.looks import MAX_WORDS_CHARS, add_look
from storage.names import MAX_CHARS, MIN_CHARS

if TYPE_CHECKING:
    from bot.app import Dreambot

TITLE_CHARS = 45
LAST_PAGE = 9999
EXAMPLE = "as a stained-glass window"
"""Prompts are in English."""


class TryForm(Form, template=r"look:try:(?P<look>[0-9a-z-]{1,32})"):
    def __init__(self, look: Look) -> None:
        super().__init__(
            title=cut(_("Draw: {look}").format(look=look.title), TITLE_CHARS), custom_id=f"look:try:{look.id}"
        )
        self.look = look
        self.prompt = ui.TextInput[Self](placeholder="rex", max_length=MAX_PROMPT_CHARS, custom_id="prompt")
        about = _("One of your models by its name, or anything else.")
        self.add_item(ui.Label(text=_("Whom or what?"), description=about, component=self.prompt))

    @classmethod
    async def of(cls, interaction: "discord.Interaction[Dreambot]", look_id: str) -> Self:
        """Raises `LookNotFound`."""
        services = interaction.client.services
        async with services.database.read() as session:
            return cls(await find_look(session, look_id, services.base, interaction.guild_id))

    @classmethod
    async def reopen(cls, interaction: "discord.Interaction[Dreambot]", match: re.Match[str]) -> Self:
        return await cls.of(interaction, match["look"])

    @pressed
    async def on_submit(self, interaction: "discord.Interaction[Dreambot]") -> None:
        await imagine(interaction, Wish(prompt=self.prompt.value, look=self.look.id))


class AddForm(Form, template=r"look:add"):
    def __init__(self) -> None:
        super().__init__(title=_("A look for this server"), custom_id="look:add")
        self.name = ui.TextInput[Self](min_length=MIN_CHARS, max_length=MAX_CHARS, custom_id="name")
        self.words = ui.TextInput[Self](
            style=discord.TextStyle.paragraph,
            placeholder=f"{PLACE} {EXAMPLE}",
            max_length=MAX_WORDS_CHARS,
            custom_id="words",
        )
        self.negative = ui.TextInput[Self](required=False, max_length=MAX_WORDS_CHARS, custom_id="negative")
        self.add_item(ui.Label(text=_("Name"), component=self.name))
        about = _("{place} is where a person's own words go.").format(place=PLACE)
        self.add_item(ui.Label(text=_("Words"), description=about, component=self.words))
        self.add_item(
            ui.Label(text=_("Keep out"), description=_("What such pictures should not have."), component=self.negative)
        )

    @classmethod
    async def reopen(cls, _interaction: "discord.Interaction[Dreambot]", _match: re.Match[str]) -> Self:
        return cls()

    @pressed
    async def on_submit(self, interaction: "discord.Interaction[Dreambot]") -> None:
        services, guild_id = interaction.client.services, interaction.guild_id
        if guild_id is None or not may_keep_looks(interaction):
            raise MayNotKeepLooks
        words, negative = check_words(self.words.value), tidy(self.negative.value)
        async with services.database.write() as session:
            await add_look(session, guild_id, interaction.user.id, self.name.value, words, negative, services.clock())
        await acknowledge(interaction)
        await show_looks(interaction, LAST_PAGE)
