"""Photos good and bad: real ones where the dataset lies beside the project, drawn ones, and files to cause trouble."""

import io
import struct
import zlib
from functools import cache
from pathlib import Path

import pillow_heif
import pytest
from PIL import Image, ImageDraw

DREAMBENCH = Path(__file__).parents[3] / "shared" / "data" / "dreambench"


def drawn_photo(seed: int = 0, size: tuple[int, int] = (320, 240)) -> Image.Image:
    """A dog-like blob on a sky that differs with the seed."""
    photo = Image.new("RGB", size, (90 + seed * 13 % 120, 140, 210 - seed * 7 % 90))
    pen = ImageDraw.Draw(photo)
    x = 40 + seed * 11 % 60
    pen.ellipse((x, 60, x + 160, 200), fill=(150, 100 + seed * 5 % 60, 60), outline="black", width=3)
    pen.ellipse((x + 100, 40, x + 180, 120), fill=(170, 120, 80), outline="black", width=3)
    return photo


def encoded(photo: Image.Image, form: str = "JPEG", **options: object) -> bytes:
    file = io.BytesIO()
    if form == "HEIF":
        pillow_heif.register_heif_opener()
    photo.save(file, form, **options)
    return file.getvalue()


def drawn(count: int) -> list[bytes]:
    return [encoded(drawn_photo(seed)) for seed in range(count)]


@cache
def real(subject: str = "dog6") -> tuple[bytes, ...]:
    """The photos of one subject of the DreamBench set; skips the test where they are absent."""
    files = sorted((DREAMBENCH / subject).glob("*.jpg"))
    if not files:
        pytest.skip("the DreamBench photos are not beside the project")
    return tuple(file.read_bytes() for file in files)


def bomb(width: int = 20_000, height: int = 10_000) -> bytes:
    """A PNG of 200 million one-bit pixels in a few kilobytes."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    packer = zlib.compressobj(9)
    row = bytes(1 + width // 8)
    rows = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def animation(form: str) -> bytes:
    frames = [drawn_photo(seed) for seed in range(3)]
    return encoded(frames[0], form, save_all=True, append_images=frames[1:], duration=100)
