"""/imagine as people use it: the real command in a simulated Discord, its card, its buttons, and what can go wrong."""

import io
from typing import Any

import discord
import pytest
from PIL import Image as Picture
from simcord.actors import MemberActor
from simcord.backend.errors import OptionError, SetupError
from simcord.results import InteractionResult

from storage.contract import MAX_PROMPT_CHARS, Failed, FailureReason
from storage.jobs import pictures_of
from storage.schema import Job, JobState
from tests.bot.conftest import Restart, World, answer, words
from tests.bot.made import begun, drawn, trained

PLAIN_BASE = "No model of yours is named here, so this is the plain base model."


async def imagine(world: World, prompt: str, who: MemberActor | None = None, **options: Any) -> InteractionResult:
    return await (who or world.ada).slash(world.channel, "imagine", prompt=prompt, **options)


async def only_job(world: World, who: MemberActor | None = None) -> Job:
    (job,) = await world.active(who or world.ada)
    return job


async def finished(world: World, prompt: str, who: MemberActor | None = None, **options: Any) -> tuple[Job, Any]:
    """Ask, draw and deliver; returns the job and the message that shows it."""
    result = await imagine(world, prompt, who, **options)
    job = await only_job(world, who)
    await drawn(world, job)
    await world.deliver()
    return await world.job(job.id), result.response


async def refused(world: World, prompt: str, who: MemberActor | None = None, **options: Any) -> str:
    """Ask for what cannot be; returns what the person alone is told."""
    asker = who or world.ada
    jobs, seen = len(await world.active(asker)), len(world.seen_by(world.ben if asker is world.ada else world.ada))
    result = await imagine(world, prompt, asker, **options)
    assert len(await world.active(asker)) == jobs
    assert len(world.seen_by(world.ben if asker is world.ada else world.ada)) == seen
    return answer(result)


def gallery(message: Any) -> list[dict[str, Any]]:
    (card,) = [part if isinstance(part, dict) else part.to_dict() for part in message.components]
    (found,) = [part for part in card["components"] if part["type"] == discord.ComponentType.media_gallery.value]
    return list(found["items"])


def newest(world: World) -> discord.Message:
    message = world.channel.last_message
    assert message is not None
    return message


def pings(world: World, message: Any) -> list[Any]:
    """Who would be notified of the message."""
    stored = world.env.backend.get_message(world.channel.id, message.id)
    return [*stored.ping_user_ids, *stored.ping_role_ids, *(["everyone"] if stored.mention_everyone else [])]


# A picture from a name.


async def test_draws_a_model_that_the_prompt_names(world: World) -> None:
    rex = await trained(world, world.ada)

    result = await imagine(world, "Rex on the moon", count=2, seed=7)

    job = await only_job(world)
    assert (job.model_id, job.request["prompt"], job.request["count"]) == (rex.id, "sks dog on the moon", 2)
    assert job.request["adapter"] == {"model": rex.id, "key": rex.adapter_key, "digest": rex.adapter_digest}
    assert (job.request["width"], job.request["height"], job.request["seed"]) == (None, None, 7)
    assert not result.ephemeral
    assert all(part in answer(result) for part in ("### rex", "`Rex on the moon`", "Next in line.", "Cancel"))
    assert world.queue.wakes == 1


async def test_the_waiting_card_becomes_the_result(world: World) -> None:
    await trained(world, world.ada)
    before = len(world.seen_by(world.ben))

    _, message = await finished(world, "rex on the moon", count=2, seed=7)

    assert len(world.seen_by(world.ben)) == before + 2  # the training's own message came meanwhile
    items = gallery(message)
    assert [item["description"] for item in items] == [
        "AI-made picture 1 of 2: rex on the moon",
        "AI-made picture 2 of 2: rex on the moon",
    ]
    assert all(part in words(message.message) for part in ("AI-made · seeds 7, 8 · asked by", "Again", "Delete"))
    assert "Next in line" not in words(message.message)
    assert pings(world, message) == []
    assert len(message.attachments) == 2
    with Picture.open(io.BytesIO(await message.attachments[0].read())) as shown:
        assert shown.size == (512, 512)


async def test_without_a_name_the_plain_base_draws_and_says_so(world: World) -> None:
    await trained(world, world.ada)

    job, message = await finished(world, "a dog on the moon")

    assert (job.model_id, job.request["adapter"], job.request["prompt"]) == (None, None, "a dog on the moon")
    assert PLAIN_BASE in words(message.message)
    assert "The plain base model" in words(message.message)


async def test_a_chosen_model_is_put_into_the_prompt(world: World) -> None:
    rex = await trained(world, world.ada)

    await imagine(world, "on the moon", model=rex.id)
    world.clock.advance(1)
    await imagine(world, "at sea", model="REX")

    first, second = await world.active(world.ada)
    assert (first.request["prompt"], second.request["prompt"]) == ("sks dog on the moon", "sks dog at sea")
    assert first.model_id == second.model_id == rex.id


async def test_every_option_reaches_the_job(world: World) -> None:
    job, message = await finished(
        world,
        "a boat",
        seed=0,
        quality="fast",
        steps=30,
        guidance=4.5,
        negative="people",
        spoiler=True,
        size="square",
        png=True,
    )

    assert (job.request["lossless"], job.request["quality"]) == (True, "fast")
    shown = words(message.message)
    asked = ("seed 0", "fast quality", "30 steps", "guidance 4.5", "without `people`")
    assert all(part in shown for part in asked)
    assert all(item["spoiler"] for item in gallery(message))


async def test_seeds_differ_unless_one_is_given(world: World) -> None:
    await imagine(world, "a boat")
    await imagine(world, "a boat")

    first, second = await world.active(world.ada)
    assert first.request["seed"] != second.request["seed"]


@pytest.mark.parametrize(
    "options", [{"count": 5}, {"count": 0}, {"seed": -1}, {"seed": 2**32}, {"steps": 151}, {"guidance": 0.5}]
)
async def test_discord_itself_holds_the_limits(world: World, options: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        await imagine(world, "a boat", **options)


async def test_the_demo_base_offers_squares_alone(world: World) -> None:
    with pytest.raises(OptionError):
        await imagine(world, "a boat", size="portrait")


# Private pictures.


async def test_a_private_picture_is_seen_by_its_asker_alone(world: World) -> None:
    seen = len(world.seen_by(world.ben))

    job, message = await finished(world, "a boat", private=True)

    assert (job.private, message.ephemeral) == (True, True)
    assert len(world.seen_by(world.ben)) == seen
    assert len(gallery(message)) == 1
    with pytest.raises(SetupError, match="not visible"):
        await world.ben.click(message, label="Again")


async def test_again_on_a_private_picture_stays_private(world: World) -> None:
    _, message = await finished(world, "a boat", private=True)

    again = await world.ada.click(message, label="Again")

    assert again.ephemeral
    assert (await only_job(world)).private


# Prompts that cannot be drawn.


async def test_more_models_than_fit_in_one_prompt(world: World) -> None:
    await trained(world, world.ada)
    await trained(world, world.ada, "luna", "cat")
    await trained(world, world.ada, "comet", "car")

    told = await refused(world, "luna and Rex in comet")

    assert "Two subjects fit into a picture, and I found **luna**, **rex** and **comet**." in told


async def test_a_prompt_that_is_too_long(world: World) -> None:
    told = await refused(world, "a" * 4000)
    assert f"4,000 characters, with each name written out as the model knows it, and {MAX_PROMPT_CHARS:,} fit." in told

    assert "too long" in await refused(world, "a boat", negative="b" * (MAX_PROMPT_CHARS + 1))


async def test_the_longest_prompt_that_fits_is_drawn_and_cut_in_the_card(world: World) -> None:
    job, message = await finished(world, "a" * MAX_PROMPT_CHARS)

    assert job.request["prompt"] == "a" * MAX_PROMPT_CHARS
    assert f"`{'a' * 299}…`" in words(message.message)
    assert "a" * 900 in gallery(message)[0]["description"]


async def test_an_empty_prompt(world: World) -> None:
    assert "That prompt is empty." in await refused(world, " \u202e ")


async def test_a_model_that_still_trains(world: World) -> None:
    await begun(world, world.ada)

    assert "**rex** is not ready: it is still training" in await refused(world, "rex on the moon")


async def test_too_many_pictures_at_once(world: World) -> None:
    for _ in range(world.services.settings.max_active_pictures):
        await imagine(world, "a boat")

    assert "You have 5 requests for pictures under way already." in await refused(world, "a boat")
    assert (await imagine(world, "a boat", world.ben)).response is not None


@pytest.mark.parametrize(
    "prompt", ["@everyone @here <@{ada}> <@&1>", "``` **x** ``", "# big\n> x", "[x](https://example.org)", "||x|| `"]
)
async def test_mentions_and_markup_in_a_prompt_stay_words(world: World, prompt: str) -> None:
    prompt = prompt.format(ada=world.ada.id)

    _, message = await finished(world, prompt)

    shown = message.message
    assert pings(world, shown) == []
    (line,) = [line for line in words(shown).splitlines() if line.startswith("`") and line.endswith("`")]
    assert line == f"`{' '.join(prompt.split()).replace('`', 'ˋ')}`"
    assert "`" not in line[1:-1]


# Other people's models.


async def test_a_model_of_somebody_else_is_as_good_as_none(world: World) -> None:
    rex = await trained(world, world.ada)

    missing = await refused(world, "on the moon", world.ben, model="0" * 32)
    assert "There is no such model for you here." in missing
    assert await refused(world, "on the moon", world.ben, model=rex.id) == missing
    assert await refused(world, "on the moon", world.ben, model="rex") == missing

    await imagine(world, "rex on the moon", world.ben)
    job = await only_job(world, world.ben)
    assert (job.model_id, job.request["prompt"]) == (None, "rex on the moon")


async def test_a_shared_model_draws_for_everybody_in_its_server_alone(world: World) -> None:
    rex = await trained(world, world.ada, shared_with=world.guild.id)
    elsewhere = world.env.create_guild("Another server")
    channel = elsewhere.create_text_channel("studio")
    stranger = elsewhere.add_member(world.env.create_user("cleo"))

    await imagine(world, "rex on the moon", world.ben)
    outside = await stranger.slash(channel, "imagine", prompt="rex on the moon", model=rex.id)

    assert (await only_job(world, world.ben)).model_id == rex.id
    assert "There is no such model for you here." in answer(outside)


async def test_own_models_come_first_and_equal_names_need_a_choice(world: World) -> None:
    cleo = world.guild.add_member(world.env.create_user("cleo"))
    shared = await trained(world, world.ada, shared_with=world.guild.id)
    await trained(world, world.ben, shared_with=world.guild.id)

    assert "Several people share a model called **rex** here." in await refused(world, "rex at sea", cleo)

    await imagine(world, "rex at sea", cleo, model=shared.id)
    assert (await only_job(world, cleo)).model_id == shared.id
    await imagine(world, "rex at sea")
    assert (await only_job(world)).model_id == shared.id


async def test_a_direct_message_knows_own_models_alone(world: World) -> None:
    rex = await trained(world, world.ada)
    await trained(world, world.ben, "luna", shared_with=world.guild.id)

    await world.ada.user.slash("imagine", prompt="rex and luna")

    assert (await only_job(world)).model_id == rex.id


# Choosing a model while typing.


async def choices(world: World, typed: str, who: MemberActor | None = None) -> list[dict[str, Any]]:
    return await (who or world.ada).autocomplete(world.channel, "imagine", "model", typed, prompt="x")


async def test_offers_own_models_and_shared_ones(world: World) -> None:
    luna = await trained(world, world.ben, "luna", "cat", shared_with=world.guild.id)
    await trained(world, world.ben, "secret")
    rex = await trained(world, world.ada)
    await begun(world, world.ada, "later")

    assert await choices(world, "") == [
        {"name": "rex · dog", "value": rex.id},
        {"name": "luna · cat · shared, of 2026-01-01", "value": luna.id},
    ]
    assert [choice["value"] for choice in await choices(world, " UN")] == [luna.id]
    assert await choices(world, "secret") == []


async def test_offers_25_models_of_many_and_finds_the_others_by_name(world: World) -> None:
    for number in range(27):
        await trained(world, world.ada, f"pup {number:02}")

    assert len(await choices(world, "")) == 25
    assert [choice["name"] for choice in await choices(world, "26")] == ["pup 26 · dog"]
    assert len(await choices(world, "PUP 1")) == 10


# Buttons.


async def test_again_draws_the_same_from_another_seed(world: World) -> None:
    rex = await trained(world, world.ada)
    first, message = await finished(world, "rex at sea", count=2, seed=7, steps=30)

    result = await world.ada.click(message, label="Again")

    job = await only_job(world)
    assert not result.ephemeral
    assert {**job.request, "job": "", "seed": 0} == {**first.request, "job": "", "seed": 0}
    assert job.request["seed"] != first.request["seed"]
    assert (job.model_id, job.prompt_shown) == (rex.id, "rex at sea")
    await drawn(world, job)
    await world.deliver()
    assert result.response is not None
    assert len(gallery(result.response)) == 2
    assert "seed 7" not in words(result.response.message)


async def test_buttons_work_after_a_restart_and_once_a_press(world: World, restart: Restart) -> None:
    _, message = await finished(world, "a boat")
    await restart()

    await world.ada.click(message, label="Again")

    job = await only_job(world)
    await drawn(world, job)
    await world.deliver()
    await restart()
    await world.ada.click(message, label="Delete")
    assert (await world.job(job.id)).state is JobState.SUCCEEDED


async def test_again_by_somebody_else_is_their_own_job(world: World) -> None:
    await trained(world, world.ada, shared_with=world.guild.id)
    _, message = await finished(world, "rex at sea")

    await world.ben.click(message, label="Again")

    assert await world.active(world.ada) == []
    assert (await only_job(world, world.ben)).owner_id == world.ben.id


async def test_again_by_somebody_who_may_not_use_the_model(world: World) -> None:
    await trained(world, world.ada)
    _, message = await finished(world, "rex at sea")

    result = await world.ben.click(message, label="Again")

    assert result.ephemeral
    assert "There is no such model for you here." in answer(result)
    assert await world.active(world.ben) == []


async def test_the_asker_deletes_picture_and_message(world: World) -> None:
    job, message = await finished(world, "a boat", count=2)

    await world.ada.click(message, label="Delete")

    assert world.seen_by(world.ben) == []
    assert await world.services.blobs.list("pictures") == []
    async with world.services.database.read() as session:
        assert await pictures_of(session, job.id) == []


async def test_the_asker_deletes_a_private_picture(world: World) -> None:
    _, message = await finished(world, "a boat", private=True)

    await world.ada.click(message, label="Delete")

    assert world.seen_by(world.ada) == []
    assert await world.services.blobs.list("pictures") == []


async def test_others_do_not_delete_but_a_moderator_does(world: World) -> None:
    _, message = await finished(world, "a boat")
    role = world.guild.create_role("Moderators", permissions=discord.Permissions(manage_messages=True))
    moderator = world.guild.add_member(world.env.create_user("mo"), roles=[role])

    result = await world.ben.click(message, label="Delete")

    assert result.ephemeral
    assert f"<@{world.ada.id}> asked for that picture, so only they or a moderator can delete it." in answer(result)
    assert pings(world, result.response) == []
    assert len(await world.services.blobs.list("pictures")) == 1

    await moderator.click(message, label="Delete")
    assert await world.services.blobs.list("pictures") == []
    assert message.id not in [each.id for each in world.seen_by(world.ben)]


async def test_a_waiting_picture_can_be_cancelled(world: World) -> None:
    result = await imagine(world, "a boat")

    assert result.response is not None
    await world.ada.click(result.response, label="Cancel")
    await world.deliver(after=5)

    assert await world.active(world.ada) == []
    assert "Cancelled." in words(world.seen_by(world.ben)[0])


# What goes wrong later.


async def test_a_failure_is_told_in_the_card(world: World) -> None:
    result = await imagine(world, "a boat")
    job = await only_job(world)

    await world.apply(Failed, job.id, reason=FailureReason.OUT_OF_MEMORY)
    await world.deliver()

    assert result.response is not None
    assert "did not fit into the graphics card's memory" in words(result.response.message)
    await world.ada.click(result.response, label="Again")
    assert (await only_job(world)).id != job.id


async def test_says_when_no_worker_runs(world: World) -> None:
    world.queue.alive = False

    result = await imagine(world, "a boat")

    assert "No worker is running right now; I keep your place." in answer(result)
    assert (await only_job(world)).state is JobState.ACCEPTED


async def test_keeps_the_job_when_the_card_cannot_be_posted(world: World) -> None:
    world.env.inject_error("PATCH", "/webhooks/*/messages/@original", status=500, times=None)
    await imagine(world, "a boat")
    job = await only_job(world)

    await drawn(world, job)
    await world.deliver(after=20)

    assert len(gallery(newest(world))) == 1
