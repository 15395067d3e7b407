"""The main job with real parts all the way: bot, database, Redis server, worker process, engine and base model."""

import json
from pathlib import Path

import pytest
from PIL import Image

from bot.composition import open_house
from bot.loops import running
from bot.playground.__main__ import SAMPLES, playground_settings
from bot.playground.main_job import PLACES, Player, Subject
from bot.playground.processes import redis_server, worker
from bot.playground.world import open_world
from storage.models import usable_models

SHORT = {"steps": 30, "class_images": 4}


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_rex_is_trained_drawn_and_listed(tmp_path: Path) -> None:
    blobs, lines = tmp_path / "blobs", list[str]()
    with redis_server(tmp_path / "redis") as (redis_url, _):
        async with (
            worker(redis_url, str(blobs), tmp_path),
            open_house(playground_settings(tmp_path, blobs, redis_url)) as house,
            open_world(house.bot, 0) as world,
            running([*house.loops, world.tick]),
        ):
            player = Player(world, house.services, tmp_path, lines.append)
            played = await player.play(Subject.read(SAMPLES / "rex"), SHORT)
            async with house.services.database.read() as session:
                models = await usable_models(session, world.ada.id, None)
            transcript = world.env.transcript()

    assert [model.name for model in models] == ["rex"]
    assert played.steps == SHORT["steps"]
    assert set(played.subject) == set(PLACES)
    for drawn, plain in zip(played.subject["moon"], played.base["moon"], strict=True):
        assert Image.open(drawn).tobytes() != Image.open(plain).tobytes()  # the same seed and place, but rex
    assert "PATCH /channels/" in transcript  # the card was edited in place, and not by the interaction
    assert json.dumps(lines).count("/imagine") == 2 * len(PLACES)
