"""In which language the bot speaks: with a person alone in theirs, on a card for everybody in the server's.

English stands in the code, and is what every other language is translated from: `bot/locale/<language>`, gettext's
layout. `_` and `ngettext` say something at once; `N_` marks what a constant holds and is said later. The language is a
context variable, so that whatever an interaction sets off speaks as it does.
"""

import gettext as gnu
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any

import discord

ENGLISH = "en-US"
FOLDER, DOMAIN = Path(__file__).parent / "locale", "dreambot"
LANGUAGES = tuple(sorted(path.name for path in FOLDER.iterdir() if path.is_dir()))
"""Beside English."""

_spoken: ContextVar[gnu.GNUTranslations | None] = ContextVar("language", default=None)
"""The catalogue; None is English, which needs none."""


@cache
def catalogue(locale: str | None) -> gnu.GNUTranslations | None:
    """Return the translations for one of Discord's locales, such as `de` or `es-ES`; None where there are none."""
    for language in (locale or "", (locale or "").split("-")[0]):
        if language in LANGUAGES:
            return gnu.translation(DOMAIN, FOLDER, [language])
    return None


def speak(locale: discord.Locale | str | None) -> None:
    """Speak this language from now on, in the present task and those that it begins."""
    _spoken.set(catalogue(None if locale is None else str(locale)))


@contextmanager
def spoken(locale: discord.Locale | str | None) -> Iterator[None]:
    """Speak this language inside the block."""
    before = _spoken.set(catalogue(None if locale is None else str(locale)))
    try:
        yield
    finally:
        _spoken.reset(before)


def locale_of_card(interaction: discord.Interaction[Any], *, private: bool = False) -> str:
    """Return the language of what an interaction leaves behind: the server's, or the person's where they are alone."""
    shared = None if private else interaction.guild_locale
    return str(shared or interaction.locale)


def _(message: str) -> str:
    """Say it in the language that is spoken."""
    spoken = _spoken.get()
    return message if spoken is None else spoken.gettext(message)


def pgettext(context: str, message: str) -> str:
    """Say what depends on where it stands."""
    spoken = _spoken.get()
    return message if spoken is None else spoken.pgettext(context, message)


def ngettext(one: str, many: str, count: int) -> str:
    """Say it in the form that goes with the number; `{count}` stands for that where it is written out."""
    spoken = _spoken.get()
    said = (one if count == 1 else many) if spoken is None else spoken.ngettext(one, many, count)
    return said.replace("{count}", number(count))


class N_:  # noqa: N801 -- gettext's name for it
    """A message that is said later: as text, in the language that is spoken by then."""

    def __init__(self, message: str, **values: object) -> None:
        self.message, self.values = message, values

    def __str__(self) -> str:
        return _(self.message).format(**self.values) if self.values else _(self.message)

    def format(self, **values: object) -> str:
        return _(self.message).format(**self.values, **values)


class Plural:
    """A message that is said later, in the form that goes with a number."""

    def __init__(self, one: str, many: str) -> None:
        self.one, self.many = one, many

    def format(self, count: int, **values: object) -> str:
        """`{count}` stands for the number."""
        return ngettext(self.one, self.many, count).format(**values)


class Number:
    """A number that is written later."""

    def __init__(self, value: float) -> None:
        self.value = value

    def __str__(self) -> str:
        return number(self.value)


def number(value: float, decimals: int = 0) -> str:
    """Write a number with the marks of the language."""
    written = f"{value:,.{decimals}f}"
    if _spoken.get() is None:
        return written
    thousands, point = pgettext("between thousands", ","), pgettext("decimal point", ".")
    return written.translate({ord(","): thousands, ord("."): point})


def listed(names: Sequence[str]) -> str:
    """Join names as a sentence does: a, b and c."""
    return _joined(names, _("{first} and {last}"))


def either(names: Sequence[str]) -> str:
    """Join names as a choice: a, b or c."""
    return _joined(names, _("{first} or {last}"))


def _joined(names: Sequence[str], last_two: str) -> str:
    if len(names) < 2:
        return "".join(names)
    return last_two.format(first=_(", ").join(names[:-1]), last=names[-1])
