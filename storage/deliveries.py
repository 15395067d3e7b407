"""Messages that Discord owes a person. Sending is `bot.delivery`'s part; here is what is due, and what became of it."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Integer, and_, bindparam, exists, not_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.companions import goes_on, lead_of, members
from storage.contract import JobKind
from storage.people import wants_direct_messages
from storage.quotas import OUTCOME, settle
from storage.schema import OPEN, WAITING, Delivery, DeliveryKind, DeliveryProblem, DeliveryState, Job

POST_GRACE = timedelta(seconds=15)
"""How long the command that accepted a job has to post its card, before the delivery loop does it."""
EDIT_INTERVAL = timedelta(seconds=3)
"""A card is edited no faster than this while its job runs."""
PLACES_SHOWN = 10

# Written once, for they are asked again and again.
PROGRESS = and_(Delivery.state == DeliveryState.SENT, goes_on())
DUE = (
    select(Delivery)
    .join(Job, Job.id == Delivery.job_id)
    .where(Delivery.dirty, Delivery.not_before <= bindparam("at"))
    .where(Delivery.channel_id.not_in(bindparam("busy", expanding=True)))
    .where(or_(Delivery.channel_id.not_in(bindparam("paced", expanding=True)), not_(PROGRESS)))
    .order_by(Delivery.not_before, Delivery.id)
    .limit(bindparam("most", type_=Integer))
)
OF_JOB = (
    select(Delivery).where(Delivery.job_id == bindparam("job"), Delivery.kind == bindparam("what")).with_for_update()
)


async def due_deliveries(
    session: AsyncSession, at: datetime, limit: int = 20, *, busy: Collection[int] = (), paced: Collection[int] = ()
) -> Sequence[Delivery]:
    """Return what must be sent or edited now, the longest waiting first.

    Nothing for the `busy` channels, and for the `paced` ones nothing that only shows how far an active job is.
    """
    channels = {"busy": list(busy), "paced": list(paced)}
    return (await session.scalars(DUE, channels | {"at": at, "most": limit})).all()


async def only_progress(session: AsyncSession, deliveries: Sequence[Delivery]) -> set[int]:
    """Return the ids of those that stand already and only show how far an active job is."""
    standing = {delivery.job_id: delivery.id for delivery in deliveries if delivery.state is DeliveryState.SENT}
    if not standing:
        return set()
    active = select(Job.id).where(Job.id.in_(standing), goes_on())
    return {standing[job_id] for job_id in await session.scalars(active)}


async def find_delivery(session: AsyncSession, job_id: str, kind: DeliveryKind) -> Delivery | None:
    return (await session.scalars(OF_JOB, {"job": job_id, "what": kind})).one_or_none()


async def mark_card_posted(session: AsyncSession, job_id: str, message_id: int) -> bool:
    """Note the message by which the command answered; what changed since it was accepted is still to be shown.

    False says that the command was too late: the card stands elsewhere by now, and this message is one too many.
    """
    card = await find_delivery(session, job_id, DeliveryKind.CARD)
    if card is None or card.state is not DeliveryState.PENDING or card.posts:
        return card is not None and card.message_id == message_id
    card.state, card.message_id, card.posted_at = DeliveryState.SENT, message_id, card.updated_at
    card.dirty, card.tried_at = card.revision > 0, None
    card.not_before = card.updated_at
    return True


async def mark_tried(session: AsyncSession, delivery_id: int, at: datetime) -> None:
    """Note that a message may be on its way; the first such time counts until its fate is known."""
    delivery = await _locked(session, delivery_id)
    delivery.tried_at = delivery.tried_at or at


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
    if delivery.message_id != message_id:
        delivery.replaces, delivery.message_id, delivery.posted_at = delivery.message_id, message_id, at
        delivery.posts += 1
    delivery.state, delivery.attempts, delivery.tried_at = DeliveryState.SENT, 0, None
    delivery.dirty = delivery.revision != revision or delivery.replaces is not None
    delivery.updated_at = at
    if await session.scalar(select(exists().where(Job.id == delivery.job_id, goes_on()))):
        delivery.not_before = at + EDIT_INTERVAL
    elif not delivery.dirty:
        delivery.webhook_token = None


async def mark_removed(session: AsyncSession, delivery_id: int) -> None:
    """Note that the message which another one stands in for is gone."""
    (await _locked(session, delivery_id)).replaces = None


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
    delivery.dirty, delivery.tried_at, delivery.posts = True, None, delivery.posts + 1
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
    delivery.dirty = False
    delivery.problem = delivery.problem or problem
    job = await session.get_one(Job, delivery.job_id)
    if delivery.kind is OUTCOME[job.kind]:
        for each in await members(session, job.id):
            await settle(session, each, at, delivery.problem)


async def touch_card(session: AsyncSession, job_id: str, at: datetime, *, at_once: bool = False) -> None:
    """Note that the job's card shows something old; `at_once` does not wait for the edit interval.

    The card of a set has time for as long as any other job of it goes on.
    """
    card = await find_delivery(session, await lead_of(session, job_id), DeliveryKind.CARD)
    if card is None or card.state is DeliveryState.UNDELIVERABLE:
        return
    card.dirty = True
    card.revision += 1
    if not at_once or card.message_id is None:  # before that, the command has its time to post the card itself
        return
    if all(job.state.ended for job in await members(session, card.job_id) if job.id != job_id):
        card.not_before = at


async def touch_card_elsewhere(session: AsyncSession, job: Job, message_id: int, at: datetime) -> None:
    """Note that the job's card shows something old, unless it is this message, or a private one that has ended."""
    card = await find_delivery(session, job.id, DeliveryKind.CARD)
    reachable = card is not None and (card.direct or not job.private)
    if card is not None and reachable and card.message_id not in {message_id, None}:
        await touch_card(session, job.id, at, at_once=True)


async def touch_waiting_cards(session: AsyncSession, kind: JobKind, at: datetime) -> None:
    """Note that the places in the queue have changed; of a long queue only the head is worth an edit."""
    waiting = select(Job.id).where(OPEN, Job.kind == kind, Job.state.in_(WAITING)).order_by(Job.created_at, Job.id)
    for job_id in (await session.scalars(waiting.limit(PLACES_SHOWN))).all():
        await touch_card(session, job_id, at)


async def _locked(session: AsyncSession, delivery_id: int) -> Delivery:
    return await session.get_one(Delivery, delivery_id, with_for_update=True)
