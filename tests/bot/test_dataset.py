"""/dataset: many varied pictures of one subject, and a zip of the good ones that Hugging Face's `datasets` reads."""

import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Picture
from PIL import ImageDraw

from bot.datasets import LEAST_SCORE, MAX_PICTURES, MIN_PICTURES, Drawn, NothingToKeep, as_zip, choose
from bot.variety import COMBINATIONS, LIGHT, PLACES, VIEWS, captions
from bot.views import dataset_card, dataset_offer
from bot.views.dataset_offer import Offer
from bot.views.picture_card import MAX_GALLERY, Around
from storage.contract import Done, Failed, FailureReason, Imagined, Started, SubjectKind, picture_key
from storage.contract import Picture as Made
from storage.schema import Job, JobState, Model, PictureSet, SetKind
from tests.bot.conftest import Restart, World, answer, shown, words
from tests.bot.made import drawn, trained
from tests.bot.payloads import check_message
from tests.bot.test_layouts import drawn as drawn_rows
from tests.bot.test_layouts import file, jobs, models

COUNT = 5
SIDE = 64


def scene(number: int, ending: str = "PNG") -> bytes:
    """A picture unlike those of other numbers: the same ball in a place of its own."""
    chance = np.random.default_rng(number)
    blocks = Picture.fromarray(chance.integers(0, 255, (4, 4, 3), np.uint8)).resize(
        (SIDE, SIDE), Picture.Resampling.BOX
    )
    left, top = chance.integers(4, 28, 2).tolist()
    ImageDraw.Draw(blocks).ellipse((left, top, left + 32, top + 32), fill=(250, 140, 30))
    packed = io.BytesIO()
    blocks.save(packed, ending)
    return packed.getvalue()


async def offered(world: World, **options: Any) -> Any:
    return await world.ada.slash(world.channel, "dataset", model="rex", **{"count": COUNT, **options})


async def under_way(world: World, **options: Any) -> tuple[list[Job], Any]:
    """Ada has a data set of rex drawn; returns its jobs in their order and its card, which waits."""
    result = await world.ada.click(shown(await offered(world, **options)), label="Draw them")
    active = await world.active(world.ada)
    return sorted(active, key=lambda job: int(job.request["seed"])), shown(result)


async def draw(world: World, job: Job, picture: bytes, score: float | None = None) -> None:
    """Let a worker draw the job's one picture."""
    await world.apply(Started, job.id, worker="w", steps=20)
    key = picture_key(job.id, 1, 0)
    await world.services.blobs.put(key, picture)
    made = Made(key=key, seed=job.request["seed"], width=SIDE, height=SIDE, score=score)
    await world.apply(Done, job.id, seconds=2, imagined=Imagined(pictures=(made,)))


async def finished(world: World, scores: Sequence[float | None], **options: Any) -> tuple[list[Job], Any]:
    wanted, card = await under_way(world, count=len(scores), **options)
    for number, (job, score) in enumerate(zip(wanted, scores, strict=True)):
        await draw(world, job, scene(number), score)
    await world.deliver(after=5)
    return wanted, card


def unpacked(packed: bytes) -> tuple[zipfile.ZipFile, str, list[dict[str, Any]]]:
    """Return a zip, its one folder and the lines of its metadata."""
    archive = zipfile.ZipFile(io.BytesIO(packed))
    assert archive.testzip() is None
    (folder,) = {name.split("/")[0] for name in archive.namelist()}
    return archive, folder, [json.loads(line) for line in archive.read(f"{folder}/metadata.jsonl").splitlines()]


# Before anything is drawn.


async def test_says_what_it_takes_before_anything_is_drawn(world: World) -> None:
    await trained(world, world.ada)
    first = await offered(world)
    assert first.ephemeral
    assert "What they take I know once a picture was drawn here." in answer(first)
    (job,) = [await _imagined(world)]
    await drawn(world, job)  # of one picture, in two seconds

    offer = await offered(world, count=60)

    assert "60 pictures of rex, to train with" in answer(offer)
    assert "They take about 2 min, 120 GPU seconds." in answer(offer)
    assert await world.active(world.ada) == []
    declined = await world.ada.click(shown(offer), label="Cancel")
    assert "Nothing was drawn." in answer(declined)
    assert await world.active(world.ada) == []


async def _imagined(world: World) -> Job:
    await world.ada.slash(world.channel, "imagine", prompt="rex on the moon", count=1)
    (job,) = await world.active(world.ada)
    return job


async def test_each_picture_is_another_and_all_are_scored(world: World, restart: Restart) -> None:
    rex = await trained(world, world.ada)
    offer = shown(await offered(world))
    await restart()

    card = shown(await world.ada.click(offer, label="Draw them"))

    active = await world.active(world.ada)
    assert len(active) == COUNT
    assert {job.model_id for job in active} == {rex.id}
    assert len({job.request["prompt"] for job in active}) == COUNT
    assert len({job.request["seed"] for job in active}) == COUNT
    assert all(job.request["scored"] and "sks dog" in job.request["prompt"] for job in active)
    assert "A data set of rex" in words(card.message)
    assert "AI-made" not in words(card.message)


async def test_however_often_it_is_pressed_it_is_one_set(world: World) -> None:
    await trained(world, world.ada)
    offer = shown(await offered(world))
    for _ in range(2):
        await world.ada.click(offer, label="Draw them")
    assert len(await world.active(world.ada)) == COUNT
    assert len([message for message in world.seen_by(world.ben) if "A data set" in words(message)]) == 1


async def test_what_is_no_data_set(world: World) -> None:
    await trained(world, world.ada)
    assert "There is no such model" in answer(await world.ben.slash(world.channel, "dataset", model="rex", count=4))
    for count in (MIN_PICTURES - 1, MAX_PICTURES + 1):
        with pytest.raises(Exception, match="count"):
            await offered(world, count=count)
    async with world.services.database.write() as session:
        rex = await session.get_one(Model, (await trained(world, world.ada, "ink")).id)
        rex.subject_kind = SubjectKind.STYLE
    style = await world.ada.slash(world.channel, "dataset", model="ink", count=4)
    assert "is a style, and a data set shows one subject" in answer(style)
    assert await world.active(world.ada) == []


async def test_whom_a_model_is_shared_with_may_have_one(world: World) -> None:
    await trained(world, world.ada, shared_with=world.guild.id)
    offer = await world.ben.slash(world.channel, "dataset", model="rex", count=MIN_PICTURES)
    await world.ben.click(shown(offer), label="Draw them")
    assert len(await world.active(world.ben)) == MIN_PICTURES


async def test_a_used_up_quota_is_told_and_draws_nothing(world: World) -> None:
    await trained(world, world.ada)
    limited = world.services.settings.model_copy(update={"max_pictures_per_day": COUNT})
    world.bot.services = replace(world.services, settings=limited)
    offer = await offered(world, count=COUNT + 1)
    assert "They count among your 5 pictures of 24 hours; 0 of these are used." in answer(offer)

    result = await world.ada.click(shown(offer), label="Draw them")

    assert "You have 5 of your 5 pictures in 24 hours left" in answer(result)
    assert await world.active(world.ada) == []


# While it is drawn, and after.


async def test_the_card_counts_and_can_be_stopped(world: World) -> None:
    await trained(world, world.ada)
    wanted, card = await under_way(world)
    for number in range(2):
        await draw(world, wanted[number], scene(number))
    await world.deliver(after=5)
    assert "2 of 5 pictures are there" in words(card.message)
    assert len(card.attachments) == 2

    await world.ada.click(card, label="Cancel")
    await world.deliver(after=5)

    assert "Cancelled; these were done by then." in words(card.message)
    result = await world.ada.click(card, label="As a zip")
    assert "2 pictures of **rex**" in answer(result)


async def test_the_zip_holds_the_good_ones_with_their_captions(world: World, restart: Restart) -> None:
    await trained(world, world.ada)
    scores = [0.9, LEAST_SCORE - 0.01, 0.7, LEAST_SCORE]
    wanted, card = await finished(world, scores)
    assert "1 of these looks too little like rex and stays out of the zip." in words(card.message)
    await restart()

    result = await world.ada.click(card, label="As a zip")

    assert result.ephemeral
    assert "Left out: 1 that looks too little like rex." in answer(result)
    (attached,) = shown(result).attachments
    assert attached.filename == "rex-dataset.zip"
    archive, folder, lines = unpacked(await attached.read())
    kept = [wanted[0], wanted[2], wanted[3]]
    assert [line["text"] for line in lines] == [job.prompt_shown for job in kept]
    assert [line["seed"] for line in lines] == [job.request["seed"] for job in kept]
    assert [line["score"] for line in lines] == [0.9, 0.7, LEAST_SCORE]
    assert {(line["model"], line["class"]) for line in lines} == {("rex", "dog")}
    assert "objects" not in lines[0]
    pictures = [archive.read(f"{folder}/{line['file_name']}") for line in lines]
    assert pictures == [scene(0), scene(2), scene(3)]
    about = archive.read(f"{folder}/README.md").decode()
    assert "3 pictures of one dog" in about
    assert f'load_dataset("imagefolder", data_dir="{folder}")' in about


async def test_boxes_come_on_request(world: World) -> None:
    await trained(world, world.ada)
    _, card = await finished(world, [None] * MIN_PICTURES)

    result = await world.ada.click(card, label="With boxes")

    (attached,) = shown(result).attachments
    _, _, lines = unpacked(await attached.read())
    assert [line["score"] for line in lines] == [None] * MIN_PICTURES
    assert len(lines) == MIN_PICTURES
    for line in lines:
        for left, top, width, height in line["objects"]["bbox"]:
            assert 0 <= left < left + width <= SIDE
            assert 0 <= top < top + height <= SIDE
        assert len(line["objects"]["categories"]) == len(line["objects"]["bbox"])


async def test_somebody_else_is_told_whose_it_is(world: World) -> None:
    await trained(world, world.ada)
    _, card = await finished(world, [None] * MIN_PICTURES)

    result = await world.ben.click(card, label="As a zip")

    assert f"<@{world.ada.id}> asked for this data set" in answer(result)
    assert shown(result).attachments == []


async def test_a_private_one_is_seen_by_its_asker_alone(world: World) -> None:
    await trained(world, world.ada)
    _, card = await finished(world, [None] * MIN_PICTURES, private=True)

    assert "A data set of rex" in words(card.message)
    assert not any("data set" in words(message) for message in world.seen_by(world.ben))
    assert "4 pictures of **rex**" in answer(await world.ada.click(card, label="As a zip"))


async def test_pictures_that_are_gone_or_all_weak(world: World) -> None:
    await trained(world, world.ada)
    wanted, card = await finished(world, [0.0, 0.1, 0.2, -1.0])
    assert "None of these pictures looks enough like its subject" in answer(
        await world.ada.click(card, label="As a zip")
    )
    for job in wanted:
        await world.services.blobs.delete(picture_key(job.id, 1, 0))
    assert "None of these" in answer(await world.ada.click(card, label="As a zip"))
    await world.ada.click(card, label="Delete")
    assert await world.services.blobs.list("pictures") == []


async def test_one_that_fails_leaves_the_others(world: World) -> None:
    await trained(world, world.ada)
    wanted, card = await under_way(world, count=MIN_PICTURES)
    await world.apply(Failed, wanted[0].id, reason=FailureReason.UNSAFE)
    for number, job in enumerate(wanted[1:]):
        await draw(world, job, scene(number))
    await world.deliver(after=5)
    assert "1 of 4 pictures did not work out." in words(card.message)
    async with world.services.database.read() as session:
        together = await session.get(PictureSet, wanted[0].id)
    assert together is not None
    assert together.kind is SetKind.DATASET
    assert together.words == "4 pictures of rex"


# What it is made of.


def test_a_walk_meets_every_combination_before_any_comes_again() -> None:
    told = captions("rex", COMBINATIONS, seed=7)
    assert len(set(told)) == COMBINATIONS == len(PLACES) * len(VIEWS) * len(LIGHT)
    assert captions("rex", 3, seed=COMBINATIONS + 1) == captions("rex", 3, seed=1)
    of_a_hundred = [sum(f"rex {place}" in caption for caption in told[:MAX_PICTURES]) for place in PLACES]
    assert max(of_a_hundred) - min(of_a_hundred) <= 1


def test_of_those_that_are_nearly_the_same_the_best_stays() -> None:
    scores = [0.5, 0.9, None]
    same = [Drawn(caption=str(score), seed=1, score=score, data=scene(1)) for score in scores]
    other = Drawn(caption="other", seed=2, score=0.6, data=scene(2))

    choice = choose([same[0], other, *same[1:]], SubjectKind.OBJECT)

    assert [kept.drawn.caption for kept in choice.kept] == ["other", "0.9"]
    assert (choice.weak, choice.same) == (0, 2)
    with pytest.raises(NothingToKeep):
        choose([Drawn(caption="", seed=1, score=-1.0, data=scene(1))], SubjectKind.OBJECT)


def test_what_is_too_large_is_encoded_anew_and_its_boxes_follow() -> None:
    noise = np.random.default_rng(1).integers(0, 255, (4, 512, 512, 3), np.uint8)
    pictures = []
    for pixels in noise:
        pixels[128:384, 128:384] = (250, 140, 30)
        packed = io.BytesIO()
        Picture.fromarray(pixels).save(packed, "PNG")
        pictures.append(Drawn(caption="x", seed=1, score=None, data=packed.getvalue()))
    kept = [*choose(pictures[:1], SubjectKind.OBJECT).kept] * 4
    limit = 200_000

    packed_set = as_zip("rex", "dog", kept, limit, folder="rex", boxes=True)

    assert len(packed_set) <= limit
    archive, folder, lines = unpacked(packed_set)
    with Picture.open(io.BytesIO(archive.read(f"{folder}/{lines[0]['file_name']}"))) as picture:
        assert picture.format == "JPEG"
        width = picture.width
    ((_, _, across, _),) = lines[0]["objects"]["bbox"]
    box = kept[0].box
    assert box is not None
    assert across == pytest.approx((box.right - box.left) * width / 512, abs=0.1)


@settings(max_examples=15)
@given(st.lists(jobs(), min_size=1, max_size=4), models(), st.data())
def test_any_card_of_a_data_set(rows: list[Job], model: Model, data: st.DataObject) -> None:
    known = {model.id: model} if data.draw(st.booleans()) else {}
    around = Around(jobs=rows, models=known, words="4 pictures of rex", kind=SetKind.DATASET)
    images = [
        image
        for job in rows
        if job.state is JobState.SUCCEEDED
        for image in drawn_rows(job, range(data.draw(st.integers(0, 25))))
    ]
    for image in images:
        image.score = data.draw(st.none() | st.floats(-2, 2))
    some = dataset_card.shown_of(images)
    assert len(some) == min(len(images), dataset_card.SHOWN) <= MAX_GALLERY
    files = [file(f"picture-{number}") for number in range(len(some))]
    place = data.draw(st.integers(0, 10**6))
    check_message(dataset_card.render(around, images, files, place=place, worker_alive=data.draw(st.booleans())).view)


@settings(max_examples=15)
@given(models(), st.integers(MIN_PICTURES, MAX_PICTURES), st.integers(1, 2**64 - 1), st.data())
def test_any_offer_of_a_data_set(model: Model, count: int, asked_by: int, data: st.DataObject) -> None:
    offer = Offer(
        model=model,
        count=count,
        private=data.draw(st.booleans()),
        asked_by=asked_by,
        picture_seconds=data.draw(st.none() | st.floats(0, 10**6)),
        used=data.draw(st.integers(0, 10**6)),
        per_day=data.draw(st.none() | st.integers(0, 10**6)),
        price_per_hour=data.draw(st.floats(0, 10**4)),
        currency="*EUR*",
    )
    check_message(dataset_offer.render(offer))
