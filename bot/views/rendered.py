"""What a view hands to whoever sends it."""

from dataclasses import dataclass, field

import discord


@dataclass(frozen=True)
class Rendered:
    """A layout and the files that its `attachment://` addresses name. A file is read once: each send renders anew."""

    view: discord.ui.LayoutView
    files: list[discord.File] = field(default_factory=list)
