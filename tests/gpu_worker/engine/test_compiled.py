"""The compiled U-Net: the same answers, and no new graph for other people."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch._dynamo.testing import CompileCounter

from gpu_worker.engine import compiled as compiling
from gpu_worker.engine.compiled import CompiledUnet, compiled_if_it_pays
from gpu_worker.engine.plan import choose_plan, is_channels_last
from gpu_worker.engine.recipes import default_sampler
from gpu_worker.engine.resident import Resident
from gpu_worker.engine.sampling import PictureOrder, draw
from tests.gpu_worker.engine.test_slots import random_weights


def pictures(model: Resident, slots: Sequence[int], strength: float = 1.0) -> torch.Tensor:
    orders = [
        PictureOrder(prompt="sks dog", seed=seed, slot=slot, strength=strength) for seed, slot in enumerate(slots)
    ]
    work = draw(model, orders, default_sampler(model.base.family))
    while True:
        try:
            next(work)
        except StopIteration as end:
            drawn: torch.Tensor = end.value
            return drawn


@pytest.mark.slow
def test_one_graph_draws_the_same_for_anybody(model: Resident, monkeypatch: pytest.MonkeyPatch) -> None:
    for slot in (1, 2):
        model.serving.load(slot, random_weights(model.serving, 2, seed=slot))
    mixes = ([1, 2], [1, 1], [0, 2])
    expected = [pictures(model, mix) for mix in mixes]
    weaker = pictures(model, [1, 2], strength=0.5)
    counter = CompileCounter()
    model.compiled = CompiledUnet(model, backend=counter)
    model.compiled.warm_up(4)  # two pictures with guidance
    made = counter.frame_count
    assert made == 1
    passed, predict = list[int](), CompiledUnet.predict

    def count(self: CompiledUnet, latents: torch.Tensor, *rest: torch.Tensor) -> torch.Tensor:
        passed.append(len(latents))
        return predict(self, latents, *rest)

    monkeypatch.setattr(CompiledUnet, "predict", count)
    for mix, wanted in zip(mixes, expected, strict=True):
        torch.testing.assert_close(pictures(model, mix), wanted, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(pictures(model, [1, 2], strength=0.5), weaker, rtol=1e-3, atol=1e-3)
    assert counter.frame_count == made
    assert set(passed) == {4}
    assert len(passed) == 4 * default_sampler(model.base.family).steps
    pictures(model, [1])  # another number of rows, for which there is no graph
    assert counter.frame_count == made


@pytest.mark.parametrize(("fast", "kept"), [(1.0, True), (1.9, False)])
def test_it_is_kept_only_where_it_pays(
    model: Resident, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fast: float, kept: bool
) -> None:
    monkeypatch.setattr(CompiledUnet, "seconds", lambda _self, _rows, predict: 2.0 if _is_plain(predict) else fast)
    unet = compiled_if_it_pays(model, (1, 2, 4, 8), tmp_path)
    assert (unet is not None) is kept
    if unet is not None:
        side = model.base.resolution // model.base.pixels_per_latent
        warm = [rows for rows in range(1, 10) if unet.is_warm_for(torch.zeros(rows, 4, side, side), model.serving)]
        assert warm == [1, 2, 4, 8]
        assert not unet.is_warm_for(torch.zeros(1, 4, 2 * side, side), model.serving)
        assert not unet.is_warm_for(torch.zeros(1, 4, side, side), model.training_slot(2)[0])


def _is_plain(predict: object) -> bool:
    return type(getattr(predict, "__self__", None)).__name__ == "BaseModel"


def test_where_it_fails_the_network_goes_on_as_it_is(
    model: Resident, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def broken(*_: object) -> float:
        raise RuntimeError("no compiler")

    monkeypatch.setattr(compiling.CompiledUnet, "warm_up", broken)
    assert compiled_if_it_pays(model, (1, 2), tmp_path) is None


def test_the_plan_is_told_in_one_line(model: Resident, tmp_path: Path) -> None:
    plan = choose_plan(model, argparse.Namespace(compile=True, cache=tmp_path))
    assert plan == (
        "cpu in float32, weights whole, channels first, eager (no GPU), 64 slots of rank 16, 1 training at once, "
        "batches of up to 8 pictures, no fast copy, no offload"
    )


def test_channels_last_changes_no_picture(model: Resident) -> None:
    model.serving.load(1, random_weights(model.serving, 2, seed=1))
    expected = pictures(model, [1, 0])
    assert not is_channels_last(model.base)
    for network in (model.base.unet, model.base.vae):
        network.to(memory_format=torch.channels_last)
    assert is_channels_last(model.base)
    torch.testing.assert_close(pictures(model, [1, 0]), expected, rtol=1e-3, atol=1e-3)
