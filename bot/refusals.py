"""What it means when Discord refuses a message. The numbers are Discord's JSON error codes."""

import random
from enum import Enum

import discord

FIRST_PAUSE, LONGEST_PAUSE = 2.0, 300.0

UNKNOWN_ERROR = 0
"""Stands where Discord gives no code: something before it answered, such as its shield against floods."""
TOO_MANY_OLD_EDITS = 30046
TOO_LARGE = 40005
THREAD_ARCHIVED, THREAD_LOCKED = 50083, 160005
FILTERED = frozenset({20009, 200000, 200001, 240000})
"""The server's filters stopped the words or the pictures, and will again."""


class Refusal(Enum):
    LATER = "an outage or a rate limit"
    HOLD = "everything of ours is refused, not this message"
    TOO_LARGE = "the files are too large"
    REPLACE = "this message cannot be edited any more"
    CLOSED = "the channel or the message is gone, or closed to us"
    FILTERED = "the server's filter stops it"
    WRONG = "Discord calls the message wrong"


def read_refusal(error: discord.HTTPException) -> Refusal:
    """Tell what a refusal means for the message, and for all others."""
    if error.status >= 500:
        return Refusal.LATER
    if error.status == 401 or (error.status in {403, 429} and error.code == UNKNOWN_ERROR):
        return Refusal.HOLD
    if error.status == 429:
        return Refusal.LATER
    if error.status == 413 or error.code == TOO_LARGE:
        return Refusal.TOO_LARGE
    if error.code in {TOO_MANY_OLD_EDITS, THREAD_ARCHIVED}:
        return Refusal.REPLACE
    if error.code in FILTERED:
        return Refusal.FILTERED
    return Refusal.CLOSED if error.status in {403, 404} or error.code == THREAD_LOCKED else Refusal.WRONG


def pause(failures: int) -> float:
    """Return how many seconds to wait after so many failures: doubling, with jitter, so that not all return at once."""
    longest = min(FIRST_PAUSE * 2 ** min(failures, 20), LONGEST_PAUSE)
    return random.uniform(longest / 2, longest)


def asked_pause(error: discord.HTTPException, failures: int) -> float:
    """Return what Discord asks us to wait, or our own pause where it does not say or says less."""
    try:
        asked = float(error.response.headers.get("Retry-After", 0))
    except ValueError:
        asked = 0.0
    return max(asked, pause(failures))
