"""All rows of a database at one moment, to compare with what was promised or with another moment."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self, TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from storage.schema import (
    WAITING,
    Base,
    Charge,
    Consent,
    Delivery,
    DeliveryKind,
    Draft,
    Image,
    InboxEntry,
    Job,
    Model,
    ModelVariant,
    OutboxEntry,
    Owner,
    Photo,
)
from tests.storage.life.outside import Attempt, Shown

Row = TypeVar("Row", bound=Base)


@dataclass(frozen=True, kw_only=True)
class Rows:
    owners: dict[int, Owner]
    consents: list[Consent]
    jobs: dict[str, Job]
    models: dict[str, Model]
    deliveries: dict[int, Delivery]
    outbox: dict[Attempt, OutboxEntry]
    drafts: dict[str, Draft]
    photos: list[Photo]
    images: list[Image]
    variants: list[ModelVariant]
    charges: dict[str, Charge]
    inbox: set[str]

    @classmethod
    def of(cls, session: Session) -> Self:
        return cls(
            owners={owner.id: owner for owner in _every(session, Owner)},
            consents=_every(session, Consent),
            jobs={job.id: job for job in _every(session, Job)},
            models={model.id: model for model in _every(session, Model)},
            deliveries={delivery.id: delivery for delivery in _every(session, Delivery)},
            outbox={(entry.job_id, entry.attempt): entry for entry in _every(session, OutboxEntry)},
            drafts={draft.id: draft for draft in _every(session, Draft)},
            photos=_every(session, Photo),
            images=_every(session, Image),
            variants=_every(session, ModelVariant),
            charges={charge.job_id: charge for charge in _every(session, Charge)},
            inbox={entry.event_id for entry in _every(session, InboxEntry)},
        )

    def deliveries_of(self, job_id: str, kind: DeliveryKind) -> list[Delivery]:
        return [row for row in self.deliveries.values() if row.job_id == job_id and row.kind is kind]

    def card(self, job_id: str) -> Delivery:
        (card,) = self.deliveries_of(job_id, DeliveryKind.CARD)
        return card

    def shown(self, job_id: str) -> Shown:
        """Return what a message about the job has to say."""
        job = self.jobs[job_id]
        state = "waiting" if job.state in WAITING else job.state
        return state, job.failure, job.step, job.stage, job.sample_key, job.cancel_requested_at

    def keys(self) -> Iterator[str]:
        """Yield every blob that a row points at."""
        yield from (photo.key for photo in self.photos)
        yield from (image.key for image in self.images)
        yield from (job.sample_key for job in self.jobs.values() if job.sample_key is not None)
        of_models = [(model.adapter_key, model.download_key, model.cover_key) for model in self.models.values()]
        of_models += [(row.adapter_key, row.download_key, row.cover_key) for row in self.variants]
        yield from (key for keys in of_models for key in keys if key is not None)


def _every(session: Session, table: type[Row]) -> list[Row]:
    return list(session.scalars(select(table).order_by(*table.__mapper__.primary_key)))
