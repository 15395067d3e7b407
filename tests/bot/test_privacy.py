"""/privacy: what is kept of a person, handed to them, and forgotten."""

import io
import json
import zipfile
from dataclasses import replace

from sqlalchemy import select

from bot import personal_data
from bot.consent import VERSION
from bot.views.privacy_card import render
from storage.people import record_consent, set_direct_messages, wants_direct_messages
from storage.personal import Held
from storage.schema import Consent, Image, Job, Model
from tests.bot.conftest import Restart, World, answer, shown, words
from tests.bot.made import begun, drawn, trained
from tests.bot.payloads import check_message


async def lived(world: World) -> Model:
    """Ada agreed, trained rex, shared him and drew with him; Ben drew with him too. A further training waits."""
    async with world.services.database.write() as session:
        await record_consent(session, world.ada.id, VERSION, "d" * 64, 5, world.clock())
        await set_direct_messages(session, world.ada.id, True, world.clock())
    rex = await trained(world, world.ada, shared_with=world.guild.id, file=b"all the weights")
    for who in (world.ada, world.ben):
        await who.slash(world.channel, "imagine", prompt="rex at sea")
        (job,) = await world.active(who)
        await drawn(world, job)
    await world.ada.slash(world.channel, "imagine", prompt="a boat at sea")
    (job,) = await world.active(world.ada)
    await drawn(world, job)
    await world.deliver(after=5)
    return rex


async def test_shows_and_hands_over_what_is_kept(world: World) -> None:
    rex = await lived(world)

    card = await world.ada.slash(world.channel, "privacy")
    assert card.ephemeral
    told = answer(card)
    assert "- 1 model\n" in told
    assert "- 3 photos that models learn from" in told
    assert "- 2 prompts" in told
    packed = await world.ada.click(shown(card), label="Give me a copy")

    assert packed.ephemeral
    (file,) = shown(packed).attachments
    archive = zipfile.ZipFile(io.BytesIO(await file.read()))
    assert archive.testzip() is None
    known = json.loads(archive.read("data.json"))
    assert {request["prompt"] for request in known["requests"]} == {None, "rex at sea", "a boat at sea"}
    assert [(model["id"], model["name"]) for model in known["models"]] == [(rex.id, "rex")]
    assert known["direct_messages"]
    assert len([name for name in archive.namelist() if name.startswith("pictures/")]) == 3  # two, and a sample
    assert archive.read(f"models/{rex.id[:8]}-rex-lora.safetensors") == b"all the weights"
    assert str(world.ben.id) not in str(known)
    card = await world.ben.slash(world.channel, "privacy")
    other = await world.ben.click(shown(card), label="Give me a copy")
    theirs = zipfile.ZipFile(io.BytesIO(await shown(other).attachments[0].read()))
    assert json.loads(theirs.read("data.json"))["person"] == world.ben.id


async def test_an_archive_too_large_for_discord(world: World) -> None:
    await lived(world)

    packed = await personal_data.pack(world.services, world.ada.id, 10_000)
    assert packed.archive is not None
    assert packed.left_out == 0
    packed = await personal_data.pack(world.services, world.ada.id, 2_000)
    assert packed.left_out > 0
    assert packed.archive is not None
    assert len(packed.archive) <= 2_000

    settings = world.services.settings.model_copy(update={"public_url": "https://files.example"})
    served = replace(world.services, settings=settings, link=lambda key, name: f"https://files.example/{key}/{name}")
    packed = await personal_data.pack(served, world.ada.id, 100)
    assert packed.key is not None
    assert packed.left_out == 0
    assert zipfile.ZipFile(io.BytesIO(await served.blobs.get(packed.key))).testzip() is None


async def test_deletes_everything_and_nothing_of_others(world: World, restart: Restart) -> None:
    rex = await lived(world)
    luna = await trained(world, world.ben, "luna", "cat")
    card = shown(await world.ada.slash(world.channel, "privacy"))
    await restart()

    asked = await world.ada.click(card, label="Delete everything")
    assert "Nobody can bring any of it back" in words(card.message)
    assert await world.services.blobs.list(f"models/{rex.id}") != []
    await world.ada.click(card, label="Keep it all")
    assert "What I keep of you" in words(card.message)
    await world.ada.click(card, label="Delete everything")
    await world.ada.click(card, label="Yes, delete everything for good")

    assert asked.response is not None
    assert "Everything is deleted." in words(card.message)
    for kind in ("photos", "pictures", f"models/{rex.id}", "exports"):
        left = [key for key in await world.services.blobs.list(kind) if luna.id not in key]
        async with world.services.database.read() as session:
            bens = {job.id for job in await session.scalars(select(Job).where(Job.model_id == luna.id))}
        assert [key for key in left if not bens & set(key.split("/"))] == []
    async with world.services.database.read() as session:
        jobs = (await session.scalars(select(Job).where(Job.owner_id == world.ada.id))).all()
        assert {job.prompt_shown for job in jobs} == {None}
        assert not any("sea" in str(job.request) for job in jobs)
        assert (await session.scalars(select(Image).where(Image.owner_id == world.ada.id))).all() == []
        assert (await session.scalars(select(Consent))).all() == []
        assert not await wants_direct_messages(session, world.ada.id)
    assert "Nothing but that" in answer(await world.ada.slash(world.channel, "privacy"))
    await world.deliver(after=60)
    seen = [words(message) for message in world.seen_by(world.ada)]
    assert sum("These pictures are deleted." in told for told in seen) >= 2  # Ben's own may stand
    assert not any("rex** is ready" in told for told in seen)
    assert "luna" in answer(await world.ben.slash(world.channel, "models"))


async def test_what_is_under_way_leaves_nothing(world: World) -> None:
    waiting = await begun(world, world.ada)
    await world.ada.slash(world.channel, "imagine", prompt="a boat at sea")
    boat = next(job for job in await world.active(world.ada) if job.id != waiting.id)
    async with world.services.database.write() as session:
        (await session.get_one(Job, boat.id)).state = type(boat.state).RUNNING

    await personal_data.forget(world.services, world.ada.id)
    await drawn(world, boat)  # the worker had it all but done

    async with world.services.database.read() as session:
        assert (await session.scalars(select(Image))).all() == []
    assert await world.active(world.ada) == []
    assert (await world.job(waiting.id)).state == "cancelled"


def test_any_number_of_things() -> None:
    for number in (0, 1, 2, 10**9):
        held = Held(models=number, photos=number, pictures=number, prompts=number, drafts=number, consents=number)
        check_message(render(held))
