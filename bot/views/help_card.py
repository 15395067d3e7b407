"""What `/help` shows: the next step for this person, then every command."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import discord
from discord import ui

from bot.command_list import mention
from bot.help_text import COMMANDS, GOOD_PHOTOS, HELP_NEXT, HELP_TRAIN
from bot.language import N_
from bot.markup import plain
from bot.standing import Standing, State
from bot.views.rendered import Rendered

PHOTOS = Path(__file__).parents[1] / "pictures" / "good-photos.png"
PHOTOS_ALT = N_(
    "Four photos that help: from the front, closer, elsewhere, and whole; and four that do not: blurred, dark, cut off "
    "at the head, and too small"
)


def render(standing: Standing, ids: Mapping[str, int]) -> Rendered:
    """`ids` are the commands' own, so that they can be clicked."""
    commands = {name: mention(name, ids) for name in COMMANDS}
    words = HELP_NEXT[standing.state].format(
        **commands | {"train": HELP_TRAIN.format(train=commands["train"])},
        name=plain(standing.name),
        good=str(GOOD_PHOTOS),
    )
    card = ui.Container[Any](ui.TextDisplay(words), accent_colour=discord.Colour.blurple())
    files = []
    if standing.state in {State.NOTHING, State.FAILED}:
        files = [discord.File(io.BytesIO(PHOTOS.read_bytes()), PHOTOS.name)]
        card.add_item(ui.MediaGallery(discord.MediaGalleryItem(files[0], description=str(PHOTOS_ALT))))
    card.add_item(ui.Separator())
    lines = [f"{commands[name]} · {about}" for name, about in COMMANDS.items()]
    card.add_item(ui.TextDisplay("\n".join(lines)))
    view = ui.LayoutView(timeout=None)
    view.add_item(card)
    return Rendered(view, files)
