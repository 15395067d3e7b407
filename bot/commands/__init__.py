"""One file a command: parse, call, reply."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bot.app import Dreambot


def register_all(bot: "Dreambot") -> None:
    from bot.commands import (
        admin,
        cancel,
        dataset,
        help,
        imagine,
        jobs,
        models,
        privacy,
        settings,
        storybook,
        styles,
        train,
        usage,
    )

    for command in (
        help,
        train,
        imagine,
        storybook,
        dataset,
        styles,
        models,
        jobs,
        usage,
        cancel,
        settings,
        privacy,
        admin,
    ):
        command.register(bot)
