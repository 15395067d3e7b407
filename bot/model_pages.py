"""What the pages of the model gallery do: load what they show, and carry out what their buttons say.

Whoever opened a page leafs in it; anybody else who presses there gets pages of their own. Only owners change models.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import discord

from bot.access import own_model, seen_model
from bot.acknowledging import acknowledge
from bot.erasure import erase_model
from bot.language import locale_of_card, spoken
from bot.limits import roles_of
from bot.markup import bold
from bot.model_text import WHO_GETS_IT, WHO_MAY_DRAW, WHOSE_ROLE_MAY
from bot.rendering import load
from bot.services import Services
from bot.uploads import FILE_BYTES
from bot.views import model_gallery
from bot.views.model_buttons import Place, Verb
from bot.views.model_gallery import PAGE_MODELS, Options, Shown
from bot.views.model_offers import HeirMenu, PeopleMenu, RoleMenu
from bot.views.rename_form import RenameForm
from bot.views.rendered import Rendered
from storage.bin import bin_model, binned_models, take_back
from storage.class_questions import open_questions
from storage.gallery import Scope, count_models, page_of_models, uses_of
from storage.jobs import pictures_of
from storage.schema import Model
from storage.sharing import people_shared_with, publish_model, roles_shared_with, share_model, unshare_model
from storage.takedowns import takedown_of
from storage.variants import choices, training_in_use, versions

if TYPE_CHECKING:
    from bot.app import Dreambot

    Interaction = discord.Interaction[Dreambot]


SAMPLES = 5
"""How many samples a model's page shows beside the cover."""


async def show_gallery(interaction: "Interaction", place: Place) -> None:
    """Fill the reply, which must be deferred, with a page of the gallery."""
    services = interaction.client.services
    shown, total, place = await _page(interaction, place)
    scopes = [Scope.MINE, Scope.GIVEN]
    if interaction.guild_id is not None:
        scopes.insert(1, Scope.SERVER)
    if services.settings.public_models or place.scope is Scope.PUBLIC:
        scopes.append(Scope.PUBLIC)
    async with services.database.read() as session:
        deleted = await binned_models(session, place.viewer) if place.scope is Scope.MINE else []
    options = Options(scopes=scopes, deleted=deleted)
    with spoken(_language(interaction, place)):
        page = model_gallery.render_page(shown, total, place, interaction.guild_id, options)
    await _fill(interaction, page)


async def turn_to(interaction: "Interaction", place: Place) -> None:
    await show_gallery(interaction, await _begin(interaction, place))


async def undo(interaction: "Interaction", model_id: str, place: Place) -> None:
    """Bring back a model that the presser deleted. Raises `ModelNotFound`, `NameTaken`."""
    async with interaction.client.services.database.write() as session:
        model = await take_back(session, model_id, interaction.user.id)
    await open_model(interaction, model.id, place)


async def open_model(interaction: "Interaction", model_id: str, place: Place) -> None:
    """Show a model that the presser may see. Raises `ModelNotFound`."""
    services = interaction.client.services
    async with services.database.read() as session:
        await seen_model(session, model_id, interaction)
    await show_model(interaction, model_id, await _begin(interaction, place))


async def show_model(interaction: "Interaction", model_id: str, place: Place) -> None:
    """Fill the reply, which must be deferred, with a model that the presser may see. Raises `ModelNotFound`."""
    services = interaction.client.services
    async with services.database.read() as session:
        model = await seen_model(session, model_id, interaction)
        variants = await choices(session, model.id)
        training = await training_in_use(session, model)
        samples = [] if training is None else await pictures_of(session, training, model.variant)
        shown = replace(
            await _shown(services, model),
            choices=variants,
            versions=await versions(session, model.id),
            uses=await uses_of(session, model.id),
            people=len(await people_shared_with(session, model.id)),
            roles=len(await roles_shared_with(session, model.id, interaction.guild_id)),
            asks=bool(await open_questions(session, [model.id], services.clock())),
            taken_down=None if (takedown := await takedown_of(session, model.id)) is None else takedown.words,
        )
    keys = [image.key for image in samples if image.key != model.cover_key][:SAMPLES]
    shown = replace(shown, samples=await load(services, keys, "sample", FILE_BYTES))
    may_publish = services.settings.public_models
    with spoken(_language(interaction, place)):
        page = model_gallery.render_model(shown, place, interaction.guild_id, may_publish=may_publish)
    await _fill(interaction, page)


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


async def _bin(interaction: "Interaction", model_id: str, place: Place) -> None:
    services = interaction.client.services
    async with services.database.write() as session:
        await own_model(session, model_id, interaction.user.id)
        await bin_model(session, model_id, interaction.user.id, services.clock())
    services.queue.wake()
    services.wake_delivery()
    await show_gallery(interaction, await _begin(interaction, place))


async def _publish(interaction: "Interaction", model_id: str, place: Place) -> None:
    services = interaction.client.services
    async with services.database.write() as session:
        model = await own_model(session, model_id, interaction.user.id)
        if services.settings.public_models:
            await publish_model(session, model.id, model.owner_id, services.clock())
    await open_model(interaction, model_id, place)


async def _withdraw(interaction: "Interaction", model_id: str, place: Place) -> None:
    async with interaction.client.services.database.write() as session:
        model = await own_model(session, model_id, interaction.user.id)
        await publish_model(session, model.id, model.owner_id, None)
    await open_model(interaction, model_id, place)


async def _share_with_people(interaction: "Interaction", model_id: str, _place: Place) -> None:
    async with interaction.client.services.database.write() as session:
        model = await own_model(session, model_id, interaction.user.id)
        people = await people_shared_with(session, model.id)
        roles = await roles_shared_with(session, model.id, interaction.guild_id)
    view = _asking(WHO_MAY_DRAW.format(name=bold(model.name)), PeopleMenu(model.id, people))
    if interaction.guild_id is not None:
        view.add_item(discord.ui.TextDisplay(str(WHOSE_ROLE_MAY)))
        view.add_item(discord.ui.ActionRow(RoleMenu(model.id, roles)))
    await interaction.response.send_message(view=view, ephemeral=True)


async def _give(interaction: "Interaction", model_id: str, _place: Place) -> None:
    async with interaction.client.services.database.write() as session:
        model = await own_model(session, model_id, interaction.user.id)
    words = WHO_GETS_IT.format(name=bold(model.name))
    await interaction.response.send_message(view=_asking(words, HeirMenu(model.id)), ephemeral=True)


def _asking(words: str, menu: discord.ui.Item[Any]) -> discord.ui.LayoutView:
    view = discord.ui.LayoutView(timeout=None)
    view.add_item(discord.ui.TextDisplay(words))
    view.add_item(discord.ui.ActionRow(menu))
    return view


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
    Verb.PEOPLE: _share_with_people,
    Verb.PUBLISH: _publish,
    Verb.WITHDRAW: _withdraw,
    Verb.GIVE: _give,
    Verb.DELETE: _ask_to_delete,
    Verb.BIN: _bin,
    Verb.ERASE: _delete,
}


async def _begin(interaction: "Interaction", place: Place) -> Place:
    """Acknowledge a press, and return where the presser is: in the page at hand, or in a new one of their own.

    What is for one person's eyes never comes to stand in a page that everybody sees.
    """
    seen = interaction.message is not None and not interaction.message.flags.ephemeral
    own = place.scope in {Scope.MINE, Scope.GIVEN} and seen and interaction.guild_id is not None
    if interaction.user.id == place.viewer and not own:
        await acknowledge(interaction)
        return place
    await acknowledge(interaction, ephemeral=True, thinking=True)
    return replace(place, viewer=interaction.user.id)


def _language(interaction: "Interaction", place: Place) -> str:
    """Everybody sees the pages of what a server shares."""
    return locale_of_card(interaction, private=place.scope is not Scope.SERVER)


async def _fill(interaction: "Interaction", page: Rendered) -> None:
    await interaction.edit_original_response(view=page.view, attachments=page.files)


async def _page(interaction: "Interaction", place: Place) -> tuple[list[Shown], int, Place]:
    """Load a page, or the last one when there are not so many any more."""
    services, guild_id, roles = interaction.client.services, interaction.guild_id, roles_of(interaction)
    async with services.database.read() as session:
        total = await count_models(session, place.scope, place.viewer, guild_id, roles)
        place = replace(place, page=min(place.page, model_gallery.page_count(total) - 1))
        models = await page_of_models(
            session, place.scope, place.sort, place.viewer, guild_id, place.page * PAGE_MODELS, PAGE_MODELS, roles
        )
        asking = await open_questions(session, [model.id for model in models], services.clock())
    shown = [replace(await _shown(services, model), asks=model.id in asking) for model in models]
    return shown, total, place


async def _shown(services: Services, model: Model) -> Shown:
    keys = [] if model.cover_key is None else [model.cover_key]
    covers = await load(services, keys, f"cover-{model.id[:8]}", FILE_BYTES)
    return Shown(model, covers[0] if covers else None)
