"""What stands around the database: Redis, the workers, Discord and the blob store. They forget, die and repeat."""

from dataclasses import dataclass, field
from typing import Any

from storage.contract import (
    Adapter,
    AnyEvent,
    Cancelled,
    Done,
    Failed,
    FailureReason,
    Imagined,
    JobKind,
    Picture,
    Queued,
    RunnerUp,
    Sample,
    Saved,
    Started,
    Step,
    Trained,
    Variant,
    adapter_key,
    checkpoint_key,
    download_key,
    picture_key,
    sample_key,
    variant_name,
)
from storage.schema import DeliveryKind, Job

Attempt = tuple[str, int]
Shown = tuple[object, ...]
"""What a message says of its job."""


@dataclass
class Redis:
    """arq's queue, its claims and results, the leases, the cancel keys and the stream of events."""

    queued: list[Attempt] = field(default_factory=list)
    claimed: set[Attempt] = field(default_factory=set)
    finished: set[Attempt] = field(default_factory=set)
    leased: set[Attempt] = field(default_factory=set)
    cancels: set[str] = field(default_factory=set)
    stream: list[AnyEvent] = field(default_factory=list)

    def knows(self, attempt: Attempt) -> bool:
        return attempt in self.queued or attempt in self.claimed or attempt in self.finished

    def enqueue(self, attempt: Attempt) -> None:
        """Do nothing for what is there already, as arq does."""
        if not self.knows(attempt):
            self.queued.append(attempt)

    def withdraw(self, attempt: Attempt) -> bool:
        """Take an attempt back unless a worker has it."""
        if attempt in self.claimed or attempt in self.leased:
            return False
        self.queued = [other for other in self.queued if other != attempt]
        return True

    def discard(self, attempt: Attempt) -> None:
        self.queued = [other for other in self.queued if other != attempt]
        self.claimed.discard(attempt)

    def forget(self) -> None:
        """Lose everything but the leases, which living workers renew at once."""
        self.queued, self.stream = [], []
        for kept in (self.claimed, self.finished, self.cancels):
            kept.clear()


@dataclass
class Discord:
    """Messages by their ids. A nonce that came before gives the first message again."""

    shown: dict[int, Shown] = field(default_factory=dict)
    about: dict[int, tuple[str, DeliveryKind]] = field(default_factory=dict)
    by_nonce: dict[str, int] = field(default_factory=dict)
    removed: set[int] = field(default_factory=set)

    def post(self, job: str, kind: DeliveryKind, content: Shown, nonce: str) -> int:
        if nonce not in self.by_nonce:
            message = self.by_nonce[nonce] = 1 + len(self.shown)
            self.shown[message], self.about[message] = content, (job, kind)
        return self.by_nonce[nonce]

    def standing(self, job: str, kind: DeliveryKind) -> list[int]:
        """Return the messages about a job that people can see."""
        return [message for message, of in self.about.items() if of == (job, kind) and message not in self.removed]


@dataclass
class Outside:
    redis: Redis = field(default_factory=Redis)
    discord: Discord = field(default_factory=Discord)
    blobs: set[str] = field(default_factory=set)
    at_work: list[Attempt] = field(default_factory=list)
    """What workers work at, those among them that froze included."""
    lies: set[str] = field(default_factory=set)
    """The ids of events that speak of files which are not their job's."""
    _moment: int = 0

    def tell(self, event: AnyEvent) -> None:
        """Put an event into the stream, and first the files that it speaks of into the blob store."""
        self.blobs.update(files_of(event))
        self.redis.stream.append(event)

    def next_number(self) -> int:
        """Number events by the time, as workers do."""
        self._moment += 1
        return self._moment

    def claim(self, attempt: Attempt) -> None:
        self.redis.queued.remove(attempt)
        self.redis.claimed.add(attempt)
        self.redis.leased.add(attempt)
        self.at_work.append(attempt)
        self.tell(Queued(job=attempt[0], attempt=attempt[1], seq=self.next_number()))

    def finish(self, attempt: Attempt, last: AnyEvent) -> None:
        self.at_work.remove(attempt)
        self.redis.leased.discard(attempt)
        self.redis.claimed.discard(attempt)
        self.redis.finished.add(attempt)
        self.tell(last)


def news(kind: str, job: str, attempt: int, seq: int) -> AnyEvent:
    """Make an event from the middle of an attempt."""
    match kind:
        case "started":
            return Started(job=job, attempt=attempt, seq=seq, worker="w", steps=1000)
        case "step":
            return Step(job=job, attempt=attempt, seq=seq, step=seq % 1000, steps=1000, loss=0.5, seconds_left=9)
        case "sample":
            return Sample(job=job, attempt=attempt, seq=seq, step=1, key=sample_key(job, attempt, f"{seq:06d}"))
        case _:
            key = checkpoint_key(job, attempt, seq)
            return Saved(job=job, attempt=attempt, seq=seq, step=1, key=key, digest="c" * 64)


def ending(how: str, job: Job, attempt: int, seq: int) -> AnyEvent:
    """Make the last event of an attempt."""
    match how:
        case "done":
            return success(job, attempt, seq)
        case "cancelled":
            return Cancelled(job=job.id, attempt=attempt, seq=seq)
        case "unsafe":
            return Failed(job=job.id, attempt=attempt, seq=seq, reason=FailureReason.UNSAFE)
        case "doubtful":
            reason = FailureReason.CLASS_DOUBTFUL
            return Failed(job=job.id, attempt=attempt, seq=seq, reason=reason, seen_class="cat")
        case "broken":
            return Failed(job=job.id, attempt=attempt, seq=seq, reason=FailureReason.ENGINE_DIED, retry=True)
        case _:
            return Failed(job=job.id, attempt=attempt, seq=seq, reason=FailureReason.DIVERGED)


def success(job: Job, attempt: int, seq: int) -> Done:
    done = Done(job=job.id, attempt=attempt, seq=seq, seconds=1)
    if job.kind is JobKind.IMAGINE:
        picture = Picture(key=picture_key(job.id, attempt, 0), seed=1, width=8, height=8)
        return done.model_copy(update={"imagined": Imagined(pictures=(picture,))})
    model = str(job.model_id)
    made = {variant: publication(job, attempt, model, variant) for variant in (Variant.BEST, Variant.FREE)}
    runner_up = RunnerUp(variant=Variant.FREE, **made[Variant.FREE])
    return done.model_copy(update={"trained": Trained(steps=1000, runners_up=(runner_up,), **made[Variant.BEST])})


def publication(job: Job, attempt: int, model: str, variant: Variant) -> dict[str, Any]:
    key, stem = adapter_key(model, job.id, attempt, variant), variant_name("final", variant)
    samples = [Picture(key=sample_key(job.id, attempt, f"{stem}-{n}"), seed=n, width=8, height=8) for n in range(2)]
    return {
        "adapter": Adapter(model=model, key=key, digest=digest_of(job.id, attempt)),
        "adapter_bytes": 1,
        "download": download_key(model, job.id, attempt, variant),
        "download_digest": "b" * 64,
        "samples": tuple(samples),
    }


def digest_of(job: str, attempt: int) -> str:
    """Return a digest that no other attempt's adapter has."""
    return f"{attempt:032x}{job}"


def files_of(event: AnyEvent) -> set[str]:
    match event:
        case Sample() | Saved():
            return {event.key}
        case Done(trained=Trained() as trained):
            return set(trained.keys())
        case Done(imagined=Imagined() as imagined):
            return {picture.key for picture in imagined.pictures}
        case _:
            return set()
