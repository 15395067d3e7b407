"""A picture that is sent along with `/imagine`, to draw from."""

import io
from typing import Any

import pytest
from PIL import Image as Picture

from bot import personal_data
from storage.contract import ImagineRequest, Source, Tool, reference_key
from storage.jobs import delete_pictures
from storage.leftovers import unreferenced
from tests.bot.conftest import World, answer
from tests.bot.made import trained
from tests.bot.test_imagine import finished, imagine, only_job, refused


def photo(width: int, height: int) -> tuple[str, bytes]:
    packed = io.BytesIO()
    Picture.new("RGB", (width, height), (200, 120, 40)).save(packed, "JPEG")
    return "lake.jpg", packed.getvalue()


async def references(world: World) -> list[str]:
    return list(await world.services.blobs.list("references"))


async def test_is_drawn_from(world: World) -> None:
    rex = await trained(world, world.ada)
    await imagine(world, "rex at a lake", reference=photo(320, 240), change=35)

    job = await only_job(world)
    request = ImagineRequest.model_validate(job.request)
    assert request.source == Source(tool=Tool.VARY, key=reference_key(job.id), strength=0.35)
    assert (job.model_id, request.prompt) == (rex.id, "sks dog at a lake")
    with Picture.open(io.BytesIO(await world.services.blobs.get(reference_key(job.id)))) as kept:
        assert (kept.size, kept.format) == ((320, 240), "PNG")


async def test_more_than_half_of_it_may_change_where_nobody_says_otherwise(world: World) -> None:
    await imagine(world, "a boat", reference=photo(400, 300))
    request = (await only_job(world)).request
    assert request["source"]["strength"] == 0.6
    assert (request["width"], request["height"]) == (None, None)  # the demo base draws squares alone


async def test_each_picture_of_a_template_keeps_it(world: World) -> None:
    await imagine(world, "a boat {at sea|in space}", reference=photo(200, 200), count=4, seed=1)
    jobs = await world.active(world.ada)
    assert len(jobs) > 1
    assert sorted(await references(world)) == sorted(reference_key(job.id) for job in jobs)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"change": 40}, "there is none: send a picture along"),
        ({"reference": ("notes.txt", b"hello")}, "not a picture that I can read"),
        ({"reference": photo(64, 64)}, "both sides need at least 128 pixels"),
        ({"reference": photo(200, 200), "prompt": "a {boat"}, "opens a choice and never closes it"),
    ],
)
async def test_what_cannot_be_drawn_from(world: World, options: dict[str, Any], told: str) -> None:
    assert told in await refused(world, **{"prompt": "a boat", **options})
    assert await references(world) == []


async def test_what_is_refused_leaves_nothing(world: World) -> None:
    world.services.settings.__dict__["max_active_pictures"] = 1
    await imagine(world, "a boat")
    told = answer(await imagine(world, "a ship", reference=photo(200, 200)))
    assert "requests for pictures under way already" in told
    assert await references(world) == []


async def test_it_goes_with_the_words_beside_it(world: World) -> None:
    gone, _ = await finished(world, "a boat", reference=photo(200, 200))
    kept, _ = await finished(world, "a ship", reference=photo(200, 200))
    async with world.services.database.write() as session:
        assert reference_key(gone.id) in await delete_pictures(session, gone.id)
    async with world.services.database.read() as session:
        keys = [reference_key(gone.id), reference_key(kept.id)]
        assert await unreferenced(session, keys) == [reference_key(gone.id)]
    await personal_data.forget(world.services, world.ada.id)
    assert await references(world) == [reference_key(gone.id)]  # which the next sweep takes
