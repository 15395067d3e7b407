"""What the bot has done lately, in words and as a chart."""

import io
from collections.abc import Sequence

import discord
from discord import ui

from bot.admin_text import chart_told, figures_told
from bot.language import _
from bot.markup import cut
from bot.usage_chart import draw_chart
from bot.views.rendered import Rendered
from storage.statistics import DAYS, Day, Figures

ALT_CHARS = 1024
NAME = "statistics.png"


def render(
    days: Sequence[Day], together: Figures, *, everywhere: bool, price_per_hour: float = 0, currency: str = ""
) -> Rendered:
    title = _("### The last {days} days, everywhere") if everywhere else _("### The last {days} days, in this server")
    words = f"{title.format(days=DAYS)}\n{figures_told(together, price_per_hour, currency)}"
    card = ui.Container[ui.LayoutView](ui.TextDisplay(words), accent_colour=discord.Colour.blurple())
    file = discord.File(io.BytesIO(draw_chart(days)), NAME)
    alt = cut(chart_told(days), ALT_CHARS)
    card.add_item(ui.MediaGallery(discord.MediaGalleryItem(file, description=alt)))
    view = ui.LayoutView(timeout=None)
    view.add_item(card)
    return Rendered(view, [file])
