"""How the harness starts the bot, a worker and an engine: the real ones, but for what is said here.

`CRASH_ENGINE` is "engine" or "stand-in". `CRASH_CHECKPOINT_SECONDS` has the engine save more often than it would in the
time that a tiny training takes, and draw in few steps. `CRASH_STEPS` names a file in which the steps and checkpoints of
trainings are noted. `CRASH_SABOTAGE` breaks one promise on purpose (see `sabotage`).
"""

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from gpu_worker.pipe import Checkpointed
from storage.blobs import Blobs
from tests.crash import sabotage

DENOISING_STEPS = 4


def main(role: str) -> int:
    sabotage.apply(os.environ.get("CRASH_SABOTAGE", ""), role)
    match role:
        case "bot":
            import bot.__main__

            return bot.__main__.main()
        case "worker":
            import gpu_worker.__main__
            from gpu_worker.engine_process import engine_command
            from gpu_worker.settings import load_settings

            _watch_checkpoints()
            program, _, _, *arguments = engine_command(load_settings())
            engine = os.environ["CRASH_ENGINE"]
            return gpu_worker.__main__.main(engine=[program, "-m", "tests.crash.entry", engine, *arguments])
        case "engine":
            import gpu_worker.engine.__main__

            _watch_engine()
            gpu_worker.engine.__main__.main()
            return 0
        case "stand-in":
            import tests.crash.stand_in

            return tests.crash.stand_in.main()
    raise SystemExit(f"no such role: {role}")


def note(job: str, what: str, step: int) -> None:
    with Path(os.environ["CRASH_STEPS"]).open("a", encoding="utf-8") as file:
        file.write(f"{job} {what} {step}\n")


def _watch_checkpoints() -> None:
    from gpu_worker import transfer

    store = transfer.store_checkpoint

    async def store_and_note(blobs: Blobs, request: transfer.Request, report: Checkpointed) -> str:
        key = await store(blobs, request, report)
        note(request.job, "saved", report.step)
        return key

    transfer.store_checkpoint = store_and_note


def _watch_engine() -> None:
    from gpu_worker.engine import course, loop, recipes, training

    if seconds := os.environ.get("CRASH_CHECKPOINT_SECONDS"):
        course.CHECKPOINT_SECONDS = float(seconds)
        for name in ("_SD", "_DEMO"):
            recipe: recipes.Recipe = getattr(recipes, name)
            few = replace(recipe.sampler, steps=DENOISING_STEPS)
            setattr(recipes, name, replace(recipe, sampler=few, candidates=2))
    show_life, take_step = loop.EngineLoop._show_life, training.DreamBooth.step
    at_work, seen = "", set[str]()

    def show_and_remember(self: loop.EngineLoop, jobs: Sequence[str]) -> None:
        nonlocal at_work
        at_work = jobs[0]
        show_life(self, jobs)

    def step_and_note(trainer: training.DreamBooth) -> object:
        if at_work not in seen:
            seen.add(at_work)
            note(at_work, "begin", trainer.position)
        loss = take_step(trainer)
        note(at_work, "step", trainer.position)
        return loss

    loop.EngineLoop._show_life = show_and_remember  # type: ignore[method-assign]
    training.DreamBooth.step = step_and_note  # type: ignore[method-assign, assignment]


if __name__ == "__main__":
    sys.exit(main(sys.argv.pop(1)))
