"""What the worker and its engine process say to each other: length-prefixed JSON over pipes, bytes by file.

The engine reads and writes local paths alone; fetching from and storing to the blob store is the parent's part. Each
frame is a four-byte big-endian length and that many bytes of UTF-8 JSON.
"""

import struct
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from storage.contract import ClassName, Digest, FailureReason, Findings, ImagineRequest, Stage, TrainRequest, Variant
from storage.worker_status import EngineStatus

HEADER = struct.Struct(">I")
MAX_FRAME_BYTES = 1 << 20


class Frame(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


# Parent -> engine.


class Train(Frame):
    op: Literal["train"] = "train"
    request: TrainRequest
    photos: tuple[Path, ...]
    checkpoint: Path | None = None
    """The newest checkpoint of an earlier attempt, already verified against its digest."""
    folder: Path
    """Where the engine writes everything of this job."""
    alone: bool = False
    """In no company: an engine has died over a step that it took in some."""


class Imagine(Frame):
    op: Literal["imagine"] = "imagine"
    request: ImagineRequest
    adapter: Path | None = None
    subjects: tuple[Path, ...] = ()
    """The adapters of the request's subjects."""
    source: Path | None = None
    mask: Path | None = None
    folder: Path
    alone: bool = False
    """In no company: an engine has died over a batch that it was in."""


class Prefetch(Frame):
    """Bring a model near that may soon be asked for. It is not a job, and nothing is reported about it."""

    op: Literal["prefetch"] = "prefetch"
    adapter: Path
    digest: Digest


class Cancel(Frame):
    op: Literal["cancel"] = "cancel"
    job: str


class Stop(Frame):
    """Checkpoint what trains and exit."""

    op: Literal["stop"] = "stop"


Order = Train | Imagine | Prefetch | Cancel | Stop
ORDER: TypeAdapter[Order] = TypeAdapter(Annotated[Order, Field(discriminator="op")])


# Engine -> parent.


class Ready(Frame):
    """The base model is loaded; nothing is sent to the engine before."""

    op: Literal["ready"] = "ready"
    device: str
    base_digest: str
    resolution: int


class Alive(Frame):
    """Between two steps, about once a second and whenever another job gets its turn: the step before did not hang."""

    op: Literal["alive"] = "alive"
    job: str
    """Whose step comes next: the one to blame should the engine die now."""
    others: tuple[str, ...] = ()
    """Who else is in the same batch, and may be to blame as well."""


class Status(Frame):
    """Every few seconds while there is work, and once when it is done."""

    op: Literal["status"] = "status"
    engine: EngineStatus


class Began(Frame):
    op: Literal["began"] = "began"
    job: str
    steps: int


class Progress(Frame):
    op: Literal["progress"] = "progress"
    job: str
    stage: Stage
    step: int
    steps: int
    loss: float | None = None
    seconds_left: float | None = None


class Sampled(Frame):
    op: Literal["sampled"] = "sampled"
    job: str
    step: int
    path: Path


class Checkpointed(Frame):
    op: Literal["checkpointed"] = "checkpointed"
    job: str
    step: int
    path: Path
    digest: str


class PictureFile(Frame):
    path: Path
    seed: int
    width: int
    height: int
    score: float | None = None
    """How alike it is to its subject's photos, where that was asked for and can be told."""


class Publication(Frame):
    """One adapter that a training has made."""

    adapter: Path
    download: Path
    subject_score: float | None = None
    findings: Findings | None = None
    samples: tuple[PictureFile, ...]


class RunnerUp(Publication):
    variant: Variant


class TrainingDone(Publication):
    op: Literal["training_done"] = "training_done"
    job: str
    steps: int
    seconds: float
    runners_up: tuple[RunnerUp, ...] = ()


class ImaginingDone(Frame):
    op: Literal["imagining_done"] = "imagining_done"
    job: str
    pictures: tuple[PictureFile, ...]
    seconds: float


class JobCancelled(Frame):
    op: Literal["job_cancelled"] = "job_cancelled"
    job: str
    step: int = 0


class JobFailed(Frame):
    op: Literal["job_failed"] = "job_failed"
    job: str
    reason: FailureReason
    seen_class: ClassName | None = None
    """What the photos show in place of what was said, for `CLASS_DOUBTFUL`."""
    detail: str = ""
    """For the worker's log; never shown to a person."""


JobReport = Began | Progress | Sampled | Checkpointed | TrainingDone | ImaginingDone | JobCancelled | JobFailed
Report = Ready | Alive | Status | JobReport
LAST = (TrainingDone, ImaginingDone, JobCancelled, JobFailed)
"""After one of these the engine says nothing more about the job."""
REPORT: TypeAdapter[Report] = TypeAdapter(Annotated[Report, Field(discriminator="op")])


def encode(frame: Frame) -> bytes:
    body = frame.model_dump_json().encode()
    if len(body) > MAX_FRAME_BYTES:
        raise ValueError(f"a frame of {len(body)} bytes is over the limit of {MAX_FRAME_BYTES}")
    return HEADER.pack(len(body)) + body
