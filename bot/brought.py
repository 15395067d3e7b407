"""A picture that a person sends along with what they ask for: to draw from, or with a part of it painted over."""

import asyncio

import aiohttp
import discord
from discord import Attachment

from bot.decode import Problem
from bot.decode_process import DecodeProcess
from bot.intake import FETCH_SECONDS
from bot.services import Services
from storage.errors import UserError


class PictureRefused(UserError):
    """The picture that was sent cannot be used."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.problem = problem


class NothingToChange(UserError):
    """How much of a picture may change was said, and no picture sent."""


async def take_in(services: Services, sent: Attachment) -> bytes:
    """Return what was sent as clean pixels, a PNG made by a confined process. Raises `PictureRefused`."""
    if sent.size > services.settings.max_photo_mb * 2**20:
        raise PictureRefused(Problem.TOO_LARGE)
    try:
        async with asyncio.timeout(FETCH_SECONDS):
            data = await services.fetch(sent)
    except (discord.HTTPException, aiohttp.ClientError, OSError, TimeoutError):
        raise PictureRefused(Problem.GONE) from None
    async with services.decoders, DecodeProcess() as decoder:
        verdict, png = await decoder.decode(data)
    if verdict.problem is not None:
        raise PictureRefused(verdict.problem)
    return png
