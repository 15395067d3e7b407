"""Messages that Discord owes a person. Sending is `bot.delivery`'s part; here is what is due, and what became of it."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import and_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.contract import JobKind
from storage.people import wants_direct_messages
from storage.quotas import OUTCOME, settle
from storage.schema import WAITING, Delivery, DeliveryKind, DeliveryProblem, DeliveryState, Job

POST_GRACE = timedelta(seconds=15)
"""How long the command that accepted a job has to post its card, before the delivery loop does it."""
EDIT_INTERVAL = timedelta(seconds=3)
"""A card is edited no faster than this while its job runs."""
PLACES_SHOWN = 10


async def due_deliveries(session: AsyncSession, at: datetime, limit: int = 20) -> Sequence[Delivery]:
    """Return what must be sent or edited now, the longest waiting first."""
    stale = and_(Delivery.state == DeliveryState.SENT, Delivery.dirty)
    due = or_(Delivery.state == DeliveryState.PENDING, stale)
    query = select(Delivery).where(due, Delivery.not_before <= at).order_by(Delivery.not_before, Delivery.id)
    return (await session.scalars(query.limit(limit))).all()


async def find_delivery(session: AsyncSession, job_id: str, kind: DeliveryKind) -> Delivery | None:
    query = select(Delivery).where(Delivery.job_id == job_id, Delivery.kind == kind).with_for_update()
    return (await session.scalars(query)).one_or_none()


async def mark_card_posted(session: AsyncSession, job_id: str, message_id: int) -> None:
    """Note the message by which the command answered; what changed since it was accepted is still to be shown."""
    card = await find_delivery(session, job_id, DeliveryKind.CARD)
    if card is not None and card.state is DeliveryState.PENDING:
        card.state, card.message_id = DeliveryState.SENT, message_id
        card.not_before = card.updated_at


async def mark_sent(
    session: AsyncSession,
    delivery_id: int,
    message_id: int,
    revision: int,
    at: datetime,
    channel_id: int | None = None,
) -> None:
    """Note that Discord shows `revision`. If the rows went on meanwhile, the delivery stays dirty and is due again.

    `channel_id` says where the message stands, if that is not where it was to stand.
    """
    delivery = await _locked(session, delivery_id)
    delivery.channel_id = channel_id or delivery.channel_id
    delivery.state, delivery.message_id, delivery.attempts = DeliveryState.SENT, message_id, 0
    delivery.dirty = delivery.revision != revision
    delivery.updated_at = at
    job = await session.get_one(Job, delivery.job_id)
    if not job.state.ended:
        delivery.not_before = at + EDIT_INTERVAL
    elif not delivery.dirty:
        delivery.webhook_token = None


async def postpone(session: AsyncSession, delivery_id: int, not_before: datetime) -> None:
    """Note one more failed try."""
    delivery = await _locked(session, delivery_id)
    delivery.attempts += 1
    delivery.not_before = not_before


async def give_way(session: AsyncSession, delivery_id: int, problem: DeliveryProblem, at: datetime) -> bool:
    """Send the message directly to its owner in place of the channel, if they allow that; else give it up.

    Returns whether it is to be sent directly: it is then due at once, as a message that nobody has posted yet.
    """
    delivery = await _locked(session, delivery_id)
    if not await _may_go_directly(session, delivery, problem):
        await mark_undeliverable(session, delivery_id, at, problem)
        return False
    delivery.problem, delivery.direct = problem, True
    delivery.state, delivery.message_id, delivery.webhook_token = DeliveryState.PENDING, None, None
    delivery.attempts, delivery.not_before, delivery.updated_at = 0, at, at
    return True


async def _may_go_directly(session: AsyncSession, delivery: Delivery, problem: DeliveryProblem) -> bool:
    """A message that Discord calls wrong is wrong everywhere, and a training is told of by its result alone."""
    job = await session.get_one(Job, delivery.job_id)
    only_progress = job.kind is JobKind.TRAIN and delivery.kind is DeliveryKind.CARD
    if delivery.direct or problem is DeliveryProblem.REFUSED or only_progress:
        return False
    return await wants_direct_messages(session, delivery.owner_id)


async def mark_undeliverable(
    session: AsyncSession, delivery_id: int, at: datetime, problem: DeliveryProblem = DeliveryProblem.CLOSED
) -> None:
    """Give up on the message for good. The job's outcome stays in the rows, where `/jobs` finds it."""
    delivery = await _locked(session, delivery_id)
    delivery.state, delivery.webhook_token, delivery.updated_at = DeliveryState.UNDELIVERABLE, None, at
    delivery.problem = delivery.problem or problem
    job = await session.get_one(Job, delivery.job_id)
    if delivery.kind is OUTCOME[job.kind]:
        await settle(session, job, at, delivery.problem)


async def touch_card(session: AsyncSession, job_id: str, at: datetime, *, at_once: bool = False) -> None:
    """Note that the job's card shows something old; `at_once` does not wait for the edit interval."""
    card = await find_delivery(session, job_id, DeliveryKind.CARD)
    if card is None:
        return
    card.dirty = True
    card.revision += 1
    if at_once and card.message_id is not None:  # before that, the command has its time to post the card itself
        card.not_before = at


async def touch_waiting_cards(session: AsyncSession, kind: JobKind, at: datetime) -> None:
    """Note that the places in the queue have changed; of a long queue only the head is worth an edit."""
    waiting = select(Job.id).where(Job.kind == kind, Job.state.in_(WAITING)).order_by(Job.created_at, Job.id)
    for job_id in (await session.scalars(waiting.limit(PLACES_SHOWN))).all():
        await touch_card(session, job_id, at)


async def _locked(session: AsyncSession, delivery_id: int) -> Delivery:
    return await session.get_one(Delivery, delivery_id, with_for_update=True)
