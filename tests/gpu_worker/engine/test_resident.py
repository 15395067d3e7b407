"""The tiers that a person's model comes through: disk, memory, slot. Real files, tiny weights."""

import os
import uuid
from pathlib import Path

import psutil
import pytest
import torch

from gpu_worker import pipe
from gpu_worker.engine import resident
from gpu_worker.engine.adapters import AdapterFile, AdapterHeader, AdapterRefused, file_digest, save_adapter
from gpu_worker.engine.base_files import load_base
from gpu_worker.engine.base_model import BaseModel
from gpu_worker.engine.host_memory import HostMemory
from gpu_worker.engine.resident import NoFreeSlot, Resident
from gpu_worker.engine.studio import Studio
from storage.contract import Adapter, ImagineRequest
from tests.gpu_worker.engine.test_slots import Weights, random_weights

SLOTS = 4
LAYER = "unet.mid_block.resnets.0.conv1"


@pytest.fixture
def small(base: BaseModel) -> Resident:
    return Resident(base, slots=SLOTS)


def publish(model: Resident, folder: Path, person: int, rank: int = 4, layer: str = LAYER) -> tuple[Path, str]:
    """Write an adapter of one layer and return its path and digest."""
    path = folder / f"{person}.safetensors"
    header = AdapterHeader(base_digest=model.base.digest, identifier="sks", class_noun="dog", rank=rank, steps=1)
    save_adapter(path, AdapterFile(header, weights_of(model, person, rank, layer)))
    return path, file_digest(path)


def weights_of(model: Resident, person: int, rank: int = 4, layer: str = LAYER) -> Weights:
    if layer not in model.slots.layers:
        return {layer: (torch.ones(4, 3), torch.ones(3, 4))}
    return {layer: random_weights(model.serving, rank, seed=person)[layer]}


def test_people_share_the_slots_and_the_one_unused_for_longest_leaves(small: Resident, tmp_path: Path) -> None:
    published = [publish(small, tmp_path, person) for person in range(SLOTS + 1)]
    slots = [small.slot_of(*each) for each in published[:SLOTS]]
    assert sorted(slots) == list(range(1, SLOTS + 1))
    assert small.slot_of(*published[0]) == slots[0]  # used again, so the second is the oldest now
    assert small.slot_of(*published[-1]) == slots[1]
    published[0][0].unlink()
    assert small.slot_of(*published[0]) == slots[0]  # still in its slot: no file is read


def test_there_are_as_many_slots_as_fit_and_two_at_least(
    small: Resident, base_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank = small.serving
    each = sum(rows.nbytes for rows in (*bank.down.values(), *bank.up.values())) // (SLOTS + 1)
    for room, slots in ((SLOTS + 1, SLOTS), (SLOTS, SLOTS - 1), (1, 2)):
        monkeypatch.setattr(resident, "SERVING_BYTES", each * room)
        assert Resident(load_base(str(base_folder), "cpu"), slots=SLOTS).serving.size == slots + 1


def test_who_is_held_stays(small: Resident, tmp_path: Path) -> None:
    published = [publish(small, tmp_path, person) for person in range(SLOTS + 1)]
    slots = [small.hold(*each) for each in published[:SLOTS]]
    assert not small.has_room_for(published[-1][1])
    assert small.has_room_for(published[0][1])
    with pytest.raises(NoFreeSlot):
        small.hold(*published[-1])
    small.hold(*published[2])
    small.let_go(slots[2])
    assert not small.has_room_for(published[-1][1])  # held by two
    small.let_go(slots[2])
    assert small.hold(*published[-1]) == slots[2]


def test_a_refused_adapter_costs_no_slot(small: Resident, tmp_path: Path) -> None:
    unfit = publish(small, tmp_path, 0, layer="unet.elsewhere")
    for _ in range(SLOTS + 2):
        with pytest.raises(AdapterRefused, match="does not fit"):
            small.slot_of(*unfit)
    published = [publish(small, tmp_path, person) for person in range(SLOTS)]
    assert len({small.slot_of(*each) for each in published}) == SLOTS


def test_a_file_that_is_not_what_was_published_is_refused_wherever_it_goes(small: Resident, tmp_path: Path) -> None:
    path, digest = publish(small, tmp_path, 0)
    _, other = publish(small, tmp_path, 1)
    for bring in (small.slot_of, small.prefetch):
        with pytest.raises(AdapterRefused, match="digest"):
            bring(path, other)
    assert other not in small.host
    small.slot_of(path, digest)


def test_a_higher_rank_widens_the_bank_and_nobody_has_to_leave(small: Resident, tmp_path: Path) -> None:
    before = publish(small, tmp_path, 1)
    slot, old = small.hold(*before), small.serving
    rank = old.rank * 2
    weights = {LAYER: (torch.rand(rank, *old.layers[LAYER].in_shape), torch.rand(old.layers[LAYER].out_features, rank))}
    header = AdapterHeader(base_digest=small.base.digest, identifier="sks", class_noun="dog", rank=rank, steps=1)
    save_adapter(tmp_path / "wide.safetensors", AdapterFile(header, weights))
    wide = small.slot_of(tmp_path / "wide.safetensors", file_digest(tmp_path / "wide.safetensors"))
    torch.testing.assert_close(small.serving.read(wide, rank)[LAYER], weights[LAYER], atol=1e-3, rtol=1e-3)
    assert small.slot_of(*before) == slot != wide
    for was, now in zip(old.read(slot, 4)[LAYER], small.serving.read(slot, 4)[LAYER], strict=True):
        assert torch.equal(was, now)
    assert old is not small.serving  # pictures in work go on with the old one


def test_memory_keeps_what_was_used_last_within_its_bytes(small: Resident, tmp_path: Path) -> None:
    path, digest = publish(small, tmp_path, 0)
    small.prefetch(path, digest)
    one = small.host.bytes
    host = HostMemory(torch.float32, pinned=False, most_bytes=2 * one)
    file = small.host.get(digest)
    assert file is not None
    for name in ("a", "b"):
        host.keep(name, file)
    assert host.get("a")
    host.keep("c", file)
    assert ["a" in host, "b" in host, "c" in host] == [True, False, True]
    assert host.bytes == 2 * one


@pytest.mark.slow
def test_a_thousand_models_are_served_from_sixty_four_slots(
    base: BaseModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everybody asks for a picture, then some ask again; all get theirs, and the memory does not grow."""
    monkeypatch.setattr(os, "fsync", lambda _: None)  # a thousand times
    model = Resident(base, slots=64)
    published = [publish(model, tmp_path, person, rank=1) for person in range(1000)]
    model.host.most_bytes = 100 * weight_bytes(model)
    model.texts.most_bytes = 1 << 20
    said, failed, sizes = list[pipe.Report](), dict[str, Exception](), list[int]()
    studio = Studio(model, said.append, failed.__setitem__)
    for first in range(0, 1100, 100):
        for person in range(first, first + 100):
            studio.take(picture_of(published[person % 1000], tmp_path))
        while studio.busy:
            if batch := studio.choose():
                studio.draw(batch)
            studio.hand_over(patient=not batch)
        sizes.append(psutil.Process().memory_info().rss)
    assert not failed
    assert sum(isinstance(report, pipe.ImaginingDone) for report in said) == 1100
    assert len(model.people) == 64
    assert model.host.bytes <= model.host.most_bytes
    assert max(sizes[4:]) - sizes[4] < 16 << 20
    for person in range(96, 100):  # who came last
        down, up = model.serving.read(model.people[published[person][1]], 1)[LAYER]
        mine, yours = weights_of(model, person, rank=1)[LAYER]
        torch.testing.assert_close(up @ down.flatten(1), yours @ mine.flatten(1), atol=1e-3, rtol=1e-2)


def picture_of(adapter: tuple[Path, str], folder: Path) -> pipe.Imagine:
    job, (path, digest) = uuid.uuid4().hex, adapter
    (folder / job).mkdir()
    request = ImagineRequest(
        job=job,
        attempt=1,
        base="tiny",
        prompt="sks dog",
        adapter=Adapter(model=job, key="models/a/b", digest=digest),
        seed=1,
        steps=1,
        guidance_scale=1,
        width=64,
        height=64,
    )
    return pipe.Imagine(request=request, adapter=path, folder=folder / job)


def weight_bytes(model: Resident) -> int:
    return sum(tensor.nbytes for tensor in weights_of(model, 0, rank=1)[LAYER])
