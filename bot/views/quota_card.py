"""What a server lets its members ask for in a day."""

from collections.abc import Mapping, Sequence

import discord
from discord import ui

from bot.admin_text import LIMITS_EXPLAINED, limited
from bot.language import _
from storage.contract import JobKind
from storage.limits import EVERYBODY
from storage.schema import Limit


def render(limits: Sequence[Limit], usual: Mapping[JobKind, int | None]) -> ui.LayoutView:
    """`usual` is what counts where the server says nothing."""
    roles: dict[int, dict[JobKind, int]] = {EVERYBODY: {}}
    for limit in limits:
        roles.setdefault(limit.role_id, {})[limit.kind] = limit.per_day
    lines = [_("### What members of this server may ask for in 24 hours")]
    everybody = roles.pop(EVERYBODY)
    facts = [limited(kind, everybody.get(kind, usual[kind]), is_usual=kind not in everybody) for kind in usual]
    lines.append(_("- **Everybody**: {amounts}").format(amounts=", ".join(facts)))
    for role_id, own in roles.items():
        lines.append(f"- <@&{role_id}>: {', '.join(limited(kind, per_day) for kind, per_day in own.items())}")
    card = ui.Container[ui.LayoutView](accent_colour=discord.Colour.blurple())
    card.add_item(ui.TextDisplay("\n".join(lines)))
    card.add_item(ui.TextDisplay(str(LIMITS_EXPLAINED)))
    view = ui.LayoutView(timeout=None)
    view.add_item(card)
    return view
