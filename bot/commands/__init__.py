"""One file a command: parse, call, reply."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bot.app import Dreambot


def register_all(bot: "Dreambot") -> None:
    from bot.commands import cancel, imagine, jobs, models, settings, styles, train

    for command in (train, imagine, styles, models, jobs, cancel, settings):
        command.register(bot)
