"""/storybook: scenes, line by line, become pictures of one subject, a card with pages, and a book."""

from typing import TYPE_CHECKING

import discord
from discord import app_commands

from bot.channel_rules import check_channel
from bot.commands.imagine import choose_look, choose_model
from bot.looks import NO_LOOK, find_look
from bot.named_models import pick_model
from bot.views.story_card import BookButton, StoryButton
from bot.views.story_form import StoryForm

if TYPE_CHECKING:
    from bot.app import Dreambot


def register(bot: "Dreambot") -> None:
    bot.tree.add_command(storybook)
    bot.add_dynamic_items(StoryButton, BookButton)


@app_commands.command(description="Tell a story in pictures of one of your models: a form takes its scenes")
@app_commands.describe(model="Whom it is about", look="A look for all its pictures; /styles shows them")
@app_commands.autocomplete(model=choose_model, look=choose_look)
async def storybook(interaction: "discord.Interaction[Dreambot]", model: str, look: str | None = None) -> None:
    await check_channel(interaction)
    services = interaction.client.services
    async with services.database.read() as session:
        about = await pick_model(session, model, interaction)
        chosen = None
        if look is not None:
            chosen = (
                NO_LOOK if look == NO_LOOK else (await find_look(session, look, services.base, interaction.guild_id)).id
            )
    await StoryForm(about, chosen).open(interaction)
