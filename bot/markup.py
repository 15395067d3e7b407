"""People's own words in Discord's markup, made harmless."""

import re
import unicodedata

from bot.prompts import tidy

MARKUP = re.compile(r"([\\*_~|`<>#\-+\[\]()@:/])")
JOINERS = "\u200c\u200d"
"""Invisible, but parts of emoji and of several scripts."""


def plain(words: str, limit: int = 300) -> str:
    """Show a person's words as they are: one line, no markup, no mention, no link, nothing invisible."""
    visible = "".join(
        character
        for character in " ".join(words.split())
        if character in JOINERS or unicodedata.category(character)[0] != "C"
    )
    shown = visible if len(visible) <= limit else visible[: limit - 1].rstrip() + "…"
    return MARKUP.sub(r"\\\1", shown)


def quote(words: str, limit: int = 300) -> str:
    """Show a prompt word for word: inside a code span neither mentions nor markup come alive."""
    return f"`{cut(tidy(words).replace('`', 'ˋ'), limit)}`"


def cut(words: str, limit: int) -> str:
    return words if len(words) <= limit else words[: limit - 1].rstrip() + "…"


def bold(name: str) -> str:
    return f"**{plain(name)}**"
