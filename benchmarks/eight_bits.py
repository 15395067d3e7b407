"""What weights in eight bits cost: memory, the time of a pass, and likeness, beside the same base with whole weights.

A subject is learned on each, with one seed, and each draws the same prompts; and the base in eight bits draws with what
was learned on the whole one, as it does where workers differ.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.main_job import BUNDLE, Bench, Subject, load_subject, rounded
from gpu_worker.engine.adapters import file_digest
from gpu_worker.engine.base_files import load_base
from gpu_worker.engine.base_model import BaseModel
from gpu_worker.engine.eight_bits import Weights, weight_bytes
from gpu_worker.engine.fidelity import score_subject
from gpu_worker.engine.resident import Resident
from storage.contract import TrainingOptions

SUBJECTS = (BUNDLE / "photos" / "rex", Path(__file__).parent / "subjects" / "clover")
ROWS, ROUNDS = 8, 20


def bench(arguments: argparse.Namespace, weights: Weights, folder: Path) -> Bench:
    model = Resident(load_base(arguments.base, arguments.device, weights))
    if model.embedders is None:
        raise SystemExit("there is no judging embedder beside the base: nothing can be scored")
    folder.mkdir()
    return Bench(model, model.embedders.judging, folder)


def learned(bench: Bench, subject: Subject) -> dict[str, float]:
    run = bench.run(subject, 0, TrainingOptions())
    return {"subject_score": run.subject_score, "prompt_score": run.prompt_score, "class_kept": run.class_kept}


def drawn_with(bench: Bench, subject: Subject, adapter: Path) -> float:
    """Return the subject score of pictures with an adapter that was learned elsewhere."""
    slot = bench.model.slot_of(adapter, file_digest(adapter))
    pictures, _ = bench.draw_in_places(subject, slot)
    return score_subject(bench.judge, pictures, subject.held_out, subject.class_noun).score


@torch.no_grad()
def milliseconds(bases: dict[str, BaseModel]) -> dict[str, float]:
    """Return how long a pass takes on each, the one measured after the other in turns."""
    took: dict[str, list[float]] = {name: [] for name in bases}
    for _ in range(ROUNDS + 1):
        for name, base in bases.items():
            side = base.resolution // base.pixels_per_latent
            latents = torch.zeros(ROWS, base.vae.config["latent_channels"], side, side, device=base.device)
            prompts = base.encode_prompts([""] * ROWS)
            began = time.perf_counter()
            base.predict(latents, torch.full((ROWS,), 500, device=base.device), prompts)
            if base.device.type == "cuda":
                torch.cuda.synchronize()
            took[name].append((time.perf_counter() - began) * 1000)
    return {name: statistics.median(each[1:]) for name, each in took.items()}


def measure(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    whole, eight = (bench(arguments, weights, folder / weights.value) for weights in (Weights.FULL, Weights.EIGHT))
    bases = {"whole": whole.model.base, "eight": eight.model.base}
    times = milliseconds(bases)
    result: dict[str, Any] = {
        "device": str(whole.model.base.device),
        "torch": torch.__version__,
        "base": whole.model.base.digest[:16],
        "sizes": {"rows": ROWS, "pixels": whole.model.base.resolution},
        "unet_mb": {name: weight_bytes(base.unet) / 1e6 for name, base in bases.items()},
        "pass_ms": times,
        "slower": times["eight"] / times["whole"],
        "subjects": {},
    }
    for path in SUBJECTS:
        subject = load_subject(path)
        of_whole = learned(whole, subject)
        (adapter,) = sorted(whole.folder.glob("*/adapter.safetensors"), key=lambda file: file.stat().st_mtime)[-1:]
        result["subjects"][subject.name] = {
            "whole": of_whole,
            "learned_whole_drawn_in_eight": drawn_with(eight, subject, adapter),
            "eight": learned(eight, subject),
        }
        print(json.dumps(rounded(result["subjects"])), flush=True)
    return rounded(result)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what weights in eight bits cost.")
    parser.add_argument("--base", default=str(BUNDLE / "base"))
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(arguments, Path(folder))))


if __name__ == "__main__":
    main()
