"""Looks: prompts in which a person's own prompt has its place. Those that come with the bot are data beside this."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncSession

from bot.language import _, pgettext
from bot.prompts import fold, tidy
from bot.templates import read_template
from storage.bases import DEMO
from storage.errors import LookNotFound, UserError
from storage.looks import server_looks
from storage.schema import Look as Row

FOLDER = Path(__file__).parent
PLACE = "{prompt}"
NO_LOOK = "none"
"""What the option `look` says to do without one's own default."""


class NoPlaceForPrompt(UserError):
    """The words of a look do not say where the prompt goes."""


class MayNotKeepLooks(UserError):
    """Only those who keep the server's emoji keep its looks."""


@dataclass(frozen=True, kw_only=True)
class Look:
    id: str
    name: str
    words: str
    """Holds `PLACE`; may be a template."""
    about: str = ""
    negative: str = ""
    count: int | None = None
    """How many pictures make it whole, where one does not."""
    media: bool = False
    """Only a full-sized base model can draw it."""
    of_server: bool = False

    @property
    def title(self) -> str:
        """Its name in the language that is spoken."""
        return self.name if self.of_server else title_of(self.name)

    @property
    def line(self) -> str:
        """What it is about, in the language that is spoken."""
        return _(self.about) if self.about else ""

    @property
    def preview(self) -> Path | None:
        path = FOLDER / "previews" / f"{self.id}.png"
        return path if not self.of_server and path.exists() else None

    def around(self, prompt: str) -> str:
        return self.words.replace(PLACE, prompt)


def title_of(name: str) -> str:
    """Say the name of a look that comes with the bot in the language that is spoken; others stay as they are."""
    return pgettext("look", name)


@cache
def curated() -> Mapping[str, Look]:
    """Return the looks that come with the bot, by their ids."""
    rows = tomllib.loads((FOLDER / "looks.toml").read_text(encoding="utf-8"))
    return {name: Look(id=name, **row) for name, row in rows.items()}


async def looks_for(session: AsyncSession, base: str, guild_id: int | None) -> Sequence[Look]:
    """Return what a person can choose here: the bot's own looks that the base can draw, then the server's."""
    own = [look for look in curated().values() if base != DEMO or not look.media]
    return [*own, *(of_row(row) for row in await server_looks(session, guild_id))]


async def find_look(session: AsyncSession, wanted: str, base: str, guild_id: int | None) -> Look:
    """Find a look by its id or its name. Raises `LookNotFound`."""
    found = await looks_for(session, base, guild_id)
    for look in found:
        if wanted == look.id or fold(wanted.strip()) in {fold(look.name), fold(look.title)}:
            return look
    raise LookNotFound


def of_row(row: Row) -> Look:
    return Look(id=row.id, name=row.name, words=row.words, negative=row.negative, about="", of_server=True)


def check_words(words: str) -> str:
    """Return the words of a new look as they are kept. Raises `NoPlaceForPrompt`, `InvalidTemplate`."""
    words = tidy(words)
    if PLACE not in words:
        raise NoPlaceForPrompt
    read_template(words.replace(PLACE, "x"))
    return words
