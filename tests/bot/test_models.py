"""/models as people use it: the gallery, a model's page, and every button on it, pressed by its owner and by others."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from simcord.actors import MemberActor
from simcord.results import InteractionResult, ResponseMessage

from bot.erasure import erase_overdue
from bot.services import Services
from bot.settings import BotSettings
from bot.views.download import file_name
from storage.bin import UNDO_LIFE
from storage.contract import Failed, FailureReason, Variant
from storage.models import find_model, usable_models
from storage.schema import Model
from tests.bot.conftest import Restart, World, answer, choose_model, words
from tests.bot.conftest import shown as reply_of
from tests.bot.made import begun, drawn, trained

MANY = 14
OWNERS = ["Rename", "Download", "Delete", "Share with this server"]


async def models(world: World, who: MemberActor | None = None, **options: Any) -> ResponseMessage:
    result = await (who or world.ada).slash(world.channel, "models", **options)
    assert result.response is not None
    return result.response


async def server_models(world: World, who: MemberActor | None = None) -> ResponseMessage:
    return await models(world, who, whose="server")


async def opened(world: World, model: Model, **options: Any) -> ResponseMessage:
    """Ada's gallery, turned into the page of one model."""
    gallery = await models(world, **options)
    await choose_model(gallery, world.ada, model.id)
    return gallery


async def press(message: ResponseMessage, who: MemberActor, label: str) -> InteractionResult:
    return await who.click(message, label=label)


async def now(world: World, model: Model) -> Model:
    async with world.services.database.read() as session:
        return await find_model(session, model.id, model.owner_id, None)


async def usable(world: World, who: MemberActor) -> list[str]:
    async with world.services.database.read() as session:
        return [model.name for model in await usable_models(session, who.id, world.guild.id)]


def shown(message: ResponseMessage) -> str:
    return words(message.message)


# The gallery.


async def test_tells_a_newcomer_what_to_do(world: World) -> None:
    mine, servers = await models(world), await server_models(world)

    assert "You have none yet. Type `/train`" in shown(mine)
    assert "There are none yet. Open one of yours with `/models`, and press Share." in shown(servers)


async def test_shows_what_each_model_is(world: World) -> None:
    rex = await trained(world, world.ada)
    await begun(world, world.ada, "luna", "cat")

    gallery = await models(world)

    assert gallery.ephemeral
    assert "**rex** · dog" in shown(gallery)
    assert f"ready · 3 photos · <t:{int(world.clock.now.timestamp())}:R> · score 0.83" in shown(gallery)
    assert "**luna** · cat\ntraining · 3 photos" in shown(gallery)
    assert [file.filename for file in gallery.attachments] == [f"cover-{rex.id[:8]}-1.png"]
    assert "rex, a dog, drawn by its model" in shown(gallery)


async def test_shows_a_failed_training(world: World) -> None:
    job = await begun(world, world.ada)
    await world.apply(Failed, job.id, reason=FailureReason.DIVERGED)

    gallery = await models(world)
    await choose_model(gallery, world.ada, str(job.model_id))

    assert "training failed" in shown(gallery)
    assert "Delete" in shown(gallery)
    assert not any(label in shown(gallery) for label in ("Imagine", "Download", "Share"))


async def test_leafs_through_many_after_a_restart_too(world: World, restart: Restart) -> None:
    for number in range(MANY):
        world.clock.advance(60)
        await trained(world, world.ada, f"pup {number:02}")
    gallery = await models(world)
    assert f"Page 1 of 3 · {MANY} models" in shown(gallery)
    assert all(f"pup {number:02}" in shown(gallery) for number in range(8, 14))
    assert len(gallery.attachments) == 6
    assert "Previous" not in shown(gallery)

    await press(gallery, world.ada, "Next")
    assert "Page 2 of 3" in shown(gallery)
    await restart()
    await press(gallery, world.ada, "Next")
    assert "Page 3 of 3" in shown(gallery)
    assert ("pup 01" in shown(gallery), "pup 02" in shown(gallery), "Next" in shown(gallery)) == (True, False, False)
    await press(gallery, world.ada, "Previous")
    assert "Page 2 of 3" in shown(gallery)


async def test_a_page_that_is_gone_is_the_last_one(world: World) -> None:
    pups = []
    for number in range(7):
        world.clock.advance(60)
        pups.append(await trained(world, world.ada, f"pup {number}"))
    gallery = await models(world)
    await press(gallery, world.ada, "Next")
    await choose_model(gallery, world.ada, pups[0].id)
    page = await opened(world, pups[6])
    await press(page, world.ada, "Delete")
    await press(page, world.ada, "Delete it for good")

    await press(gallery, world.ada, "Back")

    assert "Page" not in shown(gallery)
    assert all(f"pup {number}" in shown(gallery) for number in range(6))


async def test_the_server_sees_what_is_shared_with_it(world: World) -> None:
    await trained(world, world.ada, shared_with=world.guild.id)
    await trained(world, world.ada, "secret")
    elsewhere = world.env.create_guild("Another server")
    stranger = elsewhere.add_member(world.env.create_user("cleo"))

    gallery = await server_models(world, world.ben)
    other = await stranger.slash(elsewhere.create_text_channel("studio"), "models", whose="server")

    assert not gallery.ephemeral
    assert f"by <@{world.ada.id}>" in shown(gallery)
    assert "secret" not in shown(gallery)
    assert "There are none yet." in answer(other)


async def test_somebody_else_leafs_in_pages_of_their_own(world: World) -> None:
    for number in range(7):
        await trained(world, world.ada, f"pup {number}", shared_with=world.guild.id)
    gallery = await server_models(world)
    before = shown(gallery)

    result = await press(gallery, world.ben, "Next")

    assert result.response is not None
    assert (result.response.id != gallery.id, result.response.ephemeral) == (True, True)
    assert "Page 2 of 2" in shown(result.response)
    assert shown(gallery) == before
    await press(result.response, world.ben, "Previous")
    assert "Page 1 of 2" in shown(result.response)


# One model.


async def test_opens_a_model_and_goes_back(world: World) -> None:
    rex = await trained(world, world.ada)

    page = await opened(world, rex)

    assert all(label in shown(page) for label in ["### rex · dog", "Imagine", *OWNERS, "Back"])
    assert len(page.attachments) == 1
    await press(page, world.ada, "Back")
    assert "Your models" in shown(page)


async def test_a_guest_may_draw_and_no_more(world: World) -> None:
    rex = await trained(world, world.ada, shared_with=world.guild.id)
    gallery = await server_models(world, world.ben)

    await choose_model(gallery, world.ben, rex.id)

    assert "Imagine" in shown(gallery)
    assert not any(label in shown(gallery) for label in [*OWNERS, "Stop sharing"])


async def test_a_model_that_is_shared_no_more_does_not_open(world: World) -> None:
    rex = await trained(world, world.ada, shared_with=world.guild.id)
    gallery = await server_models(world, world.ben)
    await press(await opened(world, rex), world.ada, "Stop sharing")

    result = await choose_model(gallery, world.ben, rex.id)

    assert "There is no such model for you here." in answer(result)


async def test_shares_and_stops_sharing(world: World, restart: Restart) -> None:
    rex = await trained(world, world.ada)
    page = await opened(world, rex)

    await press(page, world.ada, "Share with this server")
    assert "shared with this server" in shown(page)
    assert await usable(world, world.ben) == ["rex"]

    await restart()
    await press(page, world.ada, "Stop sharing")
    assert "shared with this server" not in shown(page)
    assert await usable(world, world.ben) == []


async def test_renames(world: World, restart: Restart) -> None:
    rex = await trained(world, world.ada)
    await trained(world, world.ada, "luna", "cat")
    page = await opened(world, rex)
    await restart()

    form = await press(page, world.ada, "Rename")
    assert form.modal is not None
    await world.ada.submit_modal(form, {"name": "  Rex   the Great "})

    assert "### Rex the Great · dog" in shown(page)
    assert (await now(world, rex)).name == "Rex the Great"

    for name, told in (("LUNA", "You have a model called **luna** already."), ("<@1>", "The name has characters")):
        form = await press(page, world.ada, "Rename")
        assert told in answer(await world.ada.submit_modal(form, {"name": name}))
    assert (await now(world, rex)).name == "Rex the Great"


@pytest.mark.parametrize("label", [*OWNERS, "Delete it for good"])
async def test_the_owners_buttons_are_the_owners_alone(world: World, restart: Restart, label: str) -> None:
    rex = await trained(world, world.ada, shared_with=None if "Share" in label else world.guild.id)
    luna = await trained(world, world.ada, "luna", shared_with=world.guild.id)
    page = await server_models(world)  # everybody sees it, and Ada opens her model there
    await choose_model(page, world.ada, luna.id if "Share" in label else rex.id)
    if "Share" in label:
        await press(page, world.ada, "Stop sharing")
    if label == "Delete it for good":
        await press(page, world.ada, "Delete")
    before, blobs = shown(page), await world.services.blobs.list("models")
    await restart()

    result = await press(page, world.ben, label)

    assert result.response is not None
    assert result.response.ephemeral
    assert f"That is <@{world.ada.id}>'s model, so only they can do this." in answer(result)
    assert world.env.backend.get_message(world.channel.id, result.response.id).ping_user_ids == []
    assert (shown(page), await world.services.blobs.list("models")) == (before, blobs)
    assert sorted(await usable(world, world.ada)) == ["luna", "rex"]


async def test_draws_from_its_page_by_a_form(world: World, restart: Restart) -> None:
    rex = await trained(world, world.ada)
    page = await opened(world, rex)
    await restart()

    form = await press(page, world.ada, "Imagine")
    assert form.modal is not None
    assert "'value': 'rex '" in str(form.modal)
    result = await world.ada.submit_modal(form, {"prompt": "rex at sea", "count": ["3"]})

    (job,) = await world.active(world.ada)
    assert (job.model_id, job.request["prompt"], job.request["count"]) == (rex.id, "sks dog at sea", 3)
    assert "Next in line." in answer(result)


# Downloads.


async def test_downloads_the_file_with_its_trigger(world: World) -> None:
    rex = await trained(world, world.ada, "Réx & co".replace("&", "and"), file=b"all the weights")

    result = await press(await opened(world, rex), world.ada, "Download")

    assert result.response is not None
    assert result.response.ephemeral
    (file,) = result.response.attachments
    assert (file.filename, await file.read()) == ("rex-and-co-lora.safetensors", b"all the weights")
    assert "Call it `sks dog` in prompts." in answer(result)


async def test_links_to_a_file_that_discord_does_not_take(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.views.download.upload_limit", lambda _interaction: 8)
    rex = await trained(world, world.ada, file=b"9 bytes..")
    page = await opened(world, rex)

    told = answer(await press(page, world.ada, "Download"))
    assert "more than Discord takes here, and this bot has no download address" in told

    world.bot.services = replace(world.services, link=lambda key, name: f"https://files.example/{key}/{name}")
    linked = await press(page, world.ada, "Download")
    assert f"[rex-lora.safetensors](<https://files.example/{rex.download_key}/rex-lora.safetensors>)" in answer(linked)
    assert linked.response is not None
    assert linked.response.attachments == []


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("Mary Jane_2", "mary-jane-2-lora.safetensors"),
        ("O'Neil", "o-neil-lora.safetensors"),
        ("Größe", "groe-lora.safetensors"),
        ("太郎", "model-0123abcd-lora.safetensors"),
    ],
)
def test_file_names_are_safe_everywhere(name: str, file: str) -> None:
    model = Model.__new__(Model)
    model.__dict__.update(id="0123abcd" * 4, name=name, variant=Variant.BEST)

    assert file_name(model) == file


# Deletion.


def files(tmp_path: Path) -> list[str]:
    return [str(path) for path in (tmp_path / "blobs").rglob("*") if path.is_file()]


async def test_deletes_nothing_without_being_asked_twice(world: World) -> None:
    rex = await trained(world, world.ada)
    page = await opened(world, rex)

    await press(page, world.ada, "Delete")
    assert "### Delete rex?" in shown(page)
    await press(page, world.ada, "Keep it")

    assert "### rex · dog" in shown(page)
    assert (await now(world, rex)).download_key is not None


async def test_a_deleted_model_leaves_nothing_behind(world: World, tmp_path: Path, restart: Restart) -> None:
    rex = await trained(world, world.ada, shared_with=world.guild.id)
    for who in (world.ada, world.ben):
        await who.slash(world.channel, "imagine", prompt="rex at sea", count=2)
        (job,) = await world.active(who)
        await drawn(world, job)
    waiting = await world.ben.slash(world.channel, "imagine", prompt="rex on the moon")
    page = await opened(world, rex)
    await press(page, world.ada, "Delete")
    await restart()
    assert len(files(tmp_path)) == 3 + 2 + 3 + 4  # photos, samples, files of the model, pictures

    await press(page, world.ada, "Delete it for good")

    assert files(tmp_path) == []
    assert "You have none yet." in shown(page)
    assert await usable(world, world.ben) == []
    async with world.services.database.read() as session:
        row = await session.get_one(Model, rex.id)
    assert (row.name, row.name_key, row.adapter_key, row.shared_guild_id) == ("(deleted)", "", None, None)
    await world.deliver(after=5)
    assert waiting.response is not None
    assert "Cancelled." in shown(waiting.response)
    assert "rex" not in shown(waiting.response)
    assert (await trained(world, world.ada)).name == "rex"


async def test_deleting_a_model_in_training_stops_it(world: World, tmp_path: Path) -> None:
    job = await begun(world, world.ada)
    gallery = await models(world)
    await choose_model(gallery, world.ada, str(job.model_id))
    await press(gallery, world.ada, "Delete")

    await press(gallery, world.ada, "Delete it for good")

    assert files(tmp_path) == []
    assert await world.active(world.ada) == []


async def test_a_second_press_on_delete_finds_nothing(world: World, services: Services) -> None:
    rex = await trained(world, world.ada)
    first, second = await opened(world, rex), await opened(world, rex)
    for page in (first, second):
        await press(page, world.ada, "Delete")
    await press(first, world.ada, "Delete it for good")

    result = await press(second, world.ada, "Delete it for good")

    assert "There is no such model for you here." in answer(result)


async def binned(world: World, model: Model) -> ResponseMessage:
    """Delete a model by its page, with a day to undo that; returns the gallery."""
    page = await opened(world, model)
    await press(page, world.ada, "Delete")
    await press(page, world.ada, "Delete, and let me undo it for a day")
    return page


async def test_a_deletion_can_be_undone_for_a_day(world: World, restart: Restart, tmp_path: Path) -> None:
    rex = await trained(world, world.ada, shared_with=world.guild.id)
    kept = files(tmp_path)
    page = await binned(world, rex)
    assert "You have none yet." in shown(page)
    assert await usable(world, world.ben) == []
    await restart()

    world.clock.advance(UNDO_LIFE.total_seconds() - 1)
    await erase_overdue(world.services)
    await world.ada.select(page, [rex.id], custom_id=f"models:{world.ada.id}:mine:0:undo")

    assert "### rex · dog" in shown(page)
    assert await usable(world, world.ben) == ["rex"]
    assert files(tmp_path) == kept

    await binned(world, rex)
    world.clock.advance(UNDO_LIFE.total_seconds())
    await erase_overdue(world.services)
    assert files(tmp_path) == []
    assert "Take back what you deleted" not in shown(await models(world))


# Filters, order, search.


async def test_looks_at_what_others_share_in_every_scope(world: World, restart: Restart) -> None:
    object.__setattr__(world.services, "settings", BotSettings(_env_file=None, public_models=True))
    rex = await trained(world, world.ada)
    luna = await trained(world, world.ada, "luna", "cat")
    asked = reply_of(await press(await opened(world, rex), world.ada, "Share with people or roles"))
    await world.ada.select(asked, [world.ben], custom_id=f"model:{rex.id}:people")
    await press(await opened(world, luna), world.ada, "Share with everybody")
    page = await models(world, world.ben)
    await restart()

    await world.ben.select(page, ["given"], custom_id=f"models:{world.ben.id}:mine:0:scope")
    assert "### Models that others share with you" in shown(page)
    assert "**rex** · dog" in shown(page)
    await world.ben.select(page, ["public"], custom_id=f"models:{world.ben.id}:given:0:scope")
    assert "**luna** · cat" in shown(page)
    await choose_model(page, world.ben, luna.id)
    form = await press(page, world.ben, "Imagine")
    await world.ben.submit_modal(form, {"prompt": "luna at sea", "count": ["1"]})
    (job,) = await world.active(world.ben)
    assert job.model_id == luna.id

    page = await opened(world, rex)
    assert "shared with one person by name" in shown(page)
    asked = reply_of(await press(page, world.ada, "Share with people or roles"))
    await world.ada.select(asked, [], custom_id=f"model:{rex.id}:people")
    await press(await opened(world, luna), world.ada, "No longer for everybody")
    assert await usable(world, world.ben) == []


async def test_whoever_has_a_role_draws_with_a_model_here(world: World, restart: Restart) -> None:
    painters, bakers = world.guild.create_role("Painters"), world.guild.create_role("Bakers")
    cleo = world.guild.add_member(world.env.create_user("cleo"), roles=[painters])
    rex = await trained(world, world.ada)
    asked = reply_of(await press(await opened(world, rex), world.ada, "Share with people or roles"))
    await restart()

    told = answer(await world.ada.select(asked, [painters, bakers], custom_id=f"model:{rex.id}:roles"))

    assert f"Whoever has <@&{painters.id}> or <@&{bakers.id}> may draw with **rex** here" in told
    assert "shared with 2 roles here" in shown(await opened(world, rex))
    page = await models(world, cleo, whose="given")
    assert "**rex** · dog" in shown(page)
    assert [choice["name"] for choice in await cleo.autocomplete(world.channel, "imagine", "model", "r", prompt="x")]
    await cleo.slash(world.channel, "imagine", prompt="rex at sea")
    (job,) = await world.active(cleo)
    assert job.model_id == rex.id
    assert "**rex**" not in shown(await models(world, world.ben, whose="given"))
    await world.ben.slash(world.channel, "imagine", prompt="rex at sea")
    (plain,) = await world.active(world.ben)
    assert plain.model_id is None

    again = reply_of(await press(await opened(world, rex), world.ada, "Share with people or roles"))
    await world.ada.select(again, [], custom_id=f"model:{rex.id}:roles")
    assert "**rex**" not in shown(await models(world, cleo, whose="given"))


async def test_ones_own_models_never_come_to_stand_before_everybody(world: World) -> None:
    await trained(world, world.ada, "secret")
    page = await server_models(world)

    result = await world.ada.select(page, ["mine"], custom_id=f"models:{world.ada.id}:server:0:scope")

    assert result.ephemeral
    assert "secret" in answer(result)
    assert "secret" not in shown(page)


async def test_sorts_and_finds_by_name(world: World) -> None:
    for name in ("zoe", "abby"):
        world.clock.advance(60)
        await trained(world, world.ada, name)
    page = await models(world)
    assert shown(page).index("**abby**") < shown(page).index("**zoe**")  # the newest first
    by_name = await models(world, sort="name")
    assert shown(by_name).index("**abby**") < shown(by_name).index("**zoe**")
    newest = f"models:{world.ada.id}:mine:0:name:sort"
    await world.ada.select(by_name, ["new"], custom_id=newest)
    assert "The newest first" in shown(by_name)

    choices = await world.ada.autocomplete(world.channel, "models", "find", "zo")
    assert [choice["name"] for choice in choices] == ["zoe · dog · yours"]
    assert await world.ben.autocomplete(world.channel, "models", "find", "zo") == []
    assert "### zoe · dog" in shown(await models(world, find=choices[0]["value"]))
    assert "### zoe · dog" in shown(await models(world, find="Zoe"))
    assert "There is no such model" in shown(await models(world, find="nobody"))


async def test_the_page_of_a_model_tells_how_it_is_used(world: World) -> None:
    rex = await trained(world, world.ada, shared_with=world.guild.id)
    page = shown(await opened(world, rex))
    assert "Score 0.83: a very good likeness." in page
    assert "version 1 · not drawn yet" in page
    for who in (world.ada, world.ben):
        await who.slash(world.channel, "imagine", prompt="rex at sea")
    assert "drawn 2 times, by 2 people" in shown(await opened(world, rex))


# Giving away.


async def offered(world: World, model: Model, to: MemberActor) -> InteractionResult:
    asked = reply_of(await press(await opened(world, model), world.ada, "Give away"))
    return await world.ada.select(asked, [to])


async def test_gives_a_model_to_somebody_who_says_yes(world: World, restart: Restart) -> None:
    rex = await trained(world, world.ada, shared_with=world.guild.id)
    cleo = world.guild.add_member(world.env.create_user("cleo"))
    result = await offered(world, rex, world.ben)
    offer = reply_of(result)
    assert f"<@{world.ben.id}>, <@{world.ada.id}> would like to give you the model **rex**, a dog." in answer(result)
    assert world.pinged(offer.message) == {world.ben.id}
    await restart()
    for who, label in ((cleo, "Take it"), (world.ada, "Take it"), (world.ben, "Take the offer back")):
        assert "That is between" in answer(await press(offer, who, label))

    second = reply_of(await offered(world, rex, world.ben))
    await press(offer, world.ben, "Take it")

    assert f"**rex** belongs to <@{world.ben.id}> now" in shown(offer)
    assert (await usable(world, world.ben), await usable(world, world.ada)) == (["rex"], [])
    assert "There is no such model" in answer(await press(second, world.ben, "Take it"))


async def test_an_offer_can_be_declined_or_taken_back(world: World) -> None:
    rex = await trained(world, world.ada)
    for who, label, told in (
        (world.ben, "No, thank you", f"<@{world.ben.id}> left **rex** with <@{world.ada.id}>."),
        (world.ada, "Take the offer back", f"<@{world.ada.id}> keeps **rex**."),
    ):
        offer = reply_of(await offered(world, rex, world.ben))
        await press(offer, who, label)
        assert told in shown(offer)
    assert "cannot be you or a bot" in answer(await offered(world, rex, world.ada))
    assert await usable(world, world.ada) == ["rex"]
