"""Going on from a picture: a part of it anew, more around it, and which of several."""

import io
from collections.abc import Sequence
from typing import Any

from PIL import Image as Picture
from PIL import ImageDraw
from simcord.results import InteractionResult

from bot import personal_data
from bot.erasure import erase_model
from storage.contract import ImagineRequest, Tool, mask_key
from storage.jobs import delete_pictures
from storage.leftovers import unreferenced
from storage.schema import Job
from storage.sharing import share_model
from tests.bot.conftest import Restart, World, answer, shown, words
from tests.bot.made import drawn, png, trained
from tests.bot.test_imagine import finished, newest, only_job


def painted_over() -> bytes:
    """A copy of what `made.drawn` drew, as a phone shows and saves it, with its upper left corner painted."""
    with Picture.open(io.BytesIO(png())) as small:
        copy = small.resize((512, 512))
    ImageDraw.Draw(copy).rectangle((0, 0, 120, 160), fill=(255, 0, 200))
    packed = io.BytesIO()
    copy.save(packed, "JPEG", quality=80)
    return packed.getvalue()


async def draw_part(world: World, message: Any, **fields: Any) -> InteractionResult:
    form = await world.ada.click(message, label="Draw a part anew")
    return await world.ada.submit_modal(form, fields)


async def masks(world: World) -> list[str]:
    return list(await world.services.blobs.list("masks"))


async def test_a_region_is_drawn_anew(world: World, restart: Restart) -> None:
    rex = await trained(world, world.ada, shared_with=world.guild.id)
    first, message = await finished(world, "rex at sea", seed=7, steps=30)
    await restart()
    form = await world.ben.click(message, label="Draw a part anew")
    later = await world.ben.click(message, label="Draw a part anew")
    assert "'value': 'rex at sea'" in str(form.modal)
    await restart()

    result = await world.ben.submit_modal(form, {"region": ["left"], "prompt": "rex in the snow"})

    job = await only_job(world, world.ben)
    assert "Next in line." in answer(result)
    request = ImagineRequest.model_validate(job.request)
    assert request.source is not None
    assert (request.source.tool, request.source.key) == (Tool.INPAINT, f"pictures/{first.id}/1/0.png")
    assert (request.prompt, job.prompt_shown) == ("sks dog in the snow", "rex in the snow")
    assert (request.width, request.height, request.steps, request.count) == (64, 64, 30, 1)
    assert (job.model_id, job.parent_id) == (rex.id, first.id)
    assert request.source.mask == mask_key(job.id)
    with Picture.open(io.BytesIO(await world.services.blobs.get(mask_key(job.id)))) as mask:
        assert (mask.size, mask.getpixel((5, 32)), mask.getpixel((60, 32))) == ((64, 64), 255, 0)

    async with world.services.database.write() as session:
        await share_model(session, rex.id, world.ada.id, 1)  # with another server alone
    told = answer(await world.ben.submit_modal(later, {"region": ["top"], "prompt": "rex at sea"}))
    assert "There is no such model for you here." in told


WRONG: Sequence[tuple[dict[str, Any], str]] = (
    ({}, "Say which part to draw anew"),
    ({"painted": [("notes.txt", b"hello")]}, "not a picture that I can read"),
    ({"painted": [("tiny.png", png())]}, "both sides need at least 128 pixels"),
    ({"region": ["top"], "prompt": "rex {at sea"}, "opens a choice and never closes it"),
)


async def test_what_was_painted_is_drawn_anew(world: World) -> None:
    await trained(world, world.ada)
    _, message = await finished(world, "rex at sea")
    seen = len(world.seen_by(world.ben))
    for fields, told in WRONG:
        assert told in answer(await draw_part(world, message, **{"prompt": "rex at sea", **fields}))
        assert (await world.active(world.ada), await masks(world)) == ([], [])
    assert len(world.seen_by(world.ben)) == seen

    told = answer(await draw_part(world, message, painted=[("copy.jpg", painted_over())], prompt="rex at sea"))

    job = await only_job(world)
    assert "Next in line." in told
    assert job.request["prompt"] == "sks dog at sea"
    with Picture.open(io.BytesIO(await world.services.blobs.get(mask_key(job.id)))) as mask:
        assert (mask.getpixel((5, 5)), mask.getpixel((50, 50))) == (255, 0)

    world.services.settings.__dict__["max_active_pictures"] = 1
    told = answer(await draw_part(world, message, region=["top"], prompt="rex at sea"))
    assert "requests for pictures under way already" in told
    assert await masks(world) == [mask_key(job.id)]


async def test_whom_the_part_shows(world: World) -> None:
    """A picture stays its models', whatever is drawn into it; into one of nobody anybody can come."""
    rex, luna = await trained(world, world.ada), await trained(world, world.ada, "luna", "cat")
    asked: list[Job] = []
    for before, after in (
        ("rex at sea", "a red lighthouse"),
        ("a boat", "rex in a boat"),
        ("rex and luna at sea", "rex under a rainbow"),
    ):
        _, message = await finished(world, before)
        await draw_part(world, message, region=["top"], prompt=after)
        asked.append(await only_job(world))
        await drawn(world, asked[-1])

    lighthouse, boat, rainbow = asked
    assert (lighthouse.model_id, lighthouse.request["prompt"]) == (rex.id, "a red lighthouse")
    assert (boat.model_id, boat.request["prompt"]) == (rex.id, "sks dog in a boat")
    subjects = ImagineRequest.model_validate(rainbow.request).subjects
    assert [(one.adapter.model, one.prompt) for one in subjects] == [
        (rex.id, "sks dog under a rainbow"),
        (luna.id, "sks dog under a rainbow"),
    ]


async def inpainted(world: World, owner: Any = None) -> Job:
    """A part that Ada had drawn anew, its mask with it."""
    await trained(world, owner or world.ada, shared_with=world.guild.id)
    _, message = await finished(world, "rex at sea")
    await draw_part(world, message, region=["top"], prompt="rex in the snow")
    job = await only_job(world)
    await drawn(world, job)
    await world.deliver(after=5)
    assert await masks(world) == [mask_key(job.id)]
    return await world.job(job.id)


async def test_the_mask_goes_with_its_card(world: World) -> None:
    job = await inpainted(world)
    await world.ada.click(newest(world), label="Again")
    (again,) = await world.active(world.ada)
    assert again.request["source"]["mask"] == (await masks(world))[0]
    async with world.services.database.write() as session:
        assert await delete_pictures(session, again.id) == []  # it was painted for the other
    async with world.services.database.read() as session:
        assert await unreferenced(session, [mask_key(job.id)]) == []
    await world.ada.click(shown_card(world), label="Delete")
    assert await masks(world) == []
    async with world.services.database.read() as session:
        assert await unreferenced(session, [mask_key(job.id)]) == [mask_key(job.id)]


def shown_card(world: World) -> Any:
    """The card of the part that was drawn anew."""
    return next(
        message
        for message in reversed(world.channel.history())
        if "rex in the snow" in words(message) and "AI-made" in words(message)
    )


async def test_the_mask_goes_with_all_that_is_deleted(world: World) -> None:
    job = await inpainted(world, world.ben)
    _, message = await finished(world, "a boat")
    await draw_part(world, message, region=["top"], prompt="a boat")
    (boat,) = await world.active(world.ada)

    await erase_model(world.services, str(job.model_id), world.ben.id)
    assert await masks(world) == [mask_key(boat.id)]
    await personal_data.forget(world.services, world.ada.id)
    assert await masks(world) == []


async def test_more_is_drawn_around_a_picture(world: World, restart: Restart) -> None:
    rex = await trained(world, world.ada)
    first, message = await finished(world, "rex on the moon", negative="fog")
    form = await world.ada.click(message, label="More around it")
    assert "'value': 'on the moon'" in str(form.modal)
    assert "Square" not in str(form.modal)
    await restart()

    await world.ada.submit_modal(form, {"shape": ["wide"], "prompt": "on the moon"})

    wide = await only_job(world)
    assert wide.request["source"] == {
        "tool": "outpaint", "key": f"pictures/{first.id}/1/0.png", "mask": None, "strength": 0.8,
    }  # fmt: skip
    assert (wide.request["width"], wide.request["height"]) == (112, 64)
    assert (wide.request["prompt"], wide.request["negative_prompt"]) == ("on the moon", "fog, dog")
    assert (wide.model_id, wide.prompt_shown) == (rex.id, "rex on the moon")
    await drawn(world, wide)
    await world.deliver(after=5)

    assert "without" not in words(newest(world))
    await world.ada.click(newest(world), label="Vary a lot")  # of the whole, and of whom it shows

    varied = await only_job(world)
    assert (varied.request["prompt"], varied.request["negative_prompt"]) == ("sks dog on the moon", "fog")
    assert (varied.request["width"], varied.request["source"]["tool"]) == (112, "vary")
    await drawn(world, varied)

    _, message = await finished(world, "a photo of my dog rex on the moon")
    form = await world.ada.click(message, label="More around it")
    assert "'value': 'a photo on the moon'" in str(form.modal)
    await world.ada.submit_modal(form, {"shape": ["phone"], "prompt": "craters and rex"})
    tall = await only_job(world)
    assert (tall.request["prompt"], tall.request["negative_prompt"]) == ("craters and sks dog", "")
    assert tall.prompt_shown == "a photo of my dog rex on the moon, craters and rex"


async def test_one_of_several_is_chosen_first(world: World, restart: Restart) -> None:
    first, message = await finished(world, "a boat", count=3, seed=7)
    await restart()

    ways = await world.ben.select(message, ["1"], custom_id=f"picture:{first.id}:work")

    assert ways.ephemeral
    assert "Picture 2" in answer(ways)
    assert len(shown(ways).attachments) == 1
    await restart()
    await world.ben.click(shown(ways), label="Twice the size")
    large = await only_job(world, world.ben)
    assert (large.request["source"]["key"], large.request["seed"]) == (f"pictures/{first.id}/1/1.png", 8)
    form = await world.ben.click(shown(ways), label="Draw a part anew")
    await world.ben.submit_modal(form, {"region": ["middle"], "prompt": "a boat"})
    part = next(job for job in await world.active(world.ben) if job.id != large.id)
    assert part.request["source"]["key"] == f"pictures/{first.id}/1/1.png"
