"""What the demo measured: `demo/result.json`, in the form that `docs/benchmarks.md` explains."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import psutil

from bot.playground.main_job import MainJobFailed, Played, Subject

SAMPLE_SECONDS = 0.5


class Memory:
    """Peak resident memory of each process, in MB, seen by looking twice a second."""

    def __init__(self, *, worker: int, redis: int) -> None:
        self._bot, self._worker, self._redis = psutil.Process(), psutil.Process(worker), psutil.Process(redis)
        self.peaks = dict.fromkeys(("bot", "worker", "engine", "redis"), 0.0)

    async def watch(self) -> None:
        while True:
            self._look()
            await asyncio.sleep(SAMPLE_SECONDS)

    def _look(self) -> None:
        try:
            engine = sum(child.memory_info().rss for child in self._worker.children(recursive=True))
            seen = {"bot": self._bot, "worker": self._worker, "redis": self._redis}
            sizes = {name: process.memory_info().rss for name, process in seen.items()} | {"engine": engine}
        except psutil.NoSuchProcess:
            return
        for name, size in sizes.items():
            self.peaks[name] = max(self.peaks[name], round(size / 2**20, 1))


async def judge(sample: Path, subject: Subject, played: Played) -> dict[str, Any]:
    """Score the pictures with the embedder that chose nothing, on photos that training never saw.

    The judge is a process of its own, for the bot's process stays free of model code.
    """
    question = {
        "class_noun": subject.class_noun,
        "training_photos": [str(path) for path in subject.photos],
        "held_out_photos": [str(path) for path in sorted((sample / "judge").iterdir())],
        "subject_pictures": {place: [str(path) for path in paths] for place, paths in played.subject.items()},
        "base_pictures": {place: [str(path) for path in paths] for place, paths in played.base.items()},
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gpu_worker.engine.judge",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    answer, _ = await process.communicate(json.dumps(question).encode())
    if process.returncode:
        raise MainJobFailed("the pictures could not be scored")
    verdict: dict[str, Any] = json.loads(answer)
    return verdict


def write_result(
    path: Path,
    played: Played,
    verdict: dict[str, Any],
    memory: Memory,
    total_seconds: float,
) -> str:
    """Write the file; returns its gist in a line."""
    result = {
        "train_seconds": round(played.train_seconds, 1),
        "image_seconds": round(played.image_seconds, 2),
        "steps": played.steps,
        **verdict,
        "peak_rss_mb": memory.peaks,
        "total_seconds": round(total_seconds, 1),
    }
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return f"Subject score {verdict['subject_score']['trained']:.2f}, right place {verdict['prompt_score']:.0%}: {path}"
