"""An engine without a model: real frames over real pipes, real files, and misbehaviour on request.

The class noun of a training, or the prompt of a picture, says what goes wrong: "crash" kills the process, "crash once"
does so unless there is a checkpoint to go on from, "hang" stops the whole process, "babble" sends what is no frame,
"diverge" fails the job, "doubtful" has it ask about its class.
"""

import asyncio
import hashlib
import os
import struct
import sys
import time
import zlib
from collections.abc import Coroutine
from pathlib import Path

from gpu_worker import pipe
from storage.contract import FailureReason, Stage, Variant

STEP_SECONDS = float(os.environ.get("SCRIPTED_STEP_SECONDS", "0.02"))
SAVE_EVERY = 5


def png(path: Path) -> Path:
    """Write a white picture of one pixel."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0\xff\xff\xff")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b""))
    return path


class Engine:
    def __init__(self) -> None:
        self.jobs: dict[str, asyncio.Task[None]] = {}
        self.batch: set[str] = set()
        """The pictures that are drawn in company."""
        self.trainings: dict[str, tuple[pipe.Train, int]] = {}

    def say(self, frame: pipe.Frame) -> None:
        os.write(1, pipe.encode(frame))

    async def serve(self) -> None:
        self.say(pipe.Ready(device="cpu", base_digest="ba5e" * 16, resolution=64))
        print("scripted engine is ready", file=sys.stderr, flush=True)
        while header := await asyncio.to_thread(sys.stdin.buffer.read, pipe.HEADER.size):
            body = await asyncio.to_thread(sys.stdin.buffer.read, *pipe.HEADER.unpack(header))
            match pipe.ORDER.validate_json(body):
                case pipe.Train() as order:
                    self.start(order.request.job, self.train(order))
                case pipe.Imagine() as order:
                    self.start(order.request.job, self.imagine(order))
                case pipe.Cancel(job=job):
                    self.cancel(job)
                case pipe.Stop():
                    for order, step in self.trainings.values():
                        self.checkpoint(order, step)
                    return

    def start(self, job: str, work: Coroutine[None, None, None]) -> None:
        self.jobs[job] = asyncio.ensure_future(work)

    def cancel(self, job: str) -> None:
        task = self.jobs.pop(job, None)
        if task is not None and task.cancel():
            _, step = self.trainings.pop(job, (None, 0))
            self.batch.discard(job)
            self.say(pipe.JobCancelled(job=job, step=step))

    def misbehave(self, how: str) -> None:
        if how == "crash":
            os._exit(9)
        if how == "hang":
            time.sleep(600)
        if how == "babble":
            os.write(1, b"loading model...\n")

    def checkpoint(self, order: pipe.Train, step: int) -> None:
        path = order.folder / f"{step}.checkpoint"
        path.write_text(str(step))
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        self.say(pipe.Checkpointed(job=order.request.job, step=step, path=path, digest=digest))

    async def train(self, order: pipe.Train) -> None:
        request = order.request
        job, steps, how = request.job, request.options.steps or 20, request.class_noun
        assert all(photo.is_file() for photo in order.photos)
        done = int(order.checkpoint.read_text()) if order.checkpoint else 0
        if how == "doubtful" and not request.class_agreed:
            self.say(pipe.JobFailed(job=job, reason=FailureReason.CLASS_DOUBTFUL, seen_class="cat"))
            return
        if how == "crash once":
            how = "" if order.checkpoint else "crash"
        in_company = how.startswith("company") and not order.alone
        how = how.removeprefix("company ")
        self.say(pipe.Began(job=job, steps=steps))
        for step in range(done + 1, steps + 1):
            await asyncio.sleep(STEP_SECONDS)
            self.say(pipe.Alive(job=job, others=tuple(self.trainings.keys() - {job}) if in_company else ()))
            self.trainings[job] = order, step
            self.say(pipe.Progress(job=job, stage=Stage.TRAINING, step=step, steps=steps, loss=1 / step))
            if step % SAVE_EVERY == 0:
                self.checkpoint(order, step)
                self.say(pipe.Sampled(job=job, step=step, path=png(order.folder / f"{step}.png")))
            if step == SAVE_EVERY + 2:
                self.misbehave(how)
            if step == SAVE_EVERY + 2 and how == "diverge":
                self.say(pipe.JobFailed(job=job, reason=FailureReason.DIVERGED, detail="loss is nan"))
                return
        del self.jobs[job], self.trainings[job]
        adapter, download = order.folder / "adapter.safetensors", order.folder / "download.safetensors"
        adapter.write_text(f"adapter of {job} after {steps} steps, {done} of them before")
        download.write_text("download")
        sample = pipe.PictureFile(path=png(order.folder / "final.png"), seed=1, width=64, height=64)
        freer = order.folder / "adapter-free.safetensors"
        freer.write_text("a freer one")
        runner_up = pipe.RunnerUp(variant=Variant.FREE, adapter=freer, download=freer, samples=(sample,))
        self.say(
            pipe.TrainingDone(
                job=job,
                adapter=adapter,
                download=download,
                steps=steps,
                seconds=1.5,
                samples=(sample,),
                subject_score=0.7,
                runners_up=(runner_up,),
            )
        )

    async def imagine(self, order: pipe.Imagine) -> None:
        request = order.request
        assert (order.adapter is not None) == (request.adapter is not None)
        self.say(pipe.Began(job=request.job, steps=request.steps or 5))
        if not order.alone:
            self.batch.add(request.job)
        for _ in range(request.steps or 5):
            await asyncio.sleep(STEP_SECONDS)
            others = () if order.alone else tuple(self.batch - {request.job})
            self.say(pipe.Alive(job=request.job, others=others))
            self.misbehave(request.prompt)
        del self.jobs[request.job]
        self.batch.discard(request.job)
        pictures = [
            pipe.PictureFile(path=png(order.folder / f"{n}.png"), seed=request.seed + n, width=64, height=64)
            for n in range(request.count)
        ]
        self.say(pipe.ImaginingDone(job=request.job, pictures=tuple(pictures), seconds=0.5))


if __name__ == "__main__":
    asyncio.run(Engine().serve())
    os._exit(0)
