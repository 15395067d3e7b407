"""The tables of the bot's database, the one place where the truth is kept.

All times are UTC and given by the caller. A session keeps what it loaded after its end (`expire_on_commit=False`), and
no relationship is declared, so that no attribute can ever start a query behind the reader's back.
"""

from datetime import UTC, datetime
from enum import Enum, StrEnum
from typing import Any, ClassVar

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    TypeDecorator,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy import Enum as EnumColumn
from sqlalchemy.orm import DeclarativeBase, Mapped, MappedAsDataclass, mapped_column

from storage.contract import FailureReason, JobKind, Stage, SubjectKind, Variant

BIG_KEY = BigInteger().with_variant(Integer, "sqlite")
"""A key that counts up by itself; SQLite does that only for a column declared INTEGER."""


class UtcDateTime(TypeDecorator[datetime]):
    """An aware time in and out; SQLite itself stores no zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        if value is not None and value.tzinfo is None:
            raise ValueError("a time without a zone")
        return value and value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        return value and (value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC))


class JobState(StrEnum):
    """accepted -> queued (Redis has it) -> running -> succeeded | failed | cancelled."""

    ACCEPTED = "accepted"
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        return self in ENDED


WAITING = (JobState.ACCEPTED, JobState.QUEUED)
ACTIVE = (*WAITING, JobState.RUNNING)
ENDED = (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)


class SetKind(StrEnum):
    TEMPLATE = "template"
    STORYBOOK = "storybook"
    DATASET = "dataset"


class ModelStatus(StrEnum):
    TRAINING = "training"
    READY = "ready"
    FAILED = "failed"
    TAKEN_DOWN = "taken down"
    """By those who run the bot; `Takedown` says why."""


class DeliveryKind(StrEnum):
    CARD = "card"
    RESULT = "result"


class DeliveryState(StrEnum):
    PENDING = "pending"
    SENT = "sent"
    UNDELIVERABLE = "undeliverable"


class DeliveryProblem(StrEnum):
    """Why a message did not come to stand where it was asked for."""

    CLOSED = "closed"
    """The channel is gone, or closed to us."""
    EXPIRED = "expired"
    """A private reply can be edited for 15 minutes, and the job took longer."""
    REFUSED = "refused"
    """Discord would not take the message however often it was offered."""


class Base(MappedAsDataclass, DeclarativeBase, kw_only=True):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar = {
        int: BigInteger,
        datetime: UtcDateTime,
        dict[str, Any]: JSON,
        list[float]: JSON,
        list[str]: JSON,
        Enum: EnumColumn(
            Enum, native_enum=False, length=32, values_callable=lambda kind: [member.value for member in kind]
        ),
    }


class Owner(Base):
    """A person, by the id that Discord gave them."""

    __tablename__ = "owners"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    created_at: Mapped[datetime]
    direct_messages: Mapped[bool] = mapped_column(default=False, server_default=false())
    """That the person lets us write to them where no channel is left."""
    defaults: Mapped[dict[str, Any] | None] = mapped_column(default=None)
    """What the person wants where `/imagine` leaves it open: `people.Defaults`."""


class Consent(Base):
    """That a person agreed to a certain text, and by which interaction."""

    __tablename__ = "consents"

    id: Mapped[int] = mapped_column(BIG_KEY, primary_key=True, init=False)
    owner_id: Mapped[int] = mapped_column(ForeignKey("owners.id"), index=True)
    text_version: Mapped[str] = mapped_column(String(32))
    text_digest: Mapped[str] = mapped_column(String(64))
    interaction_id: Mapped[int]
    at: Mapped[datetime]


class Model(Base):
    """A person's trained subject. A deleted one stays as an empty row, so that old jobs still point somewhere."""

    __tablename__ = "models"
    __table_args__ = (
        Index(
            "uq_models_name",
            "owner_id",
            "name_key",
            unique=True,
            sqlite_where=text("deleted_at IS NULL"),
            postgresql_where=text("deleted_at IS NULL"),
        ),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("owners.id"))
    guild_id: Mapped[int | None]
    name: Mapped[str] = mapped_column(String(32))
    name_key: Mapped[str] = mapped_column(String(128))
    """The name as it is compared: folded, so that Rex and rex are one name."""
    class_noun: Mapped[str] = mapped_column(String(64))
    subject_kind: Mapped[SubjectKind]
    identifier: Mapped[str] = mapped_column(String(16))
    base: Mapped[str] = mapped_column(String(200))
    photo_count: Mapped[int]
    created_at: Mapped[datetime]
    version: Mapped[int] = mapped_column(default=0)
    """Which training's files these are, counted from 1; 0 before the first has ended."""
    status: Mapped[ModelStatus] = mapped_column(default=ModelStatus.TRAINING)
    adapter_key: Mapped[str | None] = mapped_column(String(200), default=None)
    adapter_digest: Mapped[str | None] = mapped_column(String(64), default=None)
    adapter_bytes: Mapped[int | None] = mapped_column(default=None)
    download_key: Mapped[str | None] = mapped_column(String(200), default=None)
    download_digest: Mapped[str | None] = mapped_column(String(64), default=None)
    cover_key: Mapped[str | None] = mapped_column(String(200), default=None)
    subject_score: Mapped[float | None] = mapped_column(default=None)
    findings: Mapped[dict[str, Any] | None] = mapped_column(default=None)
    """What its pictures show, beside likeness: `contract.Findings`."""
    photo_flaws: Mapped[list[str] | None] = mapped_column(default=None)
    """What was wrong with its photos when they came in, as the bot calls it."""
    variant: Mapped[Variant] = mapped_column(default=Variant.BEST, server_default=Variant.BEST.value)
    """Whose files these are; the others' stand in `ModelVariant`."""
    shared_guild_id: Mapped[int | None] = mapped_column(default=None, index=True)
    trained_at: Mapped[datetime | None] = mapped_column(default=None)
    deleted_at: Mapped[datetime | None] = mapped_column(default=None)
    erase_at: Mapped[datetime | None] = mapped_column(default=None, index=True)
    """Deleted, and until then all that belongs to it is kept, for its owner may want it back."""
    public_at: Mapped[datetime | None] = mapped_column(default=None, index=True)
    """Since when anybody may draw with it."""


class Share(Base):
    """That a person may draw with somebody else's model, wherever they are."""

    __tablename__ = "shares"

    model_id: Mapped[str] = mapped_column(ForeignKey("models.id"), primary_key=True)
    person_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False, index=True)


class RoleShare(Base):
    """That whoever has a role of a server may draw with somebody else's model there."""

    __tablename__ = "role_shares"

    model_id: Mapped[str] = mapped_column(ForeignKey("models.id"), primary_key=True)
    role_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False, index=True)
    guild_id: Mapped[int]


class ModelVariant(Base):
    """What a model can draw with: each training that is kept is a version, with one row for each of its variants."""

    __tablename__ = "versions"

    model_id: Mapped[str] = mapped_column(ForeignKey("models.id"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    variant: Mapped[Variant] = mapped_column(primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"))
    """The training that made it."""
    adapter_key: Mapped[str] = mapped_column(String(200))
    adapter_digest: Mapped[str] = mapped_column(String(64))
    adapter_bytes: Mapped[int]
    download_key: Mapped[str] = mapped_column(String(200))
    download_digest: Mapped[str] = mapped_column(String(64))
    cover_key: Mapped[str | None] = mapped_column(String(200), default=None)
    subject_score: Mapped[float | None] = mapped_column(default=None)
    findings: Mapped[dict[str, Any] | None] = mapped_column(default=None)


class Job(Base):
    """One train or imagine request, through all its attempts."""

    __tablename__ = "jobs"
    __table_args__ = (
        Index(
            "uq_jobs_active_training",
            "owner_id",
            unique=True,
            sqlite_where=text("kind = 'train' AND state IN ('accepted', 'queued', 'running')"),
            postgresql_where=text("kind = 'train' AND state IN ('accepted', 'queued', 'running')"),
        ),
        Index(None, "owner_id", "created_at"),
        Index(None, "kind", "created_at"),
        Index(
            "ix_jobs_open",
            "kind",
            "created_at",
            sqlite_where=text("finished_at IS NULL"),
            postgresql_where=text("finished_at IS NULL"),
        ),
        Index(
            "ix_jobs_prompts",
            "state",
            "finished_at",
            sqlite_where=text("prompt_shown IS NOT NULL"),
            postgresql_where=text("prompt_shown IS NOT NULL"),
        ),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    kind: Mapped[JobKind]
    owner_id: Mapped[int] = mapped_column(ForeignKey("owners.id"))
    guild_id: Mapped[int | None]
    channel_id: Mapped[int]
    model_id: Mapped[str | None] = mapped_column(ForeignKey("models.id"), index=True)
    interaction_id: Mapped[int] = mapped_column(unique=True)
    base: Mapped[str] = mapped_column(String(200))
    request: Mapped[dict[str, Any]]
    """The wire request of the first attempt."""
    created_at: Mapped[datetime]
    prompt_shown: Mapped[str | None] = mapped_column(default=None)
    private: Mapped[bool] = mapped_column(default=False)
    spoiler: Mapped[bool] = mapped_column(default=False)
    state: Mapped[JobState] = mapped_column(default=JobState.ACCEPTED)
    attempt: Mapped[int] = mapped_column(default=1)
    last_seq: Mapped[int] = mapped_column(default=-1)
    """The newest event of this attempt that was applied."""
    stage: Mapped[Stage | None] = mapped_column(default=None)
    step: Mapped[int] = mapped_column(default=0)
    steps: Mapped[int | None] = mapped_column(default=None)
    losses: Mapped[list[float]] = mapped_column(default_factory=list)
    seconds_left: Mapped[float | None] = mapped_column(default=None)
    sample_key: Mapped[str | None] = mapped_column(String(200), default=None)
    failure: Mapped[FailureReason | None] = mapped_column(default=None)
    seen_class: Mapped[str | None] = mapped_column(String(64), default=None)
    """What the photos of a training that failed as `CLASS_DOUBTFUL` show."""
    photo_flaws: Mapped[list[str] | None] = mapped_column(default=None)
    """What was wrong with a training's photos when they came in, as the bot calls it."""
    started_at: Mapped[datetime | None] = mapped_column(default=None)
    finished_at: Mapped[datetime | None] = mapped_column(default=None)
    cancel_requested_at: Mapped[datetime | None] = mapped_column(default=None)
    seconds: Mapped[float | None] = mapped_column(default=None)
    parent_id: Mapped[str | None] = mapped_column(String(32), default=None)
    """The job whose card this one was asked for from."""
    look: Mapped[str | None] = mapped_column(String(32), default=None)
    """The look that was asked for, by its name."""
    locale: Mapped[str | None] = mapped_column(String(16), default=None)
    """The language of its messages, as Discord calls it; None for English."""


OPEN = Job.finished_at.is_(None)
"""Of the few jobs among millions that have not ended: by this, not by their states, is their index found."""


class PictureSet(Base):
    """Pictures of several prompts that were asked for together: they stand on one card, that of the first job."""

    __tablename__ = "sets"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    kind: Mapped[SetKind]
    words: Mapped[str | None] = mapped_column(default=None)
    """What was typed: a template with its braces, or a story's title."""


class Companion(Base):
    """A further job of a set, after the first. It came by no interaction of its own and has no card of its own."""

    __tablename__ = "companions"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    lead_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), index=True)
    """The first job of the set."""
    position: Mapped[int]


class SecondSubject(Base):
    """The second of two models whose subjects a job draws side by side; the first is the job's own."""

    __tablename__ = "second_subjects"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    model_id: Mapped[str] = mapped_column(ForeignKey("models.id"), index=True)


class Look(Base):
    """A server's own look, beside those that come with the bot."""

    __tablename__ = "looks"
    __table_args__ = (UniqueConstraint("guild_id", "name_key"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    guild_id: Mapped[int]
    name: Mapped[str] = mapped_column(String(32))
    name_key: Mapped[str] = mapped_column(String(128))
    words: Mapped[str] = mapped_column(String(300))
    """What is drawn in place of the prompt, with `{prompt}` where that stands."""
    negative: Mapped[str] = mapped_column(String(300))
    author_id: Mapped[int]
    created_at: Mapped[datetime]


class Report(Base):
    """That a person found a picture harmful. Each person reports a card once."""

    __tablename__ = "reports"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    reporter_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    reason: Mapped[str] = mapped_column(String(32))
    note: Mapped[str] = mapped_column(String(500))
    at: Mapped[datetime] = mapped_column(index=True)
    verdict: Mapped[str | None] = mapped_column(String(32), default=None)
    """What an operator decided; until then the report is open."""
    settled_by: Mapped[int | None] = mapped_column(default=None)
    settled_at: Mapped[datetime | None] = mapped_column(default=None)


class Pause(Base):
    """That nothing new is taken in. There is one row while it is so, and none otherwise."""

    __tablename__ = "pauses"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    words: Mapped[str] = mapped_column(String(300))
    """The operator's own, for people to read; may be empty."""
    drains: Mapped[bool]
    """What waits is held back as well."""
    operator_id: Mapped[int]
    at: Mapped[datetime]


class Block(Base):
    """That a person may make nothing, in a server or anywhere."""

    __tablename__ = "blocks"

    person_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    guild_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """0 stands for everywhere."""
    words: Mapped[str] = mapped_column(String(300))
    """Why, for the person to read; may be empty."""
    by_id: Mapped[int]
    at: Mapped[datetime]


class Takedown(Base):
    """Why nobody may use a model, and who decided it."""

    __tablename__ = "takedowns"

    model_id: Mapped[str] = mapped_column(ForeignKey("models.id"), primary_key=True)
    words: Mapped[str] = mapped_column(String(300))
    """For its owner to read."""
    operator_id: Mapped[int]
    at: Mapped[datetime]


class Limit(Base):
    """How much each member of a server, or of one of its roles, may ask for in a day."""

    __tablename__ = "limits"

    guild_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    role_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """0 stands for everybody in the server."""
    kind: Mapped[JobKind] = mapped_column(primary_key=True)
    per_day: Mapped[int]


class OpenChannel(Base):
    """A channel where the bot may be used. A server that names none lets it be used everywhere."""

    __tablename__ = "open_channels"

    guild_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    channel_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)


class Charge(Base):
    """What a job takes from its owner's quota: one training, or as many pictures as it draws."""

    __tablename__ = "charges"
    __table_args__ = (Index(None, "owner_id", "kind", "at"),)

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("owners.id"))
    kind: Mapped[JobKind]
    amount: Mapped[int]
    at: Mapped[datetime]
    refunded_at: Mapped[datetime | None] = mapped_column(default=None)


class Draft(Base):
    """A training that waits for its owner's word; the photos wait in the blob store."""

    __tablename__ = "drafts"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    """Becomes the job's id."""
    owner_id: Mapped[int] = mapped_column(ForeignKey("owners.id"), index=True)
    training: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(index=True)


class Intake(Base):
    """A request whose photos are on their way: nothing is promised yet, and somebody waits."""

    __tablename__ = "intakes"

    interaction_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    token: Mapped[str] = mapped_column(repr=False)
    """Edits the reply, for 15 minutes."""
    at: Mapped[datetime]
    locale: Mapped[str | None] = mapped_column(String(16), default=None)
    """The person's language."""


class Photo(Base):
    """One photo of a training, cleaned and stored."""

    __tablename__ = "photos"
    __table_args__ = (UniqueConstraint("job_id", "position"),)

    id: Mapped[int] = mapped_column(BIG_KEY, primary_key=True, init=False)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"))
    model_id: Mapped[str] = mapped_column(ForeignKey("models.id"), index=True)
    position: Mapped[int]
    key: Mapped[str] = mapped_column(String(200), unique=True)
    sha256: Mapped[str] = mapped_column(String(64))
    width: Mapped[int]
    height: Mapped[int]


class Image(Base):
    """A picture that a model drew: a result of imagining, or a sample that came with a training."""

    __tablename__ = "images"
    __table_args__ = (UniqueConstraint("job_id", "position"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"))
    model_id: Mapped[str | None] = mapped_column(ForeignKey("models.id"), index=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("owners.id"), index=True)
    key: Mapped[str] = mapped_column(String(200), unique=True)
    seed: Mapped[int]
    width: Mapped[int]
    height: Mapped[int]
    position: Mapped[int]
    created_at: Mapped[datetime]
    variant: Mapped[Variant] = mapped_column(default=Variant.BEST, server_default=Variant.BEST.value)
    """Which of the training's variants drew the sample."""
    score: Mapped[float | None] = mapped_column(default=None)
    """How alike it is to its subject's photos, where that was asked for: `contract.Picture`."""


class Delivery(Base):
    """A message that Discord has to show. Its id goes into the nonce, so it is never used twice."""

    __tablename__ = "deliveries"
    __table_args__ = (
        UniqueConstraint("job_id", "kind"),
        Index(None, "dirty", "not_before"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BIG_KEY, primary_key=True, init=False)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"))
    kind: Mapped[DeliveryKind]
    channel_id: Mapped[int]
    owner_id: Mapped[int] = mapped_column(ForeignKey("owners.id"))
    not_before: Mapped[datetime]
    updated_at: Mapped[datetime]
    state: Mapped[DeliveryState] = mapped_column(default=DeliveryState.PENDING)
    message_id: Mapped[int | None] = mapped_column(default=None)
    webhook_token: Mapped[str | None] = mapped_column(default=None, repr=False)
    """Edits a reply that only one person sees, for 15 minutes; cleared when the job's end is shown."""
    attempts: Mapped[int] = mapped_column(default=0)
    dirty: Mapped[bool] = mapped_column(default=True)
    """Discord does not show what the rows say: nothing yet, or something older."""
    revision: Mapped[int] = mapped_column(default=0)
    tried_at: Mapped[datetime | None] = mapped_column(default=None)
    """Since when a message may be on its way that we know nothing of."""
    posted_at: Mapped[datetime | None] = mapped_column(default=None)
    posts: Mapped[int] = mapped_column(default=0, server_default="0")
    """How many messages were sent for this row, one in place of another; each has its own nonce."""
    replaces: Mapped[int | None] = mapped_column(default=None)
    """The message that the present one stands in for, until it is removed."""
    problem: Mapped[DeliveryProblem | None] = mapped_column(default=None)
    direct: Mapped[bool] = mapped_column(default=False, server_default=false())
    """It goes to the person in a direct message, in place of the channel."""


class OutboxEntry(Base):
    """One attempt that Redis must come to know of."""

    __tablename__ = "outbox"
    __table_args__ = (UniqueConstraint("job_id", "attempt"),)

    id: Mapped[int] = mapped_column(BIG_KEY, primary_key=True, init=False)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"))
    attempt: Mapped[int]
    queue: Mapped[str] = mapped_column(String(300))
    request: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    sent_at: Mapped[datetime | None] = mapped_column(default=None, index=True)


class CommandList(Base):
    """The commands that Discord has of us: what they were when we last sent them, and the ids that it gave them."""

    __tablename__ = "command_lists"

    place: Mapped[str] = mapped_column(String(64), primary_key=True)
    """The application, and the server where they are put into one alone."""
    digest: Mapped[str] = mapped_column(String(64))
    ids: Mapped[dict[str, Any]]


class InboxEntry(Base):
    """An event that was applied."""

    __tablename__ = "inbox"

    event_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    at: Mapped[datetime] = mapped_column(index=True)
