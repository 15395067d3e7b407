"""The engine without a model, as the worker's own tests have it, noting its steps and passing the engine's points.

It starts in a fraction of a second, so that many runs fit into a short time; what it cannot show is that the real
engine resumes, which the runs with the real one do.
"""

import asyncio
import os

from gpu_worker import pipe
from storage.faults import reach
from tests.crash.entry import note
from tests.gpu_worker import scripted_engine

STEP_SECONDS = 0.06


class Engine(scripted_engine.Engine):
    def __init__(self) -> None:
        super().__init__()
        self.begun: set[str] = set()

    def say(self, frame: pipe.Frame) -> None:
        if isinstance(frame, pipe.Progress):
            if frame.job not in self.begun:
                self.begun.add(frame.job)
                note(frame.job, "begin", frame.step - 1)
            note(frame.job, "step", frame.step)
            reach("stand_in.stepped")
        super().say(frame)


def main() -> int:
    scripted_engine.STEP_SECONDS = STEP_SECONDS
    scripted_engine.SAVE_EVERY = 3
    asyncio.run(Engine().serve())
    os._exit(0)
