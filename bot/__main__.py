"""Run the bot: settings -> parts -> Discord. `dreambot bot` and `python -m bot` start here."""

import asyncio
import faulthandler
import gc
import logging
import signal
import sys
from enum import IntEnum
from pathlib import Path

import aiohttp
import discord
from pydantic import ValidationError
from sqlalchemy.exc import DBAPIError

from bot.composition import open_house
from bot.loops import running
from bot.settings import BotSettings, load_settings
from storage.errors import DatabaseInUse

log = logging.getLogger("bot")

FINISH_SECONDS = 12.0
"""How long an end in order waits for what is under way."""
GOODBYE_SECONDS = 3.0
LAST_RESORT_SECONDS = 27.0
"""When to end in any case, for a supervisor kills after 30 s. Everything that matters is in the rows."""


class Exit(IntEnum):
    """Exit codes, after sysexits.h, so that a supervisor can tell a wrong setting from an outage."""

    OK = 0
    UNAVAILABLE = 69
    STORAGE = 74
    IN_USE = 75
    TOKEN_REFUSED = 77
    SETTINGS = 78


def main(env_file: Path | None = None) -> int:
    """Run until stopped; returns the exit code. Every way to fail at the start is one line on stderr."""
    try:
        settings = load_settings(env_file)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, item['loc'])).upper()}: {item['msg']}" for item in error.errors())
        return _fail(Exit.SETTINGS, f"These settings are wrong: {wrong}")
    if not settings.discord_token.get_secret_value():
        return _fail(Exit.SETTINGS, "DISCORD_TOKEN is missing: put it into .env, or try `make demo` without one.")
    logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        asyncio.run(serve(settings))
    except discord.LoginFailure:
        return _fail(Exit.TOKEN_REFUSED, "Discord refused the token: copy it anew from the Developer Portal.")
    except (aiohttp.ClientConnectionError, discord.DiscordServerError) as error:
        return _fail(Exit.UNAVAILABLE, f"Discord cannot be reached: {type(error).__name__}.")
    except DatabaseInUse as error:
        return _fail(
            Exit.IN_USE, f"Another bot runs on the database {error.name}: stop it first. One bot to a database."
        )
    except DBAPIError as error:
        return _fail(Exit.STORAGE, f"The database cannot be used: {error.orig}.")
    except OSError as error:
        return _fail(Exit.STORAGE, f"The bot cannot start: {error}.")
    return Exit.OK


async def serve(settings: BotSettings) -> None:
    """Run the bot and its loops until SIGTERM or Ctrl-C."""
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False  # no voice here
    if settings.discord_api_url:
        discord.http.Route.BASE = settings.discord_api_url
    async with open_house(settings) as house:
        try:
            if not await _log_in(house.bot, settings.discord_token.get_secret_value(), stopped):
                return
            gc.collect()
            gc.freeze()  # what stands by now stays, and is not to be gone through again and again
            async with running([*house.loops, house.bot.connect]):
                await stopped.wait()
                log.info("stopping")
                # Never called off: a thread that was left behind could keep even an empty process alive.
                faulthandler.dump_traceback_later(LAST_RESORT_SECONDS, exit=True)
                await house.finish(FINISH_SECONDS)
                await _leave(house.bot)  # a connection that is just being made would swallow a cancellation
        finally:
            await _leave(house.bot)


async def _log_in(bot: discord.Client, token: str, stopped: asyncio.Event) -> bool:
    """Log in; returns False when the bot is to end before Discord has answered."""
    login, asked = asyncio.ensure_future(bot.login(token)), asyncio.ensure_future(stopped.wait())
    await asyncio.wait({login, asked}, return_when=asyncio.FIRST_COMPLETED)
    asked.cancel()
    if login.done():
        await login
        return True
    login.cancel()
    await asyncio.wait({login}, timeout=GOODBYE_SECONDS)
    return False


async def _leave(bot: discord.Client) -> None:
    """Take leave of Discord, once, though it may not answer."""
    if bot.is_closed():
        return
    try:
        async with asyncio.timeout(GOODBYE_SECONDS):
            await bot.close()
    except TimeoutError:
        log.warning("Discord did not say goodbye")
        await bot.http.close()


def _fail(code: Exit, line: str) -> int:
    print(line, file=sys.stderr)  # noqa: T201 -- the last word before exit
    return code


if __name__ == "__main__":
    sys.exit(main())
