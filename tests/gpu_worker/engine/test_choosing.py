"""Choosing with the embedders that ship beside the demo base, on the sample photos."""

from functools import partial
from pathlib import Path

import pytest
from PIL import Image

from benchmarks.style import washed
from gpu_worker.engine.choosing import Look, Score, likeness, score_candidate
from gpu_worker.engine.fidelity import score_style
from gpu_worker.engine.photos import load_photos
from gpu_worker.engine.sampling import PictureOrder
from gpu_worker.engine.small_embedder import find_embedders
from gpu_worker.engine.trials import CHOOSING, JUDGING, aim_of
from storage.contract import Quality, SubjectKind, TrainRequest

BUNDLE = Path(__file__).parents[3] / "gpu_worker" / "demo_bundle"


def request_for(class_noun: str, kind: SubjectKind = SubjectKind.PET) -> TrainRequest:
    return TrainRequest(
        job="0" * 32,
        attempt=1,
        model="0" * 32,
        base="demo",
        identifier="sks",
        class_noun=class_noun,
        subject_kind=kind,
        quality=Quality.GOOD,
        photos=("photos/a/0.png", "photos/a/1.png", "photos/a/2.png"),
        seed=0,
    )


def photos_of(name: str, which: str) -> list[Image.Image]:
    return load_photos(sorted((BUNDLE / "photos" / name / which).glob("*.jpg")))


def test_choosing_and_judging_share_no_prompt_and_no_seed() -> None:
    chosen, judged = (trial.orders(request_for("dog"), 1) for trial in (CHOOSING, JUDGING))
    assert not {order.seed for order in chosen} & {order.seed for order in judged}
    assert not {order.prompt for order in chosen[1:4]} & {order.prompt for order in judged[1:]}


def test_the_same_subject_scores_above_another_and_above_copies() -> None:
    embedders = find_embedders(BUNDLE / "base")
    assert embedders is not None
    seen, others = photos_of("rex", "train"), photos_of("luna", "judge")
    same = photos_of("rex", "judge")
    orders = (CHOOSING.orders(request_for("dog"), 1) * 2)[: len(same)]

    def scored(pictures: list[Image.Image], of_class: list[Image.Image] = others) -> Score:
        look = Look(orders, pictures, of_class, others)
        score = score_candidate(embedders.choosing, request_for("dog"), look, seen)
        assert score is not None
        return score

    assert scored(same).total > 0.5 > scored(others).total
    copies = scored([seen[0]] * len(same))
    assert copies.copied == copies.repeated == 1
    assert copies.total < scored(same).total
    assert scored(same).drift == 0
    drifted = scored(same, of_class=same)
    assert drifted.drift > 0.5
    assert drifted.total < scored(same).total


@pytest.mark.parametrize("which", ["choosing", "judging"])
def test_other_photos_of_the_subject_score_near_one(which: str) -> None:
    embedders = find_embedders(BUNDLE / "base")
    score = likeness(
        getattr(embedders, which), aim_of(request_for("cat")), photos_of("luna", "judge"), photos_of("luna", "train")
    )
    assert score == pytest.approx(1.0, abs=0.25)


def test_what_cannot_be_told_has_no_score() -> None:
    embedders = find_embedders(BUNDLE / "base")
    assert embedders is not None
    photos = photos_of("rex", "train")
    assert likeness(embedders.judging, aim_of(request_for("dog")), photos, photos[:1]) is None
    style = aim_of(request_for("ink", SubjectKind.STYLE))
    assert likeness(embedders.judging, style, photos, photos, plain=photos) is None


@pytest.mark.parametrize("which", ["choosing", "judging"])
def test_a_style_is_told_from_what_it_shows(which: str) -> None:
    """A washed cat is alike in style to a washed car and dog; photos of the very same car and dog are not."""
    embedder = getattr(find_embedders(BUNDLE / "base"), which)
    taught, cats = [*photos_of("comet", "train"), *photos_of("rex", "train")], photos_of("luna", "train")
    score = partial(score_style, embedder, examples=[washed(photo) for photo in taught], plain=cats)
    assert score([washed(photo) for photo in cats]) > 0.6
    assert score(taught) < 0.25


def test_a_style_that_forgets_the_thing_scores_below_one_that_shows_it() -> None:
    embedders = find_embedders(BUNDLE / "base")
    assert embedders is not None
    request, cars = request_for("wash", SubjectKind.STYLE), photos_of("comet", "judge")
    taught = [washed(photo) for photo in photos_of("luna", "train")]
    orders = [PictureOrder(prompt=prompt, seed=1) for prompt in ("a car in sks wash style", "a frog in sks wash style")]
    scores = [
        score_candidate(embedders.choosing, request, Look([order] * len(cars), cars, [], cars), taught)
        for order in orders
    ]
    right, wrong = (score.adherence if score else -1 for score in scores)
    assert right > wrong == 0


def test_a_base_without_embedders_has_none(tmp_path: Path) -> None:
    assert find_embedders(tmp_path / "base") is None
