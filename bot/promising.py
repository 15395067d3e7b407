"""How pictures are promised: what is asked for is written down in one transaction, and its waiting card shown."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import discord

from bot.acknowledging import acknowledge
from bot.cards import answer, post_card
from bot.channel_rules import check_channel
from bot.language import locale_of_card
from bot.limits import per_day, roles_of
from bot.replies import withdraw
from bot.room import check_room
from storage.contract import JobKind
from storage.errors import UserError
from storage.faults import reach
from storage.imaginings import NewImagining, accept_imagining
from storage.schema import Job, SetKind
from storage.sets import accept_set

if TYPE_CHECKING:
    from bot.app import Dreambot


async def open_reply(interaction: "discord.Interaction[Dreambot]", *, private: bool) -> None:
    """Say that it is being seen to, unless pictures cannot be asked for here. Raises `NoRoom`, `WrongChannel`."""
    check_room(interaction.client.services)
    await check_channel(interaction)
    await acknowledge(interaction, ephemeral=private, thinking=True)


async def promise(
    interaction: "discord.Interaction[Dreambot]", asked: Sequence[NewImagining], together: tuple[SetKind, str] | None
) -> Job:
    """Write down what was asked for and show its card; of a set, `together` is its kind and what was typed for it."""
    services = interaction.client.services
    if not interaction.response.is_done():
        await open_reply(interaction, private=asked[0].private)
    most, here = services.settings.max_active_pictures, (interaction.guild_id, roles_of(interaction))
    try:
        async with services.database.write() as session:
            a_day = await per_day(session, services.settings, JobKind.IMAGINE, *here)
            if together is None:
                job = await accept_imagining(session, asked[0], services.clock(), most, a_day)
            else:
                job = await accept_set(session, together[0], together[1], asked, services.clock(), most, a_day)
    except UserError:
        await withdraw(interaction)
        raise
    reach("imagining.promised")
    services.queue.wake()
    await post_card(services, job, partial(answer, interaction))
    return job


async def promise_with(
    interaction: "discord.Interaction[Dreambot]",
    asked: Sequence[NewImagining],
    together: tuple[SetKind, str] | None,
    files: Mapping[str, bytes],
) -> None:
    """Promise what goes on from pictures that were sent along, PNGs by their keys: they stay only if it is promised."""
    services = interaction.client.services
    for key, data in files.items():
        await services.blobs.put(key, data, "image/png")
    promised = None
    try:
        promised = await promise(interaction, asked, together)
    finally:
        if promised is None or promised.id != asked[0].job:  # refused, or promised before for the same interaction
            for key in files:
                await services.blobs.delete(key)


def who_asks(
    interaction: "discord.Interaction[Dreambot]", asked_by: int | None = None, *, private: bool
) -> dict[str, Any]:
    """Return the fields of a `NewImagining` that say who asks for it, and where."""
    return {
        "interaction_id": interaction.id if asked_by is None else asked_by,
        "owner_id": interaction.user.id,
        "guild_id": interaction.guild_id,
        "channel_id": interaction.channel_id,
        "roles": roles_of(interaction),
        "locale": locale_of_card(interaction, private=private),
    }
