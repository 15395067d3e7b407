"""Make pictures into files that Discord takes: enlarged when tiny, re-encoded when too large."""

import io

import discord
from PIL import Image

from bot.display import FORMATS, for_display

FILE_BYTES = 10 * 2**20
"""What every server takes for one file; boosted ones take more."""
REQUEST_BYTES = 24 * 2**20
"""For all files of a message together; Discord's own limit is 25 MiB with the rest of the message."""
MAX_FILES = 10
QUALITIES = (92, 85, 75, 60)


def as_file(stem: str, picture: bytes, limit: int = FILE_BYTES, *, spoiler: bool = False) -> discord.File:
    """Return an upload of at most `limit` bytes called `stem` with the format's ending.

    Raises `ValueError` when the bytes are not a picture that a worker makes.
    """
    shown = for_display(picture)
    ending = "webp" if shown[8:12] == b"WEBP" else "png"
    if len(shown) > limit:
        shown, ending = _smaller(shown, limit), "jpg"
    return discord.File(io.BytesIO(shown), f"{stem}.{ending}", spoiler=spoiler)


def share_of(count: int, limit: int = FILE_BYTES) -> int:
    """Return how large each of `count` files may be so that they fit into one message."""
    return min(limit, REQUEST_BYTES // max(count, 1))


def _smaller(data: bytes, limit: int) -> bytes:
    """Encode as JPEG, first at lower quality, then at half the size, until it fits."""
    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        picture, about = image.convert("RGB"), image.info.get("xmp")
    while True:
        for quality in QUALITIES:
            packed = io.BytesIO()
            picture.save(packed, "JPEG", quality=quality, **({"xmp": about} if about else {}))
            if packed.tell() <= limit or min(picture.size) < 64:
                return packed.getvalue()
        picture = picture.reduce(2)
