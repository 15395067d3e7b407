"""One file a command: parse, call, reply."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bot.app import Dreambot


def register_all(bot: "Dreambot") -> None:
    from bot.commands import admin, cancel, imagine, jobs, models, settings, styles, train

    for command in (train, imagine, styles, models, jobs, cancel, settings, admin):
        command.register(bot)
