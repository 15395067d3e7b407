"""[More like rex], [More freedom] and the way back, on the result and in /models."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import discord
import pytest
from simcord.results import ResponseMessage

from storage.contract import Variant, adapter_key
from storage.models import find_model
from storage.schema import Model
from tests.bot.conftest import Restart, World, answer, choose_model, words
from tests.bot.made import trained

ALL = (Variant.ALIKE, Variant.FREE)
LIKE_REX, FREEDOM, BACK = "More like rex", "More freedom", "Back to the best of both"

Card = discord.Message | ResponseMessage
Open = Callable[[World, Model], Awaitable[Card]]


async def result(world: World, _model: Model) -> Card:
    await world.deliver(after=20)
    return world.channel.history()[-1]


async def page(world: World, model: Model) -> Card:
    gallery = (await world.ada.slash(world.channel, "models")).response
    assert gallery is not None
    await choose_model(gallery, world.ada, model.id)
    return gallery


def said(world: World, card: Card) -> str:
    """What the card says now, and the names of its pictures."""
    if isinstance(card, ResponseMessage):
        return words(card.message)
    return next(words(message) for message in world.channel.history() if message.id == card.id)


async def now(world: World, model: Model) -> Model:
    async with world.services.database.read() as session:
        return await find_model(session, model.id, model.owner_id, None)


async def used_by_imagine(world: World) -> str:
    await world.ada.slash(world.channel, "imagine", prompt="rex on the moon")
    return str((await world.active(world.ada))[-1].request["adapter"]["key"])


@pytest.mark.parametrize("card_of", [result, page])
async def test_a_press_makes_the_variant_the_one_in_use(world: World, restart: Restart, card_of: Open) -> None:
    rex = await trained(world, world.ada, runners_up=ALL)
    card = await card_of(world, rex)
    assert LIKE_REX in said(world, card)
    assert BACK not in said(world, card)
    await restart()

    await world.ada.click(card, label=LIKE_REX)
    assert (await now(world, rex)).variant is Variant.ALIKE
    assert "as much like rex as it can" in said(world, card)
    assert "core 0.90" in said(world, card)
    assert [label in said(world, card) for label in (LIKE_REX, FREEDOM, BACK)] == [False, True, True]
    assert "adapter-alike" in await used_by_imagine(world)
    got = await world.ada.click(card, label="Download")
    assert got.response is not None
    (file,) = got.response.attachments
    assert (file.filename, await file.read()) == ("rex-alike-lora.safetensors", b"alike")

    await world.ada.click(card, label=BACK)
    assert (await now(world, rex)).adapter_key == rex.adapter_key
    assert "core 0.83" in said(world, card)
    assert BACK not in said(world, card)


async def test_a_stale_button_is_harmless(world: World) -> None:
    rex = await trained(world, world.ada, runners_up=ALL)
    card, opened = await result(world, rex), await page(world, rex)
    await world.ada.click(opened, label=LIKE_REX)

    pressed = await world.ada.click(card, label=LIKE_REX)  # the result still shows the first choice

    assert pressed.followups == []
    assert (await now(world, rex)).variant is Variant.ALIKE
    assert BACK in said(world, card)
    assert len(world.channel.history()) == 2


async def test_the_result_shows_the_pictures_of_its_variant_and_pings_nobody_again(world: World) -> None:
    rex = await trained(world, world.ada, runners_up=ALL)
    card = await result(world, rex)
    before = world.channel.history()[-1].attachments[0]
    assert world.pinged(world.channel.history()[-1]) == {world.ada.id}

    pressed = await world.ada.click(card, label=FREEDOM)

    after = world.channel.history()[-1]
    assert await after.attachments[0].read() != await before.read()
    assert pressed.followups == []
    assert not [file for file in after.attachments if file.id == before.id]


@pytest.mark.parametrize("label", [LIKE_REX, FREEDOM])
async def test_only_the_owner_chooses(world: World, label: str) -> None:
    rex = await trained(world, world.ada, shared_with=world.guild.id, runners_up=ALL)
    card = await result(world, rex)

    told = answer(await world.ben.click(card, label=label))

    assert f"That is <@{world.ada.id}>'s model, so only they can do this." in told
    assert (await now(world, rex)).variant is Variant.BEST
    gallery = (await world.ben.slash(world.channel, "models", whose="server")).response
    assert gallery is not None
    await choose_model(gallery, world.ben, rex.id)
    assert label not in said(world, gallery)


async def test_without_a_choice_there_is_no_button(world: World) -> None:
    rex = await trained(world, world.ada)
    luna = await trained(world, world.ada, "luna", "cat", runners_up=[Variant.FREE])
    assert not [label for label in (LIKE_REX, FREEDOM, BACK) if label in said(world, await page(world, rex))]
    shown = said(world, await page(world, luna))
    assert FREEDOM in shown
    assert "More like" not in shown


async def test_deleting_the_model_deletes_every_variant(world: World, tmp_path: Path) -> None:
    rex = await trained(world, world.ada, runners_up=ALL)
    card = await result(world, rex)
    await world.ada.click(card, label=FREEDOM)
    opened = await page(world, rex)
    await world.ada.click(opened, label="Delete")

    await world.ada.click(opened, label="Delete it for good")

    assert [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()] == []
    assert "There is no such model" in answer(await world.ada.click(card, label=LIKE_REX))
    assert not await world.services.blobs.exists(adapter_key(rex.id, rex.id, 1))
