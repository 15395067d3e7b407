"""What the fidelity benchmark reckons, and that a measurement which was cut off goes on."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image, ImageColor

from benchmarks._margins import bootstrap, regret
from benchmarks.fidelity import (
    ABLATIONS,
    SUBJECTS,
    TUNING_SUBJECTS,
    Line,
    Task,
    best_recipe,
    paired_margins,
    side_by_side,
    subjects_in,
    work_off,
)
from benchmarks.main_job import BUNDLE, Subject
from gpu_worker.engine.base_model import Family
from gpu_worker.engine.recipes import choose_recipe
from storage.contract import Quality, SubjectKind

REX = Subject("rex", "dog", (), [], [])


def test_the_interval_is_that_of_subjects_not_of_trainings() -> None:
    # Of two subjects a quarter of the resamples holds the one alone, and a quarter the other.
    assert bootstrap({"rex": [0.1] * 50, "luna": [0.3] * 50}) == pytest.approx((0.1, 0.3))
    assert bootstrap({"rex": [0.2, 0.2], "luna": [0.2]}) == pytest.approx((0.2, 0.2))
    # What trainings of one subject differ by counts as well: both draws rex at its worst has a chance of 1 in 64.
    assert bootstrap({"rex": [0.0, 0.4], "luna": [0.2, 0.2]}) == pytest.approx((0.1, 0.3))


def test_one_subject_has_no_interval() -> None:
    with pytest.raises(ValueError, match="two subjects"):
        bootstrap({"rex": [0.1, 0.2]})


def test_regret_is_what_the_best_candidate_had_more() -> None:
    assert regret({80: 0.7, 160: 0.9, 240: 0.8}, chosen=240) == pytest.approx(0.1)
    assert regret({80: 0.7, 160: 0.9}, chosen=160) == 0


def test_margins_pair_trainings_of_one_subject_and_seed() -> None:
    ours = [line("ours", "rex", 0, 0.9), line("ours", "rex", 1, 0.7), line("ours", "luna", 0, 0.8)]
    peers = [line("peer", "rex", 1, 0.5), line("peer", "luna", 0, 0.9)]
    margins = paired_margins(ours, peers)
    assert margins == {"rex": [pytest.approx(0.2)], "luna": [pytest.approx(-0.1)]}


def test_the_peer_gets_what_was_best_on_all_tuning_subjects() -> None:
    slow, fast = ({"learning_rate": rate, "steps": 120, "train_text_encoder": True} for rate in (5e-4, 6e-3))
    scores = [(slow, 1.0), (fast, 0.6), (slow, 0.2), (fast, 0.7)]
    best = best_recipe({"tried": tried, "score": score} for tried, score in scores)
    assert (best.learning_rate, best.steps, best.train_text_encoder) == (6e-3, 120, True)


def test_finished_trainings_are_not_run_again(tmp_path: Path) -> None:
    ran: list[str] = []
    out = tmp_path / "runs.jsonl"
    assert [found["score"] for found in work_off([task("a", ran), task("b", ran)], out)] == [1, 1]
    with out.open("a", encoding="utf-8") as file:
        file.write('{"key": "c/rex/0/x", "sco')  # the process was killed here
    found = work_off([task("b", ran), task("c", ran)], out)
    assert [one["side"] for one in found] == ["b", "c"]
    assert ran == ["a", "b", "c"]
    assert work_off([task("c", ran)], out) == found[1:]
    assert ran == ["a", "b", "c"]


def test_a_training_that_fails_leaves_no_line(tmp_path: Path) -> None:
    def fail() -> Iterator[Line]:
        yield {"score": 1}
        raise RuntimeError("out of luck")

    out = tmp_path / "runs.jsonl"
    with pytest.raises(RuntimeError, match="luck"):
        work_off([replace(task("a", []), run=fail)], out)
    assert not out.exists()


def test_every_ablation_changes_our_recipe() -> None:
    recipe = choose_recipe(Family.DEMO, SubjectKind.PET, Quality.GOOD, 6)
    for name, ablation in ABLATIONS.items():
        assert replace(recipe, **ablation.changes) != recipe or ablation.uniform_timesteps, name


def test_nobody_is_measured_on_what_the_peer_was_tuned_on() -> None:
    names = {subject.name: subject for subject in subjects_in(SUBJECTS, BUNDLE / "photos")}
    assert len(names) == 6
    assert not names.keys() & set(TUNING_SUBJECTS)
    assert len({subject.class_noun for subject in names.values()}) >= 3
    assert all(len(subject.photos) == 6 and len(subject.held_out) == 8 for subject in names.values())


def test_pictures_of_all_sides_stand_under_each_other(tmp_path: Path) -> None:
    colours = {"photos": "white", "ours": "red", "peer": "blue", "base": "black"}
    for side, colour in colours.items():
        Image.new("RGB", (24, 8), colour).save(tmp_path / f"rex-{side}-0.png")
    side_by_side(tmp_path, "rex")
    with Image.open(tmp_path / "rex.jpg") as sheet:
        assert sheet.size == (24, 32)
        for row, colour in enumerate(colours.values()):
            seen = sheet.getpixel((12, 8 * row + 4))
            assert isinstance(seen, tuple)
            assert all(abs(a - b) < 40 for a, b in zip(seen, ImageColor.getrgb(colour), strict=True))


def line(side: str, subject: str, seed: int, score: float) -> Line:
    return {"side": side, "subject": subject, "seed": seed, "subject_score": score}


def task(side: str, ran: list[str]) -> Task:
    def run() -> Iterator[Line]:
        ran.append(side)
        yield json.loads('{"score": 1}')

    return Task(side, REX, 0, "x", run)
