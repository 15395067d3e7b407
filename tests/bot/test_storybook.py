"""/storybook: scenes line by line become pages of pictures of one subject, and a book of them."""

import io
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from bot.display import for_display
from bot.erasure import erase_model
from bot.runs import TAKES
from bot.stories import MAX_SCENE_CHARS, MAX_SCENES, NoScenes, as_pdf, read_scenes
from bot.views.picture_card import Around
from bot.views.story_card import render
from bot.views.story_form import StoryForm
from storage.contract import Failed, FailureReason
from storage.schema import Job, JobState, Model, PictureSet, SetKind
from storage.sets import best_of_each, pictures_of_set
from tests.bot.conftest import Restart, World, answer, shown, words
from tests.bot.made import drawn, png, trained
from tests.bot.payloads import check_message, check_modal
from tests.bot.test_layouts import drawn as drawn_rows
from tests.bot.test_layouts import file, jobs, models

SCENES = "rex wakes up in a room\n\n  at the beach \nrex on the moon"


async def told(world: World, scenes: str = SCENES) -> tuple[list[Job], Any]:
    """Ada tells a story about rex; returns its jobs and its card, which waits."""
    form = await world.ada.slash(world.channel, "storybook", model="rex")
    result = await world.ada.submit_modal(form, {"title": "Rex goes *out*", "scenes": scenes})
    active = await world.active(world.ada)
    return sorted(active, key=lambda job: int(job.request["seed"])), shown(result)


async def finished(world: World) -> tuple[list[Job], Any]:
    scenes, card = await told(world)
    for job in scenes:
        await drawn(world, job)
    await world.deliver(after=5)
    return scenes, card


async def test_each_scene_is_a_page_of_the_same_subject(world: World, restart: Restart) -> None:
    rex = await trained(world, world.ada)

    scenes, card = await finished(world)

    assert {job.model_id for job in scenes} == {rex.id}
    prompts = {job.request["prompt"] for job in scenes}
    assert prompts == {"sks dog wakes up in a room", "sks dog at the beach", "sks dog on the moon"}
    seen = words(card.message)
    assert "### Rex goes \\*out\\*" in seen
    assert "rex wakes up in a room" in seen
    assert "Page 1 of 3" in seen
    assert "Previous" not in seen
    await restart()
    await world.ben.click(card, label="Next")
    await world.ben.click(card, label="Next")
    seen = words(card.message)
    assert "Page 3 of 3" in seen
    assert "rex on the moon" in seen
    assert "AI-made picture 3 of 3: rex on the moon" in seen
    assert "Next" not in seen
    assert len(card.attachments) == 1


async def test_a_story_is_bound_as_a_book(world: World) -> None:
    await trained(world, world.ada)
    _, card = await finished(world)

    result = await world.ben.click(card, label="As a book")

    assert result.ephemeral
    (book,) = shown(result).attachments
    packed = await book.read()
    assert book.filename == "story.pdf"
    assert packed.startswith(b"%PDF")
    assert packed.count(b"/Type /Page\n") == 4  # the title, and three scenes


async def test_of_each_scene_the_picture_most_alike_becomes_the_page(world: World) -> None:
    await trained(world, world.ada)
    scenes, card = await told(world)
    assert [job.request["scored"] for job in scenes] == [True] * 3
    for job, best in zip(scenes, (2, 0, 1), strict=True):
        await drawn(world, job, scores=[0.9 if place == best else 0.2 for place in range(TAKES)])
    await world.deliver(after=5)

    assert "Page 1 of 3" in words(card.message)
    for job, best in zip(scenes, (2, 0, 1), strict=True):
        async with world.services.database.read() as session:
            pages = best_of_each(await pictures_of_set(session, [job]))
        assert [page.position for page in pages] == [best]
    shown_bytes = await card.attachments[0].read()
    assert shown_bytes == for_display(png(2))


async def test_a_scene_that_fails_leaves_the_others(world: World) -> None:
    await trained(world, world.ada)
    scenes, card = await told(world)
    await world.apply(Failed, scenes[1].id, reason=FailureReason.UNSAFE)
    for job in (scenes[0], scenes[2]):
        await drawn(world, job)
    await world.deliver(after=5)

    assert "1 of 3 scenes did not work out." in words(card.message)
    assert "Page 1 of 2" in words(card.message)
    await world.ada.click(card, label="Delete")
    assert await world.services.blobs.list("pictures") == []


async def test_no_word_of_a_story_outlives_its_model(world: World) -> None:
    rex = await trained(world, world.ada)
    scenes, _ = await finished(world)

    await erase_model(world.services, rex.id, world.ada.id)

    async with world.services.database.read() as session:
        (together,) = await session.scalars(select(PictureSet))
    assert together.words is None
    assert [(await world.job(job.id)).prompt_shown for job in scenes] == [None, None, None]


async def test_what_is_no_story(world: World) -> None:
    await trained(world, world.ada)
    for scenes in ("\n \n", "\n".join(["a"] * (MAX_SCENES + 1)), "x" * (MAX_SCENE_CHARS + 1)):
        form = await world.ada.slash(world.channel, "storybook", model="rex")
        result = await world.ada.submit_modal(form, {"title": "Rex", "scenes": scenes})
        assert "A story needs one to 10 scenes" in answer(result)
    assert "There is no such model" in answer(await world.ben.slash(world.channel, "storybook", model="rex"))
    assert await world.active(world.ada) == []


def test_scenes_at_their_limits() -> None:
    assert read_scenes(" a \n\nb") == ["a", "b"]
    assert len(read_scenes("\n".join(["x" * MAX_SCENE_CHARS] * MAX_SCENES))) == MAX_SCENES
    with pytest.raises(NoScenes):
        read_scenes("")


def test_a_book_of_long_words_and_other_scripts() -> None:
    pages = [("太郎は月へ行く " * 20, png()), ("W" * 300, png(1))]
    assert as_pdf("ß" * 80, pages, "by").startswith(b"%PDF")
    assert io.BytesIO(as_pdf("x", pages[:1], "by")).getbuffer().nbytes < 2**20


@settings(max_examples=20)
@given(st.lists(jobs(), min_size=1, max_size=3), models(), st.text(max_size=80), st.data())
def test_any_page_of_a_story(rows: list[Job], model: Model, title: str, data: st.DataObject) -> None:
    rows[0].state = JobState.SUCCEEDED
    images = [image for job in rows if job.state is JobState.SUCCEEDED for image in drawn_rows(job, [1])]
    around = Around(jobs=rows, words=title or None, kind=SetKind.STORYBOOK, parent="https://discord.com/channels/1/2/3")

    page = data.draw(st.integers(0, len(images) - 1))
    check_message(render(around, images, page, file("page") if data.draw(st.booleans()) else None).view)
    check_modal(StoryForm(model, data.draw(st.none() | st.just("royal"))))
