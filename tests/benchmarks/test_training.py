"""Speed is not bought with other mathematics: the example's loop and ours come to the same losses and weights."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from benchmarks.multi_tenant import People, weight_difference
from benchmarks.peer_dreambooth import Pictures
from benchmarks.training import CLASS_PROMPT, PROMPT, Bench, loss_difference, unet_rows
from gpu_worker.engine.base_model import BaseModel


@pytest.fixture
def bench(base: BaseModel, photos: tuple[Path, ...], tmp_path: Path) -> Bench:
    """Photos of the base's own size, of which a random square is always the same."""
    paths = []
    for number, path in enumerate(photos):
        with Image.open(path) as photo:
            paths.append(tmp_path / f"{number}.png")
            photo.resize((base.resolution, base.resolution)).save(paths[-1])
    return Bench(base, Pictures(base, paths[:2], paths[1:], PROMPT, CLASS_PROMPT))


@pytest.mark.parametrize("prior_weight", [0.5, 2.0])
def test_both_sides_learn_the_same_in_company(bench: Bench, prior_weight: float) -> None:
    recipe = replace(bench.recipe(2, 4), prior_weight=prior_weight)
    ours, peer = bench.ours(recipe), bench.peer(recipe)
    assert loss_difference(ours, peer, bench.pictures) < 1e-5

    learned = peer.weights()
    of_unet = unet_rows(ours)
    assert learned.keys() == of_unet.keys()
    before = unet_rows(bench.ours(recipe))
    for name, (down, up) in of_unet.items():
        torch.testing.assert_close(learned[name], (down.detach(), up.detach()), rtol=1e-3, atol=1e-4)
        assert not torch.equal(before[name][1], up)


def test_another_loss_shows(bench: Bench) -> None:
    recipe = bench.recipe(2, 4)
    assert loss_difference(bench.ours(replace(recipe, min_snr=5.0)), bench.peer(recipe), bench.pictures, steps=1) > 1e-2


def test_nobody_learns_anything_else_in_company(bench: Bench) -> None:
    recipe = replace(bench.recipe(1, 4), word_learning_rate=1e-2)
    assert 0 < weight_difference(People(bench, 2, recipe), People(bench, 2, recipe)) < 1e-2
