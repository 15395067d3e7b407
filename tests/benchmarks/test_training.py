"""Speed is not bought with other mathematics: the example's loop and ours come to the same losses and weights."""

from dataclasses import replace

import pytest
import torch

from benchmarks.multi_tenant import People, weight_difference
from benchmarks.training import Bench, loss_difference, unet_rows


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
