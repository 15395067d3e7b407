"""What the bot and the workers agree on: wire messages, key names and limits.

Every message is versioned JSON; an unknown version or field is refused, never guessed at. Arguments of queued tasks are
ids alone: the request itself waits under `request_key`, so that nothing personal stands in the queue's logs.
"""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from hashlib import sha256
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    StringConstraints,
    TypeAdapter,
    model_serializer,
    model_validator,
)

VERSION: Final = 1

MIN_PHOTOS, MAX_PHOTOS = 3, 10
MAX_COUNT = 4
MAX_SUBJECTS = 2
"""In one picture."""
MAX_PROMPT_CHARS = 1000
MAX_CLASS_PROMPT_CHARS = 150
MAX_SEED = 2**32 - 1

Id = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
"""A uuid4 in hex: the only kind of name that appears in keys, queues and logs."""
BlobKey = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]+(/[a-z0-9_-][a-z0-9_.-]*)+$", max_length=200)]
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""A SHA-256 in hex."""
ClassName = Annotated[str, StringConstraints(pattern=r"^[a-z]+( [a-z]+)*$", max_length=40)]
"""A class that an embedder knows."""
Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]


class JobKind(StrEnum):
    TRAIN = "train"
    IMAGINE = "imagine"


class SubjectKind(StrEnum):
    PET = "pet"
    PERSON = "person"
    OBJECT = "object"
    STYLE = "style"


class Quality(StrEnum):
    FAST = "fast"
    GOOD = "good"
    BEST = "best"


class Variant(StrEnum):
    """Which of a training's candidates a model draws with."""

    BEST = "best"
    ALIKE = "alike"
    """More like the subject."""
    FREE = "free"
    """More freedom for the rest of the prompt."""


class FailureReason(StrEnum):
    """Why a job ended without a result; `bot/job_text.py` says each in a person's words."""

    PHOTOS_MISSING = "photos_missing"
    MODEL_MISSING = "model_missing"
    MODEL_CORRUPT = "model_corrupt"
    PICTURE_MISSING = "picture_missing"
    """The picture that was to be worked on, or its mask, is gone or cannot be read."""
    OUT_OF_MEMORY = "out_of_memory"
    DIVERGED = "diverged"
    UNSAFE = "unsafe"
    UPGRADE = "upgrade"
    ENGINE_DIED = "engine_died"
    GAVE_UP = "gave_up"
    CLASS_DOUBTFUL = "class_doubtful"
    """The photos show something else than the class noun says: their owner is asked before anything is spent."""


class Message(BaseModel):
    """The base of everything on the wire."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    v: Literal[1] = VERSION


class Part(BaseModel):
    """A piece of a message."""

    model_config = ConfigDict(extra="forbid", frozen=True)


# Requests: bot -> worker.


class TrainingOptions(Part):
    """What a person may set by hand; `None` leaves it to the recipe for the kind of subject."""

    steps: int | None = Field(default=None, ge=10, le=10_000)
    learning_rate: float | None = Field(default=None, gt=0, le=0.1)
    rank: int | None = Field(default=None, ge=1, le=128)
    batch_size: int | None = Field(default=None, ge=1, le=32)
    prior_weight: float | None = Field(default=None, ge=0, le=10)
    class_images: int | None = Field(default=None, ge=0, le=1000)
    class_prompt: str | None = Field(default=None, min_length=1, max_length=MAX_CLASS_PROMPT_CHARS)
    """What other members of the class are called, in place of "a photo of a dog"."""
    resolution: int | None = Field(default=None, ge=16, le=1024, multiple_of=16)
    """The side in pixels that photos are trained at; never more than the base's own."""


class Box(Part):
    """A part of a photo, in pixels from its upper left corner; `right` and `bottom` are the first outside."""

    left: int = Field(ge=0)
    top: int = Field(ge=0)
    right: int = Field(ge=1)
    bottom: int = Field(ge=1)


class TrainRequest(Message):
    kind: Literal[JobKind.TRAIN] = JobKind.TRAIN
    job: Id
    attempt: int = Field(ge=1)
    person: Id | None = None
    """Whose it is, for turns between people: a name that means nothing outside of the bot."""
    model: Id
    base: str
    identifier: str
    class_noun: str
    subject_kind: SubjectKind
    quality: Quality
    photos: tuple[BlobKey, ...] = Field(min_length=MIN_PHOTOS, max_length=MAX_PHOTOS)
    crops: tuple[Box | None, ...] = ()
    """Where the subject of each photo is, for crops to be laid around it; none at all where nobody looked."""
    options: TrainingOptions = TrainingOptions()
    class_agreed: bool = False
    """That its owner was asked whether the class noun fits."""
    seed: Seed

    @model_validator(mode="after")
    def _one_crop_a_photo(self) -> Self:
        if self.crops and len(self.crops) != len(self.photos):
            raise ValueError(f"{len(self.crops)} crops for {len(self.photos)} photos")
        return self


class Adapter(Part):
    """A person's trained LoRA in the blob store."""

    model: Id
    key: BlobKey
    digest: Digest


class Subject(Part):
    """One of two who stand side by side."""

    adapter: Adapter
    prompt: str = Field(min_length=1, max_length=MAX_PROMPT_CHARS)
    """What would be asked for if it were alone in the picture."""


class Tool(StrEnum):
    """What becomes of a picture that a request brings along."""

    VARY = "vary"
    """Another one like it: image-to-image."""
    UPSCALE = "upscale"
    """The same with twice the width and height, and finer."""
    INPAINT = "inpaint"
    """What a mask shows is drawn anew."""
    OUTPAINT = "outpaint"
    """The request's width and height are those of a larger canvas, and the rest of it is drawn."""


SUBTLE, STRONG, UPSCALED, OUTPAINTED = 0.35, 0.7, 0.3, 0.8
"""Strengths: of two ways to vary, of upscaling, and of drawing around a picture, whose edges are gone on from."""


class Source(Part):
    """A picture to work on."""

    tool: Tool
    key: BlobKey
    mask: BlobKey | None = None
    """As large as the picture, or of its aspect; white is drawn anew, black stays."""
    strength: float = Field(default=1.0, gt=0, le=1)
    """How much noise the picture begins with: 1 keeps nothing of what is drawn anew."""

    @model_validator(mode="after")
    def _one_mask_for_inpainting(self) -> Self:
        if (self.mask is not None) != (self.tool is Tool.INPAINT):
            raise ValueError(f"{self.tool} with{'out' if self.mask is None else ''} a mask")
        return self


class ImagineRequest(Message):
    kind: Literal[JobKind.IMAGINE] = JobKind.IMAGINE
    job: Id
    attempt: int = Field(ge=1)
    person: Id | None = None
    """As in a `TrainRequest`."""
    base: str
    prompt: str = Field(min_length=1, max_length=MAX_PROMPT_CHARS)
    negative_prompt: str = Field(default="", max_length=MAX_PROMPT_CHARS)
    adapter: Adapter | None = None
    subjects: tuple[Subject, ...] = Field(default=(), max_length=MAX_SUBJECTS)
    """From left to right, in place of `adapter`; none where the picture is of one or of nobody."""
    source: Source | None = None
    count: int = Field(default=1, ge=1, le=MAX_COUNT)
    seed: Seed
    steps: int | None = Field(default=None, ge=1, le=150)
    guidance_scale: float | None = Field(default=None, ge=1, le=30)
    width: int | None = Field(default=None, ge=64, le=2048, multiple_of=8)
    height: int | None = Field(default=None, ge=64, le=2048, multiple_of=8)
    lossless: bool = False
    """As PNG, whatever the size."""
    scored: bool = False
    """Each picture is to be scored by the photos that its model was trained on."""
    quality: Quality | None = None
    """`FAST` is drawn in a few steps where the worker can, all else in all of them; None is the worker's choice."""

    @model_validator(mode="after")
    def _subjects_stand_in_for_the_adapter(self) -> Self:
        if self.subjects and (self.adapter is not None or len(self.subjects) < 2):
            raise ValueError("there are either an adapter or two subjects or neither")
        return self

    @model_validator(mode="after")
    def _outpainting_has_a_canvas(self) -> Self:
        if self.source is not None and self.source.tool is Tool.OUTPAINT and not (self.width and self.height):
            raise ValueError("outpainting needs a width and a height")
        return self

    @model_serializer(mode="wrap")
    def _as_older_workers_know_it(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what is newer than version 1's first form and not made use of: older workers refuse the field."""
        fields: dict[str, Any] = write(self)
        newer = {"subjects", "source", "lossless", "scored", "quality"}
        return {name: value for name, value in fields.items() if value or name not in newer}


Request = Annotated[TrainRequest | ImagineRequest, Field(discriminator="kind")]
REQUEST: TypeAdapter[TrainRequest | ImagineRequest] = TypeAdapter(Request)


# Events: worker -> bot.


class EventBase(Message):
    """`(job, attempt, seq)` is unique and `seq` grows: an event is applied once, and a late one is known as late."""

    job: Id
    attempt: int = Field(ge=1)
    seq: int = Field(ge=0)

    @property
    def id(self) -> str:
        return f"{self.job}:{self.attempt}:{self.seq}"


class Queued(EventBase):
    """A worker has the job and will begin when its engine is free."""

    kind: Literal["queued"] = "queued"


class Started(EventBase):
    kind: Literal["started"] = "started"
    worker: str
    steps: int = Field(ge=1)


class Stage(StrEnum):
    """What a training does now."""

    PREPARING = "preparing"
    CLASS_IMAGES = "class_images"
    TRAINING = "training"
    CHOOSING = "choosing"
    SAVING = "saving"


class Step(EventBase):
    kind: Literal["step"] = "step"
    stage: Stage = Stage.TRAINING
    step: int = Field(ge=0)
    steps: int = Field(ge=1)
    loss: float | None = None
    seconds_left: float | None = Field(default=None, ge=0)


class Sample(EventBase):
    """A picture drawn by the model in training."""

    kind: Literal["sample"] = "sample"
    step: int = Field(ge=0)
    key: BlobKey


class Saved(EventBase):
    """A checkpoint from which another worker can go on."""

    kind: Literal["saved"] = "saved"
    step: int = Field(ge=0)
    key: BlobKey
    digest: Digest


class Picture(Part):
    key: BlobKey
    seed: Seed
    width: int = Field(ge=1)
    height: int = Field(ge=1)
    score: float | None = Field(default=None, allow_inf_nan=False)
    """How alike it is to its subject's photos: 0 as another individual of the class, 1 as they are to each other."""

    @model_serializer(mode="wrap")
    def _as_older_bots_know_it(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out a score that nobody asked for."""
        fields: dict[str, Any] = write(self)
        return {name: value for name, value in fields.items() if value is not None}


class Findings(Part):
    """What the embedder that chose saw in the pictures of a candidate, as shares of them."""

    adherence: float
    """Those that show the place, or for styles the thing, that their prompt names."""
    copied: float
    """Those that copy a photo."""
    repeated: float
    """Prompts for which another seed draws the same picture."""
    drift: float
    """How much more than before other members of the class look like the subject, on the scale of its score."""


class Publication(Part):
    """One adapter that a training has made: its files, what it draws and how good that is."""

    adapter: Adapter
    adapter_bytes: int = Field(ge=1)
    download: BlobKey
    download_digest: Digest
    subject_score: float | None = None
    findings: Findings | None = None
    samples: tuple[Picture, ...]


class RunnerUp(Publication):
    variant: Variant


class Trained(Publication):
    """The best, and what else a person may like better."""

    steps: int = Field(ge=1)
    runners_up: tuple[RunnerUp, ...] = ()

    def keys(self) -> Iterator[BlobKey]:
        """Yield the blobs that the training has made."""
        for each in (self, *self.runners_up):
            yield from (each.adapter.key, each.download, *(sample.key for sample in each.samples))


class Imagined(Part):
    pictures: tuple[Picture, ...] = Field(min_length=1, max_length=MAX_COUNT)


class Done(EventBase):
    kind: Literal["done"] = "done"
    seconds: float = Field(ge=0)
    trained: Trained | None = None
    imagined: Imagined | None = None


class Failed(EventBase):
    kind: Literal["failed"] = "failed"
    reason: FailureReason
    retry: bool = False
    seen_class: ClassName | None = None
    """What the photos show in place of what was said, for `CLASS_DOUBTFUL`."""


class Cancelled(EventBase):
    kind: Literal["cancelled"] = "cancelled"
    step: int = Field(default=0, ge=0)


AnyEvent = Queued | Started | Step | Sample | Saved | Done | Failed | Cancelled
EVENT: TypeAdapter[AnyEvent] = TypeAdapter(Annotated[AnyEvent, Field(discriminator="kind")])
TERMINAL = ("done", "failed", "cancelled")


# Names in Redis.

EVENTS_STREAM = "dreambot:events"
EVENTS_GROUP = "bot"
EVENT_FIELD = "event"
"""The stream entry's one field; its value is the event's JSON."""


def queue_name(kind: JobKind, base: str, worker: str | None = None) -> str:
    """Name the arq queue for `kind` on workers that hold `base`, or on one certain worker."""
    return ":".join(["dreambot", "queue", kind.value, base, *([worker] if worker else [])])


def task_id(job: str, attempt: int) -> str:
    """The arq job id: unique for each attempt, so that arq refuses a second copy and never reuses an old result."""
    return f"{job}:{attempt}"


def request_key(job: str, attempt: int) -> str:
    return f"dreambot:request:{job}:{attempt}"


def lease_key(job: str, attempt: int) -> str:
    """Holds the worker's name while it lives and works on this attempt."""
    return f"dreambot:lease:{job}:{attempt}"


def cancel_key(job: str) -> str:
    """Exists once the person has asked for the job to stop."""
    return f"dreambot:cancel:{job}"


def worker_key(worker: str) -> str:
    """Exists while the worker lives; `worker_key("*")` matches all of them."""
    return f"dreambot:worker:{worker}"


def ahead_channel(base: str) -> str:
    """Where the bot tells the workers of a base which models may soon be asked for."""
    return f"dreambot:ahead:{base}"


# Names in the blob store. No user text ever becomes part of one.


def photo_key(job: str, position: int) -> str:
    return f"photos/{job}/{position}.png"


def adapter_key(model: str, job: str, attempt: int, variant: Variant = Variant.BEST) -> str:
    return f"models/{model}/{job}/{attempt}/{variant_name('adapter', variant)}.safetensors"


def download_key(model: str, job: str, attempt: int, variant: Variant = Variant.BEST) -> str:
    """The same adapter in the kohya layout, as other programs read it."""
    return f"models/{model}/{job}/{attempt}/{variant_name('download', variant)}.safetensors"


def variant_name(stem: str, variant: Variant) -> str:
    """Name a file of a variant, such as `adapter-free`; the best needs no mention."""
    return stem if variant is Variant.BEST else f"{stem}-{variant}"


def sample_key(job: str, attempt: int, name: str) -> str:
    return f"samples/{job}/{attempt}/{name}.png"


def picture_key(job: str, attempt: int, position: int, ending: str = ".png") -> str:
    return f"pictures/{job}/{attempt}/{position}{ending}"


def mask_key(job: str) -> str:
    """What a person wants drawn anew of a picture, in white."""
    return f"masks/{job}/mask.png"


def reference_key(job: str) -> str:
    """A picture that a person sent to draw from."""
    return f"references/{job}/picture.png"


def checkpoint_key(job: str, attempt: int, step: int) -> str:
    return f"checkpoints/{job}/{attempt}/{step:06d}.safetensors"


def class_image_prefix(base_digest: str, class_prompts: Sequence[str], size: int) -> str:
    """Class images are the base model's own and belong to nobody, so everybody shares them."""
    prompts_digest = sha256("\n".join(class_prompts).encode()).hexdigest()
    return f"class-images/{base_digest[:16]}/{prompts_digest[:16]}/{size}"
