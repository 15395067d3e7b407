"""A model learns once more, and its owner goes back and forth between what came of it."""

from typing import Any

from simcord.results import InteractionResult

from storage.contract import Done, Started, Trained, Variant
from storage.schema import Job, Model
from tests.bot.conftest import Restart, World, answer, words
from tests.bot.made import publication, trained
from tests.bot.test_forms import PHOTOS, page_of
from tests.bot.test_imagine import finished, only_job
from tests.bot.test_train import press

FILLED: dict[str, Any] = {"photos": PHOTOS, "kind": ["pet"], "quality": ["best"], "agrees": True}


async def learned_again(world: World, asked: InteractionResult) -> Job:
    """Fill in the form, agree to what it shows, and let a worker train."""
    sheet = await world.ada.submit_modal(asked, FILLED)
    assert "This becomes version 2." in answer(sheet)
    await press(world, sheet)
    job = await only_job(world)
    await world.apply(Started, job.id, worker="w", steps=300)
    best = await publication(world, job, Variant.BEST, b"better", 0.9)
    await world.apply(Done, job.id, seconds=90, trained=Trained(steps=300, **best))
    await world.deliver(after=5)
    return job


async def model_now(world: World, model: Model) -> Model:
    async with world.services.database.read() as session:
        return await session.get_one(Model, model.id)


async def test_trains_again_and_goes_back(world: World, restart: Restart) -> None:
    rex = await trained(world, world.ada)
    _, drawn_first = await finished(world, "rex at sea")
    page = await page_of(world, rex)
    assert f"model:{rex.id}:version" not in str(page.message.components)
    await restart()

    job = await learned_again(world, await world.ada.click(page, label="Train again"))

    second = await model_now(world, rex)
    assert (job.model_id, second.version, second.subject_score) == (rex.id, 2, 0.9)
    result = world.channel.last_message
    assert "rex** is ready." in words(result)
    assert "This is version 2. `/models` goes back to an earlier one." in words(result)
    assert "rex (version 1, best)" in answer(await world.ada.click(drawn_first, label="Details"))
    page = await page_of(world, rex)
    assert "score 0.90 · 300 steps · 3 photos · 2026-01-01" in words(page.message)
    assert "score 0.83 · 200 steps · 3 photos · 2026-01-01" in words(page.message)
    await restart()

    (menu,) = [
        part["custom_id"]
        for row in page.message.components[0].to_dict()["components"]
        for part in row.get("components", [])
        if ":version:" in part.get("custom_id", "")
    ]
    await world.ada.select(page, ["1"], custom_id=menu)

    first = await model_now(world, rex)
    assert (first.version, first.adapter_key, first.download_key) == (1, rex.adapter_key, rex.download_key)
    assert "version 1 · drawn once" in words(page.message)
    picture, _ = await finished(world, "rex at home")
    assert picture.request["adapter"]["key"] == rex.adapter_key


async def test_the_same_name_and_class_make_another_version(world: World) -> None:
    rex = await trained(world, world.ada)
    other = answer(await world.ada.slash(world.channel, "train", name="rex", **{"class": "cat"}))
    assert "You have a model called **rex** already." in other
    form = await world.ada.slash(world.channel, "train", name="REX", **{"class": "Dog"})
    job = await learned_again(world, form)
    assert (job.model_id, (await model_now(world, rex)).name) == (rex.id, "rex")

    told = await world.ben.click(shown_result(world), label="Train again")
    assert f"That is <@{world.ada.id}>'s model" in answer(told)
    assert world.channel.last_message is not None


def shown_result(world: World) -> Any:
    message = world.channel.last_message
    assert message is not None
    return message
