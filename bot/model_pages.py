"""What the pages of the model gallery do: load what they show, and carry out what their buttons say.

Whoever opened a page leafs in it; anybody else who presses there gets pages of their own. Only owners change models.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import discord

from bot.access import own_model
from bot.erasure import erase_model
from bot.rendering import load
from bot.services import Services
from bot.uploads import FILE_BYTES
from bot.views import model_gallery
from bot.views.model_buttons import Place, Scope, Verb
from bot.views.model_gallery import PAGE_MODELS, Shown
from bot.views.rename_form import RenameForm
from bot.views.rendered import Rendered
from storage.models import (
    count_own,
    count_server,
    find_model,
    own_models,
    server_models,
    share_model,
    unshare_model,
)
from storage.schema import Model
from storage.variants import choices

if TYPE_CHECKING:
    from bot.app import Dreambot

    Interaction = discord.Interaction[Dreambot]


async def show_gallery(interaction: "Interaction", place: Place) -> None:
    """Fill the reply, which must be deferred, with a page of the gallery."""
    services = interaction.client.services
    shown, total, place = await _page(services, place, interaction.guild_id)
    await _fill(interaction, model_gallery.render_page(shown, total, place, interaction.guild_id))


async def turn_to(interaction: "Interaction", place: Place) -> None:
    await show_gallery(interaction, await _begin(interaction, place))


async def open_model(interaction: "Interaction", model_id: str, place: Place) -> None:
    """Show a model that the presser may see. Raises `ModelNotFound`."""
    services = interaction.client.services
    async with services.database.read() as session:
        model = await find_model(session, model_id, interaction.user.id, interaction.guild_id)
        variants = await choices(session, model.id)
    place = await _begin(interaction, place)
    shown = replace(await _shown(services, model), choices=variants)
    await _fill(interaction, model_gallery.render_model(shown, place, interaction.guild_id))


async def _share(interaction: "Interaction", model_id: str, place: Place) -> None:
    services, guild_id = interaction.client.services, interaction.guild_id
    async with services.database.write() as session:
        model = await own_model(session, model_id, interaction.user.id)
        if guild_id is not None:  # there is no such button outside a server
            await share_model(session, model.id, model.owner_id, guild_id)
    await open_model(interaction, model_id, place)


async def _unshare(interaction: "Interaction", model_id: str, place: Place) -> None:
    async with interaction.client.services.database.write() as session:
        model = await own_model(session, model_id, interaction.user.id)
        await unshare_model(session, model.id, model.owner_id)
    await open_model(interaction, model_id, place)


async def _rename(interaction: "Interaction", model_id: str, place: Place) -> None:
    async with interaction.client.services.database.write() as session:
        model = await own_model(session, model_id, interaction.user.id)
    await RenameForm(model, place).open(interaction)


async def _ask_to_delete(interaction: "Interaction", model_id: str, place: Place) -> None:
    async with interaction.client.services.database.write() as session:
        model = await own_model(session, model_id, interaction.user.id)
    place = await _begin(interaction, place)
    await _fill(interaction, model_gallery.render_question(model, place))


async def _delete(interaction: "Interaction", model_id: str, place: Place) -> None:
    services = interaction.client.services
    async with services.database.write() as session:
        await own_model(session, model_id, interaction.user.id)
    place = await _begin(interaction, place)
    await erase_model(services, model_id, interaction.user.id)
    await show_gallery(interaction, place)


ACTIONS: Mapping[Verb, Callable[["Interaction", str, Place], Awaitable[None]]] = {
    Verb.OPEN: open_model,
    Verb.SHARE: _share,
    Verb.UNSHARE: _unshare,
    Verb.RENAME: _rename,
    Verb.DELETE: _ask_to_delete,
    Verb.ERASE: _delete,
}


async def _begin(interaction: "Interaction", place: Place) -> Place:
    """Acknowledge a press, and return where the presser is: in the page at hand, or in a new one of their own."""
    if interaction.user.id == place.viewer:
        await interaction.response.defer()
        return place
    await interaction.response.defer(ephemeral=True, thinking=True)
    return replace(place, viewer=interaction.user.id)


async def _fill(interaction: "Interaction", page: Rendered) -> None:
    await interaction.edit_original_response(view=page.view, attachments=page.files)


async def _page(services: Services, place: Place, guild_id: int | None) -> tuple[list[Shown], int, Place]:
    """Load a page, or the last one when there are not so many any more."""
    async with services.database.read() as session:
        if place.scope is Scope.MINE:
            total = await count_own(session, place.viewer)
        else:
            total = 0 if guild_id is None else await count_server(session, guild_id)
        place = replace(place, page=min(place.page, model_gallery.page_count(total) - 1))
        first = place.page * PAGE_MODELS
        if place.scope is Scope.MINE:
            models = await own_models(session, place.viewer, first, PAGE_MODELS)
        else:
            models = [] if guild_id is None else await server_models(session, guild_id, first, PAGE_MODELS)
    return [await _shown(services, model) for model in models], total, place


async def _shown(services: Services, model: Model) -> Shown:
    keys = [] if model.cover_key is None else [model.cover_key]
    covers = await load(services, keys, f"cover-{model.id[:8]}", FILE_BYTES)
    return Shown(model, covers[0] if covers else None)
