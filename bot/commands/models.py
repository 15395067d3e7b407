"""/models: leaf through one's own models, those shared with the server or with oneself; or open one by its name."""

from typing import TYPE_CHECKING

import discord
from discord import app_commands
from discord.app_commands import Choice

from bot.acknowledging import acknowledge
from bot.language import _
from bot.limits import roles_of
from bot.markup import cut
from bot.model_pages import show_gallery, show_model
from bot.model_text import SORTS
from bot.views.download import DownloadButton
from bot.views.model_buttons import ModelButton, OpenMenu, PageButton, Place, ScopeMenu, SortMenu, UndoMenu
from bot.views.model_offers import HeirMenu, OfferButton, PeopleMenu, RoleMenu
from bot.views.variant_button import VariantButton
from bot.views.version_menu import VersionMenu
from storage.gallery import Scope, Sort, search_models

if TYPE_CHECKING:
    from bot.app import Dreambot

MAX_CHOICES = 25
CHOICE_CHARS = 100


def register(bot: "Dreambot") -> None:
    bot.tree.add_command(models)
    bot.add_dynamic_items(PageButton, OpenMenu, ScopeMenu, SortMenu, UndoMenu, ModelButton)
    bot.add_dynamic_items(DownloadButton, VariantButton, VersionMenu, PeopleMenu, RoleMenu, HeirMenu, OfferButton)


async def search(interaction: "discord.Interaction[Dreambot]", typed: str) -> list[Choice[str]]:
    """Offer the models that the person can open here and whose names hold what they typed."""
    async with interaction.client.services.database.read() as session:
        person, guild, roles = interaction.user.id, interaction.guild_id, roles_of(interaction)
        found = await search_models(session, typed, person, guild, MAX_CHOICES, roles)
    whose = {True: _("yours"), False: _("shared")}
    return [
        Choice(
            name=cut(
                f"{model.name} · {model.class_noun} · {whose[model.owner_id == interaction.user.id]}", CHOICE_CHARS
            ),
            value=model.id,
        )
        for model in found
    ]


@app_commands.command(description="Look at your models and at those that others share, or find one by its name")
@app_commands.describe(
    whose="Your own, for your eyes only; or the server's, for everybody here",
    sort="Which come first",
    find="Open one by its name",
)
@app_commands.choices(
    whose=[
        Choice(name="Mine", value=Scope.MINE.value),
        Choice(name="Shared with this server", value=Scope.SERVER.value),
        Choice(name="Shared with me", value=Scope.GIVEN.value),
        Choice(name="For everybody", value=Scope.PUBLIC.value),
    ],
    sort=[Choice(name=str(label), value=sort.value) for sort, label in SORTS.items()],
)
@app_commands.autocomplete(find=search)
async def models(
    interaction: "discord.Interaction[Dreambot]",
    whose: str = Scope.MINE.value,
    sort: str = Sort.NEWEST.value,
    find: str | None = None,
) -> None:
    place = Place(interaction.user.id, Scope(whose), sort=Sort(sort))
    if find is None:
        await acknowledge(interaction, ephemeral=place.scope is not Scope.SERVER, thinking=True)
        await show_gallery(interaction, place)
        return
    async with interaction.client.services.database.read() as session:
        named = await search_models(session, find, interaction.user.id, interaction.guild_id, 1, roles_of(interaction))
    await acknowledge(interaction, ephemeral=True, thinking=True)
    await show_model(interaction, named[0].id if named else find, place)
