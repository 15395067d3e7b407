"""Answer a person, whatever state their interaction is in, and turn errors into words."""

import errno
import functools
import logging
import secrets
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import discord
from obstore.exceptions import BaseError as BlobStoreError
from sqlalchemy.exc import OperationalError

from bot.explanations import explain, our_fault, storage_failed
from storage.errors import UserError

log = logging.getLogger(__name__)

NOT_WRITABLE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO})

Item = TypeVar("Item")


async def reply(interaction: discord.Interaction[Any], words: str) -> None:
    """Say something to the person alone."""
    if interaction.response.is_done():
        await interaction.followup.send(words, ephemeral=True)
    else:
        await interaction.response.send_message(words, ephemeral=True)


async def withdraw(interaction: discord.Interaction[Any]) -> None:
    """Take back a public "thinking", so that what comes next can be for the person alone.

    Whatever is sent first after a deferral takes its place and its publicity, so something has to; then it goes.
    """
    await interaction.edit_original_response(content="…")
    await interaction.delete_original_response()


async def answer_error(interaction: discord.Interaction[Any], error: Exception) -> None:
    """Explain a person's mistake to them; log ours under a reference that they can quote."""
    if isinstance(error, UserError):
        words = explain(error)
    elif isinstance(error, discord.NotFound) and error.code in (10062, 10015):
        log.info("interaction %s had expired", interaction.id)
        return
    else:
        reference = secrets.token_hex(4)
        log.error("interaction %s failed, reference %s", interaction.id, reference, exc_info=error)
        words = storage_failed(reference) if storage_fails(error) else our_fault(reference)
    try:
        await reply(interaction, words)
    except discord.HTTPException as failure:
        log.warning("could not answer interaction %s: HTTP %s", interaction.id, failure.status)


def storage_fails(error: Exception) -> bool:
    """Tell whether the database or the blob store could not do its part, most often because a disk is full."""
    if isinstance(error, OSError):
        return error.errno in NOT_WRITABLE
    return isinstance(error, OperationalError | BlobStoreError)


def pressed(
    callback: Callable[[Item, discord.Interaction[Any]], Coroutine[Any, Any, None]],
) -> Callable[[Item, discord.Interaction[Any]], Coroutine[Any, Any, None]]:
    """Decorate the callback of a button or form, the loop top of a press: every error gets an answer."""

    @functools.wraps(callback)
    async def guarded(self: Item, interaction: discord.Interaction[Any]) -> None:
        from bot.gate import begins  # here, because it answers by this file

        try:
            if await begins(interaction):
                await callback(self, interaction)
        except Exception as error:  # noqa: BLE001 -- the loop top of a press
            await answer_error(interaction, error)

    return guarded
