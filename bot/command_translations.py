"""The commands in other languages: the names and descriptions of commands and options, and the choices that they offer.

Discord is told of them with the commands, and shows each person theirs.
"""

from collections.abc import Iterator
from typing import Any

import discord
from discord import app_commands
from discord.app_commands import TranslationContextLocation as Location
from discord.app_commands import TranslationContextTypes as Context
from discord.app_commands import locale_str

from bot.language import catalogue

NAMES = {Location.command_name: "command", Location.group_name: "command", Location.parameter_name: "option"}
"""A name is translated by what it names, for it has rules of its own: a word without spaces or capital letters."""


class Translator(app_commands.Translator):
    async def translate(self, string: locale_str, locale: discord.Locale, context: Context) -> str | None:
        known = catalogue(locale.value)
        if known is None:
            return None
        name = NAMES.get(context.location)
        said = known.gettext(string.message) if name is None else known.pgettext(name, string.message)
        return None if said == string.message else said


async def translate_commands(tree: app_commands.CommandTree[Any]) -> None:
    """Have the tree's commands sent with their translations; to be called once all of them are there."""
    for command in tree.walk_commands():
        if isinstance(command, app_commands.Command):
            names = {option.name: locale_str(option.display_name) for option in command.parameters}
            app_commands.rename(**names)(command)  # an option's name is translated only where it is given expressly
    await tree.set_translator(Translator())


def texts(tree: app_commands.CommandTree[Any]) -> Iterator[tuple[str | None, str]]:
    """Yield all that can be translated of the commands: what kind of name it is, or None, and the English."""
    for command in tree.walk_commands():
        yield "command", command.name
        yield None, command.description
        if isinstance(command, app_commands.Command):
            for option in command.parameters:
                yield "option", option.display_name
                yield None, str(option.description)
                yield from ((None, choice.name) for choice in option.choices)
