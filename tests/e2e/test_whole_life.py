"""A person's whole life with the bot, with real parts all the way: bot, database, Redis server, worker and engine."""

import asyncio
import io
import json
import zipfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import discord
import pytest
from PIL import Image, ImageChops
from simcord.actors import MemberActor
from simcord.results import InteractionResult
from sqlalchemy import select

from bot.app import Dreambot
from bot.composition import open_house
from bot.loops import running
from bot.playground.__main__ import SAMPLES, playground_settings
from bot.playground.processes import redis_server, worker
from bot.playground.world import World, open_world
from bot.services import Services
from storage.contract import JobKind
from storage.schema import ACTIVE, Delivery, DeliveryState, Job, JobState
from storage.schema import Image as Drawn
from tests.bot.conftest import answer, shown, words
from tests.bot.photo_sets import blurred
from tests.bot.photos import encoded

SHORT = {"steps": 30, "class_images": 4}
PATIENCE_SECONDS = 200


@dataclass(kw_only=True)
class Life:
    """The channel, and what lies behind it."""

    world: World
    bot: Dreambot
    services: Services

    async def slash(self, who: MemberActor, command: str, **options: Any) -> InteractionResult:
        return await self.world.act(who.slash(self.world.channel, command, **options))

    async def click(self, who: MemberActor, message: Any, label: str) -> InteractionResult:
        return await self.world.act(who.click(message, label=label))

    async def settled(self) -> Job:
        """Wait until nothing is under way and the channel shows it; returns the newest job."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await self._busy():  # noqa: ASYNC110 - the rows change in the bot's loops
                await asyncio.sleep(0.1)
        async with self.services.database.read() as session:
            newest = (await session.scalars(select(Job).order_by(Job.created_at.desc()).limit(1))).one()
        assert newest.state is JobState.SUCCEEDED, newest.failure
        return newest

    async def _busy(self) -> bool:
        behind = select(Delivery.id).where((Delivery.state == DeliveryState.PENDING) | Delivery.dirty)
        async with self.services.database.read() as session:
            active = await session.scalar(select(Job.id).where(Job.state.in_(ACTIVE)).limit(1))
            return (active or await session.scalar(behind.limit(1))) is not None

    async def pictures(self, job: Job) -> list[Image.Image]:
        async with self.services.database.read() as session:
            drawn = await session.scalars(select(Drawn).where(Drawn.job_id == job.id).order_by(Drawn.position))
            keys = [image.key for image in drawn]
        return [Image.open(io.BytesIO(await self.services.blobs.get(key))).convert("RGB") for key in keys]

    def newest(self, saying: str) -> discord.Message:
        return [message for message in self.world.channel.history() if saying in words(message)][-1]


@pytest.fixture
async def life(tmp_path: Path) -> AsyncIterator[Life]:
    with redis_server(tmp_path / "redis") as (redis_url, _):
        async with (
            worker(redis_url, str(tmp_path / "blobs"), tmp_path),
            open_house(playground_settings(tmp_path, tmp_path / "blobs", redis_url)) as house,
            open_world(house.bot, 0) as world,
            running([*house.loops, world.tick]),
        ):
            yield Life(world=world, bot=house.bot, services=house.services)


@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_from_the_first_hello_to_the_last_goodbye(life: Life) -> None:
    ada, ben = life.world.ada, life.world.ben
    await _install(life)
    assert "Let's teach me something of yours" in answer(await life.slash(ada, "help"))
    await _send_bad_photos(life)
    await _train(life)
    plain = await _imagine(life, ada, "dog on the moon", "The plain base model")
    rex = await _imagine(life, ada, "rex on the moon", "### rex")
    assert _differ(plain, rex)  # the same seed and place, but rex
    await _vary(life, rex)
    assert "There is no such model" in answer(await life.slash(ben, "storybook", model="rex"))
    await _share(life)
    bens = await _imagine(life, ben, "rex on the moon", "### rex")
    assert not _differ(rex, bens)  # the same model, whoever draws with it
    await _tell_a_story(life)
    await _take_everything_along(life)
    await _delete_everything(life)
    assert "PATCH /channels/" in life.world.env.transcript()  # cards are edited in place, and not by the interaction


async def _install(life: Life) -> None:
    await life.world.act(life.bot.on_guild_join(life.bot.guilds[0]))
    assert "### Hello! I learn what something looks like" in words(life.newest("Hello!"))


async def _send_bad_photos(life: Life) -> None:
    asked = await _ask(life, [path.read_bytes() for path in _photos()[:2]])
    assert "at least 3 different photos" in answer(asked)
    photos = [Image.open(path).convert("RGB") for path in _photos()[:3]]
    asked = await _ask(life, [encoded(blurred(photo)) for photo in photos])
    assert "blurred" in answer(asked)
    await life.click(life.world.ada, shown(asked), "Cancel")


async def _train(life: Life) -> None:
    asked = await _ask(life, [path.read_bytes() for path in _photos()])
    assert "blurred" not in answer(asked)
    await life.click(life.world.ada, shown(asked), "I agree, train")
    job = await life.settled()
    assert (job.kind, job.steps) == (JobKind.TRAIN, SHORT["steps"])
    assert f"<@{life.world.ada.id}>, **rex** is ready." in words(life.newest("is ready"))


async def _imagine(life: Life, who: MemberActor, prompt: str, title: str) -> Image.Image:
    await life.slash(who, "imagine", prompt=prompt, seed=7)
    job = await life.settled()
    assert title in words(life.newest(prompt))
    (picture,) = await life.pictures(job)
    return picture


async def _vary(life: Life, original: Image.Image) -> None:
    await life.click(life.world.ada, life.newest("rex on the moon"), "Vary a little")
    (varied,) = await life.pictures(await life.settled())
    assert _differ(original, varied)


async def _share(life: Life) -> None:
    page = await life.slash(life.world.ada, "models", find="rex")
    await life.click(life.world.ada, shown(page), "Share with this server")
    assert "shared with this server" in words(shown(page).message)


async def _tell_a_story(life: Life) -> None:
    ada = life.world.ada
    form = await life.slash(ada, "storybook", model="rex")
    await life.world.act(ada.submit_modal(form, {"title": "Rex goes out", "scenes": "at the beach\nin the snow"}))
    await life.settled()
    book = await life.click(life.world.ben, life.newest("Rex goes out"), "As a book")
    (file,) = shown(book).attachments
    assert (await file.read()).startswith(b"%PDF")


async def _take_everything_along(life: Life) -> None:
    card = await life.slash(life.world.ada, "privacy")
    packed = await life.click(life.world.ada, shown(card), "Give me a copy")
    (file,) = shown(packed).attachments
    archive = zipfile.ZipFile(io.BytesIO(await file.read()))
    prompts = [request["prompt"] for request in json.loads(archive.read("data.json"))["requests"]]
    assert "rex on the moon" in prompts
    assert any(name.endswith("rex-lora.safetensors") for name in archive.namelist())
    assert sum(name.startswith("pictures/") for name in archive.namelist()) >= 5


async def _delete_everything(life: Life) -> None:
    ada = life.world.ada
    card = shown(await life.slash(ada, "privacy"))
    await life.click(ada, card, "Delete everything")
    await life.click(ada, card, "Yes, delete everything for good")
    for kind in ("models", "photos", "samples", "pictures", "checkpoints"):
        assert await life.services.blobs.list(kind) == []
    assert "Nothing but that" in answer(await life.slash(ada, "privacy"))
    assert "Let's teach me something of yours" in answer(await life.slash(ada, "help"))
    assert not any("rex** is ready" in words(message) for message in life.world.channel.history())


def _photos() -> list[Path]:
    return sorted((SAMPLES / "rex" / "train").iterdir())


async def _ask(life: Life, photos: list[bytes]) -> InteractionResult:
    files = {f"photo{number}": (f"{number}.jpg", data) for number, data in enumerate(photos, start=1)}
    return await life.slash(life.world.ada, "train", name="rex", **{"class": "dog"}, **files, **SHORT)


def _differ(one: Image.Image, other: Image.Image) -> bool:
    return ImageChops.difference(one, other).getbbox() is not None
