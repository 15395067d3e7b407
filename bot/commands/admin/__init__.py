"""`/admin`: for whoever manages the server, and for those who run the bot. One file a question."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bot.app import Dreambot


def register(bot: "Dreambot") -> None:
    from bot.commands.admin import blocks, channels, pauses, quotas, reports, selftest, statistics, status, takedowns
    from bot.commands.admin.group import admin
    from bot.views.channel_card import ChannelMenu
    from bot.views.report_list import CaseButton, PageButton

    for subject in (status, pauses, blocks, takedowns, reports, selftest, quotas, channels, statistics):
        for command in subject.COMMANDS:
            admin.add_command(command, override=True)
    bot.tree.add_command(admin)
    bot.add_dynamic_items(CaseButton, PageButton, ChannelMenu)
