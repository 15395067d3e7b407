"""Build the bot from its settings: the one place where parts meet. Everything else receives what it needs."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from bot.ahead import Ahead
from bot.app import Dreambot
from bot.delivery import Delivery
from bot.drafts import keep_no_old_drafts
from bot.erasure import empty_bin
from bot.events import EventReader
from bot.files import Links, application, serving
from bot.loops import Loop
from bot.outbox import Outbox
from bot.reconcile import Reconciler
from bot.services import Services, utc_now
from bot.settings import BotSettings
from storage.bases import base_name
from storage.blobs import Blobs
from storage.database import Database
from storage.database_lock import hold_database
from storage.redis_client import connection_pool


@dataclass(frozen=True, kw_only=True)
class House:
    bot: Dreambot
    services: Services
    loops: Sequence[Loop]
    """Run for as long as the bot does, as tasks of the caller: they wait on sockets, which SimCord must not track."""
    finish: Callable[[float], Awaitable[None]]
    """Begins nothing new and gives what is under way so many seconds; the loops go on meanwhile."""


@contextlib.asynccontextmanager
async def open_house(settings: BotSettings) -> AsyncIterator[House]:
    """Open what the bot stands on, and close it in the end. Nothing here waits for Redis or Discord.

    Raises `DatabaseInUse` while another bot runs on the same SQLite file.
    """
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(hold_database(settings.database_url))
        database = await Database.open(settings.database_url)
        stack.push_async_callback(database.close)
        blobs = Blobs.open(settings.blob_url)
        pool = connection_pool(settings.redis_url.get_secret_value(), patient=False)
        stack.push_async_callback(pool.disconnect)

        def show() -> None:
            delivery.wake()

        ahead = Ahead(pool, utc_now)
        outbox = Outbox(database, pool, utc_now, on_cancelled=show)
        links = Links(settings.public_url, settings.link_secret.get_secret_value(), utc_now)
        services = Services(
            settings=settings,
            database=database,
            blobs=blobs,
            queue=outbox,
            wake_delivery=show,
            base=base_name(settings.base_model),
            expect=ahead.expect,
            link=links.sign,
        )
        bot = Dreambot(services)
        reconciler = Reconciler(
            database,
            blobs,
            pool,
            outbox,
            utc_now,
            lease=timedelta(seconds=settings.lease_seconds),
            photo_retention=timedelta(days=settings.photo_retention_days),
            prompt_retention=timedelta(days=settings.prompt_retention_days),
            look_seconds=settings.lease_look_seconds,
            on_changed=show,
        )
        events = EventReader(database, pool, utc_now, on_applied=show)
        delivery = Delivery(bot, services)
        await stack.enter_async_context(serving(application(blobs, links), settings.files_host, settings.files_port))
        loops: Sequence[Loop] = (
            outbox.run,
            ahead.run,
            events.run,
            delivery.run,
            *reconciler.loops,
            partial(keep_no_old_drafts, services),
            partial(empty_bin, services),
            partial(bot.under_way.tell_who_was_left, bot),
        )

        async def finish(seconds: float) -> None:
            async with asyncio.TaskGroup() as group:
                group.create_task(bot.under_way.finish(seconds))
                group.create_task(delivery.finish(seconds))

        yield House(bot=bot, services=services, loops=loops, finish=finish)
