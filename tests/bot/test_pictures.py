"""What stands under pictures: templates and looks drawn together on one card, and each of its buttons."""

from typing import Any

import discord
import pytest
from sqlalchemy import select

from bot.settings import BotSettings
from storage.contract import Failed, FailureReason
from storage.jobs import delete_pictures, pictures_of
from storage.people import Defaults, defaults_of
from storage.schema import Companion, Delivery, Job, JobState, Report
from tests.bot.conftest import Restart, World, answer, shown, words
from tests.bot.made import drawn, trained
from tests.bot.test_imagine import finished, gallery, imagine, newest, only_job, pings, refused


async def set_of_three(world: World) -> tuple[list[Job], Any]:
    """A template of three, drawn and shown."""
    result = await imagine(world, "rex at the {beach|moon|forest}", count=3, seed=5)
    jobs = await world.active(world.ada)
    for job in jobs:
        await drawn(world, job)
    await world.deliver(after=5)
    return [await world.job(job.id) for job in jobs], shown(result)


async def test_a_template_draws_each_picture_from_its_own_words(world: World) -> None:
    rex = await trained(world, world.ada)

    jobs, message = await set_of_three(world)

    prompts = {job.request["prompt"] for job in jobs}
    assert prompts == {"sks dog at the beach", "sks dog at the moon", "sks dog at the forest"}
    assert sorted(job.request["seed"] for job in jobs) == [5, 6, 7]
    assert {job.model_id for job in jobs} == {rex.id}
    seen = words(message.message)
    assert "### rex\n`rex at the {beach|moon|forest}`" in seen
    assert {item["description"].partition(": ")[2] for item in gallery(message)} == {job.prompt_shown for job in jobs}
    assert "seeds 5, 6, 7" in seen
    async with world.services.database.read() as session:
        cards = (
            await session.scalars(select(Delivery.job_id).where(Delivery.job_id.in_([job.id for job in jobs])))
        ).all()
        companions = (await session.scalars(select(Companion.job_id))).all()
    assert len(cards) == 1
    assert {*cards, *companions} == {job.id for job in jobs}


async def test_a_set_is_one_request_that_shows_what_is_there_and_is_stopped_as_one(world: World) -> None:
    result = await imagine(world, "a {red|blue|green} boat", count=3)
    first, second, third = await world.active(world.ada)
    await drawn(world, first)
    await world.deliver(after=5)

    assert "Drawing: 1 of 3 pictures are there." in words(shown(result).message)
    listed = answer(await world.ada.slash(world.channel, "jobs"))
    assert listed.count("3 pictures: `a {red|blue|green} boat`") == 1

    await world.ada.click(shown(result), label="Cancel")
    await world.deliver(after=5)
    assert await world.active(world.ada) == []
    assert [(await world.job(job.id)).state for job in (first, second, third)] == [
        JobState.SUCCEEDED,
        JobState.CANCELLED,
        JobState.CANCELLED,
    ]
    assert "Cancelled; these were done by then." in words(shown(result).message)


async def test_what_fails_of_a_set_is_told_beside_what_is_there(world: World) -> None:
    result = await imagine(world, "a {red|blue} boat", count=2)
    first, second = await world.active(world.ada)
    await world.apply(Failed, first.id, reason=FailureReason.UNSAFE)
    await drawn(world, second)
    await world.deliver(after=5)

    assert "1 of 2 pictures did not work out. The pictures did not pass the safety check" in words(
        shown(result).message
    )
    assert len(gallery(shown(result))) == 1


async def test_a_look_puts_the_prompt_into_its_words(world: World) -> None:
    await trained(world, world.ada)

    _, message = await finished(world, "rex", look="moonwalk")

    job = (await pictures(world, message))[0]
    assert job.request["prompt"] == "sks dog on the moon"
    assert (job.prompt_shown, job.look) == ("rex", "Moonwalk")
    assert "look Moonwalk" in words(message.message)


async def pictures(world: World, message: Any) -> list[Job]:
    async with world.services.database.read() as session:
        card = await session.scalar(select(Delivery).where(Delivery.message_id == message.id))
    assert card is not None
    return [await world.job(card.job_id)]


async def test_avatars_are_eight_at_once(world: World) -> None:
    await trained(world, world.ada)

    await imagine(world, "rex", look="avatars")

    jobs = await world.active(world.ada)
    assert sum(job.request["count"] for job in jobs) == 8
    assert len({job.request["prompt"] for job in jobs}) == 8


async def test_what_cannot_be_drawn(world: World) -> None:
    assert "opens a choice and never closes it" in await refused(world, "a {red|blue boat")
    assert "There is no such look here." in await refused(world, "a boat", look="cubism")
    assert "There is no such look here." in await refused(world, "a boat", look="watercolour")  # the demo base cannot


async def test_offers_the_looks_that_there_are(world: World) -> None:
    choices = await world.ada.autocomplete(world.channel, "imagine", "look", "moon", prompt="x")
    assert choices == [{"name": "Moonwalk · one small step", "value": "moonwalk"}]


# Buttons.


async def test_the_same_seed_gives_the_same_request(world: World, restart: Restart) -> None:
    await trained(world, world.ada)
    first, message = await finished(world, "rex at sea", count=2, seed=7, steps=30)
    await restart()

    result = await world.ada.click(message, label="Same seed")

    job = await only_job(world)
    assert {**job.request, "job": ""} == {**first.request, "job": ""}
    assert job.parent_id == first.id
    assert f"[from this card](https://discord.com/channels/{world.guild.id}/{world.channel.id}/{message.id})" in answer(
        result
    )


async def test_what_was_drawn_fast_is_drawn_again_in_best_quality(world: World) -> None:
    _, usual = await finished(world, "a fox at sea")
    assert "In best quality" not in words(usual)
    first, message = await finished(world, "a fox at sea", seed=7, steps=4, quality="fast")
    await world.ada.click(message, label="In best quality")

    job = await only_job(world)
    assert {**job.request, "job": ""} == {**first.request, "job": "", "quality": "best", "steps": None}
    assert job.parent_id == first.id


async def test_a_set_is_drawn_again_whole(world: World) -> None:
    await trained(world, world.ada)
    jobs, message = await set_of_three(world)

    await world.ada.click(message, label="Again")

    again = await world.active(world.ada)
    assert {job.request["prompt"] for job in again} == {job.request["prompt"] for job in jobs}
    assert {job.request["seed"] for job in again}.isdisjoint({5, 6, 7})


async def test_the_form_begins_with_what_was_asked_for(world: World, restart: Restart) -> None:
    await trained(world, world.ada)
    first, message = await finished(world, "rex at sea", count=2, seed=7, steps=30, negative="fog", look="royal")
    await restart()

    form = await world.ada.click(message, label="Edit prompt")
    values = str(form.modal)
    assert all(f"'value': '{value}'" in values for value in ("rex at sea", "fog", "7"))

    await world.ada.submit_modal(form, {"prompt": "rex at home", "negative": "", "seed": "8", "count": ["1"]})
    job = await only_job(world)
    assert job.request["prompt"] == "sks dog at home wearing a crown"
    assert (job.request["seed"], job.request["steps"], job.request["count"]) == (8, 30, 1)
    assert (job.parent_id, job.look) == (first.id, "Royal portrait")


async def test_the_form_keeps_a_template_and_a_chosen_model(world: World) -> None:
    rex = await trained(world, world.ada)
    _, message = await finished(world, "at {sea}", model=rex.id)

    form = await world.ada.click(message, label="Edit prompt")
    assert "'value': 'at {sea}'" in str(form.modal)
    told = answer(await world.ada.submit_modal(form, {"prompt": "at sea", "seed": "x", "count": ["1"]}))
    assert "A seed is a whole number from 0 to 4,294,967,295." in told
    form = await world.ada.click(message, label="Edit prompt")
    await world.ada.submit_modal(form, {"prompt": "in the snow", "seed": "", "count": ["1"]})

    assert (await only_job(world)).request["prompt"] == "sks dog in the snow"


@pytest.mark.parametrize(
    ("label", "tool", "strength"),
    [("Vary a little", "vary", 0.35), ("Vary a lot", "vary", 0.7), ("Twice the size", "upscale", 0.3)],
)
async def test_goes_on_from_a_picture(world: World, restart: Restart, label: str, tool: str, strength: float) -> None:
    rex = await trained(world, world.ada, shared_with=world.guild.id)
    first, message = await finished(world, "rex at sea", seed=7, steps=30)
    async with world.services.database.read() as session:
        (picture,) = await pictures_of(session, first.id)
    await restart()

    await world.ben.click(message, label=label)

    job = await only_job(world, world.ben)
    assert job.request["source"] == {"tool": tool, "key": picture.key, "mask": None, "strength": strength}
    assert (job.model_id, job.parent_id, job.request["count"], job.request["steps"]) == (rex.id, first.id, 1, 30)
    assert (job.request["seed"] == 7) == (tool == "upscale")
    await drawn(world, job)
    await world.deliver(after=5)
    assert ("Twice the size" in words(newest(world))) == (tool != "upscale")


async def test_a_deleted_picture_is_no_place_to_go_on_from(world: World) -> None:
    first, message = await finished(world, "a boat", private=True)
    async with world.services.database.write() as session:
        await delete_pictures(session, first.id)

    assert "That picture is no longer there." in answer(await world.ada.click(message, label="Vary a lot"))
    assert "The words of that request are deleted." in answer(await world.ada.click(message, label="Same seed"))


async def test_details_tell_all_and_to_the_presser_alone(world: World) -> None:
    await trained(world, world.ada)
    _, message = await finished(world, "rex at sea", seed=7, steps=30, guidance=4.5, negative="fog")

    result = await world.ben.click(message, label="Details")

    assert result.ephemeral
    told = answer(result)
    for fact in ("`rex at sea`", "`sks dog at sea`", "`fog`", "rex (version 1, best)", "**Seeds** 7", "64 × 64", "30"):
        assert fact in told
    assert "**Guidance** 4.5" in told
    assert f"<@{world.ada.id}>" in told
    assert pings(world, result.response) == []


async def test_its_owner_makes_a_picture_the_models_cover(world: World) -> None:
    rex = await trained(world, world.ada)
    job, message = await finished(world, "rex at sea", count=2)

    asked = await world.ada.click(message, label="Make it the cover")
    await world.ada.select(shown(asked), ["2"])
    gallery_page = shown(await world.ada.slash(world.channel, "models"))

    async with world.services.database.read() as session:
        _, second = await pictures_of(session, job.id)
        model = await session.get_one(type(rex), rex.id)
    assert model.cover_key is not None
    assert model.cover_key != rex.cover_key
    assert await world.services.blobs.get(model.cover_key) == await world.services.blobs.get(second.key)
    assert len(gallery_page.attachments) == 1

    await world.ada.click(message, label="Delete")
    assert await world.services.blobs.exists(model.cover_key)


async def test_nobody_else_changes_the_cover(world: World) -> None:
    await trained(world, world.ada, shared_with=world.guild.id)
    _, message = await finished(world, "rex at sea")

    result = await world.ben.click(message, label="Make it the cover")

    assert f"That is <@{world.ada.id}>'s model" in answer(result)


async def test_a_report_is_noted_once_and_told_where_operators_read(world: World) -> None:
    desk = world.guild.create_text_channel("reports")
    settings = BotSettings(_env_file=None, reports_channel_id=desk.id)
    object.__setattr__(world.services, "settings", settings)
    job, message = await finished(world, "a boat @everyone")

    for told in ("Thank you. Those who run this bot will look at it.", "You have reported this one already"):
        form = await world.ben.click(message, label="Report")
        sent = await world.ben.submit_modal(form, {"reason": ["person"], "note": "That is me. @everyone"})
        assert sent.ephemeral
        assert told in answer(sent)

    async with world.services.database.read() as session:
        (report,) = await session.scalars(select(Report))
    assert (report.job_id, report.reporter_id, report.reason) == (job.id, world.ben.id, "person")
    (notice,) = desk.history()
    assert all(
        part in words(notice) for part in ("somebody who did not agree", str(message.id), "`That is me. @everyone`")
    )
    assert world.pinged(notice) == set()


async def test_deleting_a_set_deletes_all_of_it(world: World) -> None:
    await trained(world, world.ada)
    jobs, message = await set_of_three(world)

    await world.ada.click(message, label="Delete")

    assert await world.services.blobs.list("pictures") == []
    assert [(await world.job(job.id)).prompt_shown for job in jobs] == [None, None, None]


# What /imagine takes by itself.


async def test_a_persons_defaults_fill_what_is_left_open(world: World, restart: Restart) -> None:
    card = shown(await world.ada.slash(world.channel, "settings"))
    assert "one square picture, for everybody" in words(card.message)
    await restart()
    form = await world.ada.click(card, label="Choose")
    await world.ada.submit_modal(form, {"count": ["2"], "look": ["royal"], "negative": "fog", "private": ["private"]})
    for fact in ("2 pictures at once", "the look Royal portrait", "without `fog`", "for your eyes only"):
        assert fact in words(card.message)

    result = await imagine(world, "a dog")
    world.clock.advance(1)
    other = await imagine(world, "a dog", look="none", count=1, negative="", private=False)

    first, second = await world.active(world.ada)
    assert (first.request["prompt"], first.request["count"], first.request["negative_prompt"]) == (
        "a dog wearing a crown",
        2,
        "fog",
    )
    assert (second.request["prompt"], second.request["count"], second.request["negative_prompt"]) == ("a dog", 1, "")
    assert (result.ephemeral, other.ephemeral) == (True, False)

    await world.ada.click(card, label="As for everybody")
    async with world.services.database.read() as session:
        assert await defaults_of(session, world.ada.id) == Defaults()


# Looks.


@pytest.fixture
def keeper(world: World) -> Any:
    role = world.guild.create_role("Artists", permissions=discord.Permissions(manage_expressions=True))
    return world.guild.add_member(world.env.create_user("cleo"), roles=[role])


async def test_styles_shows_each_look_with_its_picture(world: World, restart: Restart) -> None:
    page = shown(await world.ada.slash(world.channel, "styles"))
    assert page.ephemeral
    assert "Page 1 of 3 · 13 looks" in words(page.message)
    assert len(page.attachments) == 6
    await restart()
    await world.ada.click(page, label="Next")
    assert "Page 2 of 3" in words(page.message)
    assert "Add a look" not in words(page.message)

    form = await world.ada.select(page, ["moonwalk"])
    await world.ada.submit_modal(form, {"prompt": "a fox"})
    assert (await only_job(world)).request["prompt"] == "a fox on the moon"


async def test_a_server_keeps_looks_of_its_own(world: World, keeper: Any) -> None:
    page = shown(await keeper.slash(world.channel, "styles"))
    form = await keeper.click(page, label="Add a look")
    told = answer(await keeper.submit_modal(form, {"name": "Glass", "words": "as stained glass"}))
    assert "A look needs `{prompt}`" in told
    form = await keeper.click(page, label="Add a look")
    await keeper.submit_modal(form, {"name": "Glass", "words": "{prompt} as {red|blue} glass", "negative": "wood"})
    assert "**Glass** · this server's own" in words(page.message)

    await imagine(world, "a fox", look="glass", seed=1)
    job = await only_job(world)
    assert job.request["prompt"] in {"a fox as red glass", "a fox as blue glass"}
    assert job.request["negative_prompt"] == "wood"
    elsewhere = world.env.create_guild("Another server")
    stranger = elsewhere.add_member(world.env.create_user("dora"))
    outside = await stranger.slash(elsewhere.create_text_channel("studio"), "imagine", prompt="a fox", look="glass")
    assert "There is no such look here." in answer(outside)

    form = await world.ada.select(
        shown(await world.ada.slash(world.channel, "styles")), ["avatars"], custom_id="looks:try"
    )
    assert form.modal is not None
    await keeper.select(page, [await look_id(world)], custom_id="looks:remove:2")
    assert "Glass" not in words(page.message)


async def look_id(world: World) -> str:
    choices = await world.ada.autocomplete(world.channel, "imagine", "look", "glass", prompt="x")
    return str(choices[0]["value"])
