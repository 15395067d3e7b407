"""`/admin`: for whoever manages the server, and for those who run the bot. One file a question."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bot.app import Dreambot


def register(bot: "Dreambot") -> None:
    from bot.commands.admin import blocks, pauses, status, takedowns
    from bot.commands.admin.group import admin

    for subject in (status, pauses, blocks, takedowns):
        for command in subject.COMMANDS:
            admin.add_command(command, override=True)
    bot.tree.add_command(admin)
