"""What `/admin test` found, as a checklist that needs no colours to be read."""

from collections.abc import Sequence

import discord
from discord import ui

from bot.admin_text import ALL_WORKS, OUTCOMES, PARTS, SOMETHING_FAILS, TESTING
from bot.language import _
from bot.markup import cut, plain
from bot.selftest import Check, Outcome

FACTS_CHARS = 300


def render(checks: Sequence[Check]) -> ui.LayoutView:
    """Show what is known so far; the test is over when every part has its line."""
    over = len(checks) == len(PARTS)
    works = all(check.outcome is Outcome.WORKS for check in checks)
    colour = discord.Colour.blurple() if not over else discord.Colour.green() if works else discord.Colour.red()
    last = str(TESTING if not over else ALL_WORKS if works else SOMETHING_FAILS)
    card = ui.Container[ui.LayoutView](accent_colour=colour)
    card.add_item(ui.TextDisplay("\n".join([_("### Test of the set-up"), *map(_line, checks), last])))
    view = ui.LayoutView(timeout=None)
    view.add_item(card)
    return view


def _line(check: Check) -> str:
    facts = f" · {plain(cut(check.facts, FACTS_CHARS))}" if check.facts else ""
    return f"**{OUTCOMES[check.outcome.value]}** · {PARTS[check.part].label}{facts}"
