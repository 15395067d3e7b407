"""Many people's pictures in work at once, on a real, tiny model: who goes with whom, and what becomes of each."""

import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from gpu_worker import pipe
from gpu_worker.engine import imagining_job, provenance, room
from gpu_worker.engine.adapters import AdapterFile, AdapterHeader, file_digest, save_adapter
from gpu_worker.engine.base_model import BaseModel
from gpu_worker.engine.resident import Resident
from gpu_worker.engine.sampling import advance
from gpu_worker.engine.studio import Studio
from storage.contract import Adapter, ImagineRequest
from tests.gpu_worker.engine.test_recovery import limit_memory
from tests.gpu_worker.engine.test_slots import random_weights


class Visitors:
    """People with models of their own, and a studio that draws for them."""

    def __init__(self, model: Resident, folder: Path, people: int) -> None:
        self.model, self.folder = model, folder
        self.adapters = [self._adapter(number) for number in range(people)]
        self.said: list[pipe.Report] = []
        self.failed: dict[str, Exception] = {}
        self.studio = Studio(model, self.said.append, self.failed.__setitem__)

    def _adapter(self, number: int) -> tuple[Path, str]:
        path = self.folder / f"{number}.safetensors"
        weights = random_weights(self.model.serving, 2, seed=number)
        header = AdapterHeader(base_digest=self.model.base.digest, identifier="sks", class_noun="dog", rank=2, steps=1)
        save_adapter(path, AdapterFile(header, weights))
        return path, file_digest(path)

    def order(self, owner: int | None = None, **asked: Any) -> pipe.Imagine:
        job = uuid.uuid4().hex
        (self.folder / job).mkdir()
        adapter, path = None, None
        if owner is not None:
            path, digest = self.adapters[owner]
            adapter = Adapter(model=job, key="models/a/b", digest=digest)
        asked = {"prompt": "sks dog on the moon", "seed": 7, "steps": 3, "base": "tiny", "lossless": True} | asked
        request = ImagineRequest(job=job, attempt=1, adapter=adapter, **asked)
        return pipe.Imagine(request=request, adapter=path, folder=self.folder / job)

    def take(self, *orders: pipe.Imagine) -> None:
        for order in orders:
            self.studio.take(order)

    def step(self) -> list[str]:
        """Do one piece of work and return whose it was."""
        batch = self.studio.choose()
        self.studio.draw(batch)
        return [turn.job for turn in batch]

    def finish(self) -> dict[str, torch.Tensor]:
        """Work until nothing is left, and return what was drawn, [count, H, W, 3], by job."""
        while self.studio.busy:
            if self.studio.has_steps:
                self.step()
            self.studio.hand_over(patient=not self.studio.has_steps)
        assert not self.studio.rows
        assert not self.studio.turns.waiting
        assert not +self.model._held
        return {said.job: pixels(said) for said in self.said if isinstance(said, pipe.ImaginingDone)}


def pixels(done: pipe.ImaginingDone) -> torch.Tensor:
    pictures = [Image.open(picture.path).convert("RGB") for picture in done.pictures]
    return torch.stack([torch.frombuffer(bytearray(p.tobytes()), dtype=torch.uint8) for p in pictures]).int()


@pytest.fixture
def visitors(model: Resident, tmp_path: Path) -> Visitors:
    return Visitors(model, tmp_path, people=3)


def test_pictures_are_what_they_would_be_alone(visitors: Visitors) -> None:
    """People, lengths, guidance, sizes and counts differ; some come while others are in work, and one leaves."""
    orders = [
        visitors.order(0, steps=4, count=2),
        visitors.order(1, steps=2, guidance_scale=2.0),
        visitors.order(2, guidance_scale=1.0),
        visitors.order(None, negative_prompt="snow", width=64, height=128),
        visitors.order(0, prompt="a cat", steps=5),
        visitors.order(1, seed=8),
    ]
    visitors.take(*orders[:3])
    batches = [visitors.step()]
    visitors.take(*orders[3:])
    batches += [visitors.step() for _ in range(3)]
    assert visitors.studio.cancel(orders[5].request.job)
    together = visitors.finish()
    assert any(len(set(batch)) > 1 for batch in batches)
    assert together.keys() == {order.request.job for order in orders[:5]}
    for order in orders[:5]:
        again = order.model_copy(update={"folder": visitors.folder})
        visitors.said.clear()
        visitors.take(again)
        alone = visitors.finish()[order.request.job]
        assert (alone - together[order.request.job]).abs().max() <= 1
    assert not visitors.failed


def test_somebody_with_many_pictures_keeps_nobody_waiting(visitors: Visitors) -> None:
    many = [visitors.order(0, count=4, person="a" * 32, steps=6) for _ in range(4)]
    visitors.take(*many)
    for _ in range(3):
        assert len(visitors.step()) == 8
    mine = visitors.order(1, person="b" * 32)
    visitors.take(mine)
    assert mine.request.job in visitors.step()  # at the next step
    visitors.step()
    visitors.step()
    while mine.request.job in visitors.studio.jobs:
        visitors.studio.hand_over(patient=True)
    done = [report.job for report in visitors.said if isinstance(report, pipe.ImaginingDone)]
    assert mine.request.job in done
    assert visitors.studio.has_steps  # the others' are not


def test_each_is_charged_its_share_of_what_they_took_together(visitors: Visitors) -> None:
    visitors.take(*(visitors.order(0, steps=6) for _ in range(3)), visitors.order(1, steps=6, count=3))
    began = time.monotonic()
    visitors.finish()
    took = time.monotonic() - began
    charged = sum(said.seconds for said in visitors.said if isinstance(said, pipe.ImaginingDone))
    assert 0 < charged <= took


def test_a_slot_is_held_until_its_pictures_are_drawn(base: BaseModel, tmp_path: Path) -> None:
    visitors = Visitors(Resident(base, slots=2), tmp_path, people=3)
    orders = [visitors.order(person) for person in (0, 1, 2)]
    visitors.take(*orders)
    visitors.step()
    assert set(visitors.studio.rows) == {turn for turn in visitors.studio.turns.waiting if turn.begun}
    assert len(visitors.studio.rows) == 2
    assert len(visitors.finish()) == 3
    began = [said.job for said in visitors.said if isinstance(said, pipe.Began)]
    assert began == [order.request.job for order in orders]


def test_the_guilty_of_a_batch_fails_and_the_others_do_not(visitors: Visitors, monkeypatch: pytest.MonkeyPatch) -> None:
    orders = [visitors.order(0, steps=3), visitors.order(1, steps=3, seed=666), visitors.order(2, steps=3)]

    def spoiled(model: Resident, rows: Sequence[Any], **how: Any) -> None:
        if any(row.order.seed == 666 and row.position == 1 for row in rows):
            raise ZeroDivisionError
        advance(model, rows, **how)

    monkeypatch.setattr("gpu_worker.engine.studio.advance", spoiled)
    visitors.take(*orders)
    drawn = visitors.finish()
    assert drawn.keys() == {orders[0].request.job, orders[2].request.job}
    assert list(visitors.failed) == [orders[1].request.job]


def test_memory_that_is_short_makes_batches_smaller(visitors: Visitors, monkeypatch: pytest.MonkeyPatch) -> None:
    orders = [visitors.order(person, count=2) for person in range(3)]
    visitors.take(*orders)
    expected = visitors.finish()
    visitors.said.clear()
    limit_memory(monkeypatch, rows=1)
    monkeypatch.setattr(room, "PATIENCE", 10)
    visitors.take(*orders)
    drawn = visitors.finish()
    assert visitors.studio.room.most <= 2  # it has tried two again
    assert all((pictures - expected[job]).abs().max() <= 1 for job, pictures in drawn.items())
    assert len(drawn) == 3
    assert not visitors.failed


def test_memory_for_not_even_one_ends_the_job(visitors: Visitors, monkeypatch: pytest.MonkeyPatch) -> None:
    limit_memory(monkeypatch, rows=0)
    order = visitors.order()
    visitors.take(order)
    assert not visitors.finish()
    assert isinstance(visitors.failed[order.request.job], RuntimeError)


def test_a_file_that_cannot_be_written_fails_its_job_alone(visitors: Visitors, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = provenance.save_picture
    orders = [visitors.order(0), visitors.order(1)]

    def full(picture: Image.Image, path: Path) -> None:
        if path.parent == orders[0].folder:
            raise OSError(28, "No space left on device")
        plain(picture, path)

    monkeypatch.setattr(imagining_job, "save_picture", full)
    visitors.take(*orders)
    assert visitors.finish().keys() == {orders[1].request.job}
    assert isinstance(visitors.failed[orders[0].request.job], OSError)


def test_large_pictures_are_webp_unless_png_is_asked_for(visitors: Visitors) -> None:
    size = {"width": 256, "height": 256, "steps": 1}
    large, exact = visitors.order(lossless=False, **size), visitors.order(**size)
    small = visitors.order(lossless=False, width=64, height=64, steps=1)
    visitors.take(large, exact, small)
    visitors.finish()
    done = {said.job: said.pictures[0].path for said in visitors.said if isinstance(said, pipe.ImaginingDone)}
    paths = [done[order.request.job] for order in (large, exact, small)]
    assert [path.suffix for path in paths] == [".webp", ".png", ".png"]
    assert [path.read_bytes()[:4] for path in paths] == [b"RIFF", b"\x89PNG", b"\x89PNG"]


def test_a_cancelled_job_leaves_no_file_behind_itself(visitors: Visitors) -> None:
    order = visitors.order(0, count=4, steps=1)
    visitors.take(order)
    visitors.step()
    assert visitors.studio.cancel(order.request.job)
    files = sorted(order.folder.iterdir())
    assert not visitors.studio.busy
    assert not visitors.studio.cancel(order.request.job)
    visitors.studio.encoders.shutdown(wait=True)
    assert sorted(order.folder.iterdir()) == files
    assert not +visitors.model._held
