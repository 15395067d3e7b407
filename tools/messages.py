"""Bring the catalogues in `bot/locale` up to date with what the bot says: `make messages`.

What is new stands there with no translation, what is said no more goes; then every catalogue is compiled. With `--left`
it only prints what is still to be translated.
"""

import argparse
import io
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import discord
from babel.messages import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from discord.ext import commands

from bot.app import Dreambot
from bot.command_translations import texts
from bot.commands import register_all
from bot.language import DOMAIN, FOLDER, LANGUAGES
from bot.looks import curated

BOT = Path(__file__).parent.parent / "bot"
MARKS: dict[str, Any] = {"_": None, "N_": None, "ngettext": (1, 2), "Plural": (1, 2), "pgettext": ((1, "c"), 2)}
WIDTH = 100


def catalogue_of(language: str) -> Path:
    return FOLDER / language / "LC_MESSAGES" / f"{DOMAIN}.po"


def read(language: str) -> Catalog:
    path = catalogue_of(language)
    with path.open("rb") as file:
        return read_po(file, locale=language, domain=DOMAIN)


def wanted() -> Catalog:
    """Return everything that the bot says, untranslated."""
    catalog = Catalog(domain=DOMAIN, project="Dreambot", charset="utf-8")
    for path, _, message, _, context in extract_from_dir(BOT, [("**.py", "python")], keywords=MARKS):
        catalog.add(message, locations=[(f"bot/{path}", 0)], context=context)
    for context, message in of_commands():
        catalog.add(message, locations=[("bot/commands", 0)], context=context)
    for look in curated().values():
        catalog.add(look.name, locations=[("bot/looks/looks.toml", 0)], context="look")
        catalog.add(look.about, locations=[("bot/looks/looks.toml", 0)])
    return catalog


def of_commands() -> Iterator[tuple[str | None, str]]:
    bot = commands.Bot(command_prefix=commands.when_mentioned, intents=discord.Intents.none())
    vars(bot)["services"] = SimpleNamespace(base="demo")  # all that commands ask for before they are used
    register_all(cast(Dreambot, bot))
    return texts(bot.tree)


def compiled(catalog: Catalog) -> bytes:
    file = io.BytesIO()
    write_mo(file, catalog)
    return file.getvalue()


def missing(catalog: Catalog) -> list[str]:
    """Return what has no translation, or not in every number."""
    return [
        str(message.id)
        for message in catalog
        if message.id and not all(message.string if isinstance(message.string, tuple | list) else [message.string])
    ]


def bring_up_to_date(language: str) -> Catalog:
    catalog = read(language)
    catalog.update(wanted(), no_fuzzy_matching=True, update_creation_date=False)
    catalog.obsolete.clear()
    with catalogue_of(language).open("wb") as file:
        write_po(file, catalog, width=WIDTH, sort_output=True, include_lineno=False, ignore_obsolete=True)
    catalogue_of(language).with_suffix(".mo").write_bytes(compiled(catalog))
    return catalog


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--left", action="store_true", help="print what is to be translated, and change nothing")
    only_print = parser.parse_args().left
    for language in LANGUAGES:
        left = missing(read(language) if only_print else bring_up_to_date(language))
        print(f"{language}: {len(left)} to translate", *left, sep="\n  ")


if __name__ == "__main__":
    main()
