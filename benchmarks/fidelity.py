"""How like their subjects the pictures are: ours, the tuned DreamBooth LoRA example's, the plain base's, real photos'.

All are judged by the embedder that chose nothing, on prompts and seeds that chose nothing. Each finished training is a
line of `--out`, and what stands there is not run again, so that a long measurement may be cut off at any time:
`python -m benchmarks.fidelity --tune --out runs.jsonl` finds the example's learning rate, length and text encoder on
two other subjects, `--full` then trains six subjects by three seeds, and `--ablate` turns each technique on and off.
"""

import argparse
import contextlib
import hashlib
import json
import statistics
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, astuple, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from benchmarks._margins import bootstrap, regret
from benchmarks._sides import (
    DRIFT_WEIGHT,
    FRESH,
    PLACES,
    TAKES,
    TUNED_ON,
    Gallery,
    Training,
    Verdict,
    Watched,
    our_recipe,
    peer_course,
    train_ours,
    train_peer,
    trained_by,
)
from benchmarks.main_job import BUNDLE, Subject, load_subject, rounded
from benchmarks.peer_dreambooth import PeerRecipe
from gpu_worker.engine.base_files import load_base
from gpu_worker.engine.base_model import BaseModel
from gpu_worker.engine.fidelity import score_subject
from gpu_worker.engine.judge import through_vae

SUBJECTS = Path(__file__).parent / "subjects"
TUNING_SUBJECTS = ("bolt", "moss")
QUICK_SUBJECTS, FULL_SEEDS = 2, 3
ABLATION_SUBJECTS = 2

RATES = (5e-4, 1e-3, 2e-3, 6e-3)
"""From the example's own default to ours."""
LENGTHS = (120, 240)
"""Steps of 4 photos: half of what ours takes for six photos, and as much."""
TUNED = PeerRecipe(learning_rate=1e-3, steps=240, train_text_encoder=True, rank=16)
"""What `--tune` found, for when `--out` holds no tuning of its own; the rank is ours."""

Line = dict[str, Any]


@dataclass(frozen=True)
class Ablation:
    """A technique of ours turned off, or one that rests turned on."""

    changes: Mapping[str, Any]
    uniform_timesteps: bool = False


ABLATIONS = {
    "no word vector": Ablation({"word_learning_rate": 0.0}),
    "no text LoRA": Ablation({"text_learning_rate": 0.0}),
    "no scene prompts in the prior": Ablation({"scene_share": 0.0}),
    "no prior": Ablation({"prior_weight": 0.0}),
    "base as teacher": Ablation({"teacher": True}),
    "captions": Ablation({"caption_share": 0.5}),
    "caption dropout": Ablation({"caption_dropout": 0.1}),
    "no min-SNR": Ablation({"min_snr": None}),
    "no SNR offset": Ablation({"snr_offset": 0.0}),
    "EMA": Ablation({"ema": 0.98}),
    "uniform timesteps": Ablation({}, uniform_timesteps=True),
}


@dataclass(frozen=True)
class Task:
    """One line to be: what is trained, on whom, and how to go about it."""

    side: str
    subject: Subject
    seed: int
    settings: str
    """A digest of base and recipe: a line of another recipe is another task's."""
    run: Callable[[], Iterator[Line]]

    @property
    def key(self) -> str:
        return f"{self.side}/{self.subject.name}/{self.seed}/{self.settings}"


class Measurement:
    def __init__(self, source: str, device: str, folder: Path, pictures: Path | None) -> None:
        self.plain = load_base(source, device)
        self.model = Watched(load_base(source, device))
        embedders = self.model.embedders
        if embedders is None:
            raise SystemExit("there is no judging embedder beside the base: nothing can be scored")
        self.embedders, self.gallery = embedders, Gallery(self.model)
        self.folder, self.pictures = folder, pictures

    def base_task(self, subject: Subject) -> Task:
        return Task("base", subject, 0, digest(self.plain), lambda: iter([self._base_line(subject)]))

    def our_task(self, subject: Subject, seed: int, name: str = "ours", ablation: Ablation | None = None) -> Task:
        changes = ablation.changes if ablation else {}
        uniform = ablation is not None and ablation.uniform_timesteps
        recipe = replace(our_recipe(self.plain, subject), **changes)

        def run() -> Iterator[Line]:
            with trained_by(recipe, uniform=uniform):
                training = train_ours(self.model, recipe, subject, seed, self.folder)
            line = self._line("ours" if ablation is None else name, subject, seed, training)
            yield line if ablation else line | self._regret(subject, training)

        return Task(name, subject, seed, digest(self.plain, astuple(recipe), uniform), run)

    def peer_task(self, subject: Subject, seed: int, recipe: PeerRecipe) -> Task:
        def run() -> Iterator[Line]:
            training = train_peer(self.plain, self.model, recipe, subject, seed, self.folder)
            yield self._line("peer", subject, seed, training)

        return Task("peer", subject, seed, digest(self.plain, astuple(recipe)), run)

    def tuning_task(self, subject: Subject, rate: float, text: bool) -> Task:
        recipe = replace(TUNED, learning_rate=rate, steps=max(LENGTHS), train_text_encoder=text)

        def run() -> Iterator[Line]:
            course = peer_course(self.plain, self.model, recipe, subject, 0, self.folder, set(LENGTHS))
            for training in course:
                score = self.gallery.score(self.embedders.choosing, subject, training.weights, TUNED_ON)
                tried = {"learning_rate": rate, "steps": training.steps, "train_text_encoder": text}
                yield {"tried": tried, "score": score, "seconds": training.seconds}

        return Task("tuning", subject, 0, digest(self.plain, astuple(recipe), LENGTHS), run)

    def _line(self, side: str, subject: Subject, seed: int, training: Training) -> Line:
        verdict, pictures = self.gallery.judge(self.embedders.judging, subject, training.weights)
        self._keep(f"{subject.name}-{side}-{seed}", pictures)
        return asdict(verdict) | {"steps": training.steps, "views": training.views, "seconds": training.seconds}

    def _base_line(self, subject: Subject) -> Line:
        judge, held_out = self.embedders.judging, subject.held_out
        verdict, pictures = self.gallery.judge(judge, subject, {})
        self._keep(f"{subject.name}-base-0", pictures)
        self._keep(f"{subject.name}-photos-0", [photo for photo in subject.photos for _ in range(TAKES)])

        def likeness(pictures: list[Image.Image]) -> float:
            return score_subject(judge, pictures, held_out, subject.class_noun).score

        decoded = through_vae(self.model.base, subject.photos)
        return asdict(verdict) | {"photos": likeness(subject.photos), "photos_through_vae": likeness(decoded)}

    def _regret(self, subject: Subject, training: Training) -> Line:
        """Judge every candidate anew; nothing to tell where the chosen one is none of them."""
        gallery, judge = self.gallery, self.embedders.judging
        judged = {
            step: gallery.score(judge, subject, weights, FRESH)
            - DRIFT_WEIGHT * max(gallery.drift(judge, subject, weights), 0.0)
            for step, weights in training.candidates.items()
        }
        if training.chosen not in judged:
            return {}
        return {"candidates": judged, "chosen": training.chosen, "choice_regret": regret(judged, training.chosen)}

    def _keep(self, name: str, pictures: list[Image.Image], side: int = 96) -> None:
        """Save the first take of each place as one strip."""
        if self.pictures is None:
            return
        strip = Image.new("RGB", (side * len(PLACES), side), "white")
        for place, picture in enumerate(pictures[::TAKES]):
            strip.paste(picture.resize((side, side), Image.Resampling.LANCZOS), (place * side, 0))
        strip.save(self.pictures / f"{name}.png")


def digest(base: BaseModel, *settings: object) -> str:
    return hashlib.sha256(f"{base.digest} {settings} {PLACES}".encode()).hexdigest()[:12]


def work_off(tasks: Iterable[Task], path: Path) -> list[Line]:
    """Run the tasks whose lines are not in the file yet, add theirs, and return the lines of all."""
    tasks = list(tasks)
    for task in tasks:
        if task.key not in {line["key"] for line in read_lines(path)}:
            about = {"key": task.key, "side": task.side, "subject": task.subject.name, "seed": task.seed}
            text = "".join(json.dumps(about | line) + "\n" for line in task.run())
            with path.open("a", encoding="utf-8") as file:
                file.write(text if ends_well(path) else "\n" + text)
            print(text, end="", flush=True)
    wanted = {task.key for task in tasks}
    return [line for line in read_lines(path) if line["key"] in wanted]


def ends_well(path: Path) -> bool:
    """Tell whether the last line of a file, if there is one, was written to its end."""
    return not path.is_file() or path.read_bytes()[-1:] in {b"", b"\n"}


def read_lines(path: Path) -> list[Line]:
    """Read the lines of a file, but for a last one that was cut off."""
    lines: list[Line] = []
    for text in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
        with contextlib.suppress(json.JSONDecodeError):
            lines.append(json.loads(text))
    return lines


def best_recipe(lines: Iterable[Line]) -> PeerRecipe:
    """Return the example's settings that scored best in the mean over the tuning subjects."""
    scores: dict[str, list[float]] = {}
    for line in lines:
        scores.setdefault(json.dumps(line["tried"]), []).append(line["score"])
    best = max(scores, key=lambda tried: statistics.mean(scores[tried]))
    return replace(TUNED, **json.loads(best))


def summary(lines: list[Line]) -> Line:
    """Return the figures by side, the margin with its interval, the regret, and what each subject got."""
    sides = {side: [line for line in lines if line["side"] == side] for side in ("ours", "peer", "base")}
    margins = paired_margins(sides["ours"], sides["peer"])
    flat = [margin for of_subject in margins.values() for margin in of_subject]
    regrets = [line["choice_regret"] for line in sides["ours"] if "choice_regret" in line]
    result: Line = {
        side: {key: mean(line[key] for line in found if key in line) for key in keys_of(side)}
        for side, found in sides.items()
    }
    result["photos"] = {key: mean(line[key] for line in sides["base"]) for key in ("photos", "photos_through_vae")}
    result |= {"margin": mean(flat), "runs": len(flat), "choice_regret": mean(regrets)}
    result["margin_interval"] = bootstrap(margins) if len(margins) > 1 else None
    if len(margins) < 2:
        result["margin_interval_reason"] = "an interval needs at least two subjects"
    result["subjects"] = {
        name: {
            side: mean(line["subject_score"] for line in found if line["subject"] == name)
            for side, found in sides.items()
        }
        for name in dict.fromkeys(line["subject"] for line in lines)
    }
    return result


def keys_of(side: str) -> list[str]:
    return [*Verdict.__annotations__, *([] if side == "base" else ["views", "seconds"])]


def paired_margins(ours: Iterable[Line], peers: Iterable[Line]) -> dict[str, list[float]]:
    """Return ours minus the peer's subject score, by subject, wherever both have trained with a seed."""
    by_peer = {(line["subject"], line["seed"]): line["subject_score"] for line in peers}
    margins: dict[str, list[float]] = {}
    for line in ours:
        at = (line["subject"], line["seed"])
        if at in by_peer:
            margins.setdefault(line["subject"], []).append(line["subject_score"] - by_peer[at])
    return margins


def mean(values: Iterable[float]) -> float | None:
    found = list(values)
    return statistics.mean(found) if found else None


def subjects_in(*folders: Path) -> list[Subject]:
    found = [load_subject(path) for folder in folders for path in sorted(folder.iterdir()) if path.is_dir()]
    return [subject for subject in found if subject.name not in TUNING_SUBJECTS]


def tuning_tasks(bench: Measurement) -> Iterator[Task]:
    subjects = [load_subject(SUBJECTS / name) for name in TUNING_SUBJECTS]
    for text in (True, False):
        for subject in subjects:
            for rate in RATES:
                yield bench.tuning_task(subject, rate, text)


def tuned_recipe(bench: Measurement, path: Path) -> PeerRecipe:
    """Return what the tuning in the file found, if it is complete, or else what is known already."""
    keys = {task.key for task in tuning_tasks(bench)}
    lines = [line for line in read_lines(path) if line["key"] in keys]
    return best_recipe(lines) if {line["key"] for line in lines} == keys else TUNED


def side_by_side(folder: Path, name: str) -> None:
    """Put a subject's strips of the first seed under each other: photos, ours, the peer's, the plain base's."""
    strips = [Image.open(folder / f"{name}-{side}-0.png") for side in ("photos", "ours", "peer", "base")]
    sheet = Image.new("RGB", (strips[0].width, sum(strip.height for strip in strips)))
    for row, strip in enumerate(strips):
        sheet.paste(strip, (0, row * strip.height))
    sheet.save(folder / f"{name}.jpg", quality=85)


def measure(arguments: argparse.Namespace, folder: Path) -> Line:
    pictures = arguments.pictures
    if pictures:
        pictures.mkdir(parents=True, exist_ok=True)
    bench = Measurement(arguments.base, arguments.device, folder, pictures)
    out = arguments.out or folder / "runs.jsonl"
    run = partial(work_off, path=out)
    about = {
        "device": str(bench.plain.device),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "base": bench.plain.digest[:16],
    }
    if arguments.tune:
        return about | {"tuned": asdict(best_recipe(run(tuning_tasks(bench))))}
    subjects = subjects_in(*(arguments.subjects or [SUBJECTS, BUNDLE / "photos"]))
    seeds = range(FULL_SEEDS if arguments.full else 1)
    if arguments.ablate:
        subjects = subjects[:ABLATION_SUBJECTS]
        tasks = [
            bench.our_task(subject, 0, *way) for way in [("ours", None), *ABLATIONS.items()] for subject in subjects
        ]
        lines = run(tasks)
        return about | {"techniques": techniques(lines)}
    subjects = subjects if arguments.full or arguments.subjects else subjects[:QUICK_SUBJECTS]
    peer = tuned_recipe(bench, out)
    tasks = [bench.base_task(subject) for subject in subjects]
    for seed in seeds:
        for subject in subjects:
            tasks += [bench.our_task(subject, seed), bench.peer_task(subject, seed, peer)]
    sizes = {"pixels": bench.plain.resolution, "pictures": len(PLACES) * TAKES, "subjects": len(subjects)}
    result = summary(run(tasks))
    if pictures:
        for subject in subjects:
            side_by_side(pictures, subject.name)
    return about | {"sizes": sizes | {"seeds": len(seeds)}, "peer_recipe": asdict(peer)} | result


def techniques(lines: list[Line]) -> Line:
    """Return the mean figures of each technique's trainings, with ours as it is first."""
    return {
        side: {key: mean(line[key] for line in lines if line["side"] == side) for key in keys_of("ours")}
        for side in dict.fromkeys(line["side"] for line in lines)
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default=str(BUNDLE / "base"))
    parser.add_argument("--device", default="auto")
    parser.add_argument("--subjects", type=Path, nargs="+", help="folders of subjects: train/, judge/ and class.txt")
    parser.add_argument("--out", type=Path, help="the file of finished trainings; those in it are not run again")
    parser.add_argument("--pictures", type=Path, help="folder for a strip of pictures of each training")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--full", action="store_true", help="all subjects, three seeds")
    mode.add_argument("--tune", action="store_true", help="find the example's best settings on two other subjects")
    mode.add_argument("--ablate", action="store_true", help="each technique on and off, on two subjects")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(rounded(measure(arguments, Path(folder)))))


if __name__ == "__main__":
    main()
