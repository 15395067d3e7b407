"""Forms that were open while the bot restarted."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import discord
import pytest
from simcord.results import InteractionResult

from bot.consent import ConsentText
from bot.drafts import DRAFT_LIFE, drop_old_drafts
from storage.contract import SubjectKind, TrainRequest
from storage.people import record_consent
from storage.schema import Model
from tests.bot import photos
from tests.bot.conftest import Restart, World, answer, choose_model, shown, words
from tests.bot.made import trained
from tests.bot.test_train import press

PHOTOS = [(f"{number}.jpg", data) for number, data in enumerate(photos.drawn(3))]
FILLED: Mapping[str, Any] = {"photos": PHOTOS, "kind": ["object"], "quality": ["fast"]}


async def train_form(world: World) -> InteractionResult:
    form = await world.ada.slash(world.channel, "train", name="rex", **{"class": "dog"}, steps=50, seed=7)
    assert form.modal is not None
    return form


async def submit(world: World, form: InteractionResult, **more: Any) -> str:
    return answer(await press(world, await world.ada.submit_modal(form, {**FILLED, **more})))


async def page_of(world: World, model: Model) -> Any:
    gallery = shown(await world.ada.slash(world.channel, "models"))
    await choose_model(gallery, world.ada, model.id)
    return gallery


async def test_a_training_goes_on_from_its_form(world: World, restart: Restart) -> None:
    form = await train_form(world)
    await restart()
    assert "Next in line." in await submit(world, form, agrees=True)
    (job,) = await world.active(world.ada)
    request = TrainRequest.model_validate(job.request)
    assert (request.class_noun, request.subject_kind) == ("dog", SubjectKind.OBJECT)
    assert (request.options.steps, request.seed) == (50, 7)


async def test_a_tick_counts_for_the_words_beside_it_alone(world: World, restart: Restart) -> None:
    form = await train_form(world)
    settings = world.services.settings.model_copy(update={"photo_retention_days": 7})
    world.services = replace(world.services, settings=settings)
    await restart()
    assert "7 days after" in await submit(world, form, agrees=True)
    assert await world.active(world.ada) == []


async def test_consent_that_was_given_before_is_still_asked_for_when_the_words_change(
    world: World, restart: Restart
) -> None:
    text = ConsentText.of(world.services.settings)
    async with world.services.database.write() as session:
        await record_consent(session, world.ada.id, text.version, text.digest, 1, world.clock())
    form = await train_form(world)
    settings = world.services.settings.model_copy(update={"photo_retention_days": 7})
    world.services = replace(world.services, settings=settings)
    await restart()
    assert "7 days after" in await submit(world, form)
    assert await world.active(world.ada) == []


async def test_a_form_that_waited_too_long_says_so(world: World) -> None:
    form = await train_form(world)
    world.clock.advance(DRAFT_LIFE.total_seconds() + 1)
    await drop_old_drafts(world.services)
    assert "I do not know this form any more. Please open it once more" in await submit(world, form, agrees=True)
    assert await world.services.blobs.list("photos") == []


async def test_draws_from_a_form_of_before(world: World, restart: Restart) -> None:
    rex = await trained(world, world.ada)
    form = await world.ada.click(await page_of(world, rex), label="Imagine")
    await restart()
    drawing = await world.ada.submit_modal(form, {"prompt": "rex at sea", "count": ["2"]})
    assert "Next in line." in answer(drawing)
    (job,) = await world.active(world.ada)
    assert (job.model_id, job.request["count"]) == (rex.id, 2)


async def test_renames_from_a_form_of_before(world: World, restart: Restart) -> None:
    page = await page_of(world, await trained(world, world.ada))
    form = await world.ada.click(page, label="Rename")
    await restart()
    await world.ada.submit_modal(form, {"name": "Max"})
    assert "Max · dog" in words(page.message)


async def test_says_what_to_do_with_a_form_of_an_older_version(
    world: World, monkeypatch: pytest.MonkeyPatch, restart: Restart
) -> None:
    async def as_it_was(self: discord.ui.Modal, interaction: discord.Interaction[Any]) -> None:
        self.custom_id = "0123456789abcdef" * 2
        self.stop()
        await interaction.response.send_modal(self)

    rex = await trained(world, world.ada)
    monkeypatch.setattr("bot.forms.Form.open", as_it_was)
    form = await world.ada.click(await page_of(world, rex), label="Imagine")
    await restart()
    told = await world.ada.submit_modal(form, {"prompt": "rex at sea", "count": ["2"]})
    assert "I do not know this form any more." in answer(told)
    assert await world.active(world.ada) == []
