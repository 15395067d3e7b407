"""Turn strangers' bytes into clean pixels, in a process that may die of it.

This file is a program. It reads photos from standard input and answers each with a verdict, and a picture when the
verdict is good, on standard output; every message is a frame: its length as four bytes, big-endian, then the bytes. It
knows no secret, opens no file, and is held to a share of memory and processor time, so that a photo made to harm harms
only itself. `bot/decode_process.py` starts and feeds it.
"""

import io
import json
import resource
import struct
import sys
import warnings
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import BinaryIO

import pillow_heif
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

MAX_PIXELS = 50_000_000
"""More than any phone's 48 megapixels; checked against the header before a pixel is decoded."""
MIN_SIDE = 128
"""A subject in fewer pixels than this has no detail to learn."""
MAX_SIDE = 2048
MEMORY_BYTES = 1536 * 2**20
SECONDS_PER_PHOTO = 20

FRAME = struct.Struct(">I")


class Problem(StrEnum):
    """Why a photo was not taken; `bot/photo_text.py` says each in a person's words."""

    NOT_A_PHOTO = "not_a_photo"
    MOVING = "moving"
    TOO_MANY_PIXELS = "too_many_pixels"
    TOO_SMALL = "too_small"
    DAMAGED = "damaged"
    TOO_LARGE = "too_large"
    GONE = "gone"


@dataclass(frozen=True)
class Verdict:
    """What became of one photo: its size in pixels once upright and at most `MAX_SIDE`, or the problem."""

    problem: Problem | None = None
    width: int = 0
    height: int = 0


class RefusedPhotoError(Exception):
    def __init__(self, problem: Problem) -> None:
        self.problem = problem


def sniff(data: bytes) -> tuple[str, ...]:
    """Return the formats that the content may have, whatever its name; raises RefusedPhotoError when there are none."""
    if data.startswith(b"\xff\xd8\xff"):
        return ("JPEG",)
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return ("PNG",)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return ("WEBP",)
    if data[4:8] == b"ftyp" and data[8:11] in {b"hei", b"hev", b"mif", b"msf", b"avi"}:
        return ("HEIF", "AVIF")
    if data.startswith(b"GIF8"):
        raise RefusedPhotoError(Problem.MOVING)
    raise RefusedPhotoError(Problem.NOT_A_PHOTO)


def is_moving(photo: Image.Image) -> bool:
    """Tell an animation from a phone's photo that carries its depth or brightness map along as further frames."""
    return bool(getattr(photo, "is_animated", False)) and photo.format not in {"MPO", "HEIF"}


def clean(data: bytes) -> Image.Image:
    """Decode one photo to upright RGB pixels without anything else that the file held.

    Raises RefusedPhotoError.
    """
    formats = sniff(data)
    try:
        with Image.open(io.BytesIO(data), formats=formats) as photo:
            if is_moving(photo):
                raise RefusedPhotoError(Problem.MOVING)
            if photo.width * photo.height > MAX_PIXELS:
                raise RefusedPhotoError(Problem.TOO_MANY_PIXELS)
            if min(photo.size) < MIN_SIDE:
                raise RefusedPhotoError(Problem.TOO_SMALL)
            profile = photo.info.get("icc_profile")
            photo.draft(None, (MAX_SIDE, MAX_SIDE))  # a JPEG decodes straight to half, a quarter or an eighth
            photo.load()
            picture = to_srgb(upright(with_whole_colours(photo)), profile)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise RefusedPhotoError(Problem.TOO_MANY_PIXELS) from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, EOFError, struct.error, MemoryError):
        raise RefusedPhotoError(Problem.DAMAGED) from None
    if min(picture.size) < MIN_SIDE:
        raise RefusedPhotoError(Problem.TOO_SMALL)
    return Image.frombytes("RGB", picture.size, picture.tobytes())


def with_whole_colours(photo: Image.Image) -> Image.Image:
    """Bring palettes, bits and 16-bit greys into a mode that can be resized smoothly."""
    if photo.mode.startswith("I;16"):
        return photo.point(lambda value: value / 256).convert("L")
    if photo.has_transparency_data:
        return photo.convert("RGBA")
    return photo if photo.mode in {"RGB", "L", "CMYK"} else photo.convert("RGB")


def upright(photo: Image.Image) -> Image.Image:
    """Shrink to `MAX_SIDE`, turn as the camera said, and lay what is see-through on white."""
    photo.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS, reducing_gap=3.0)
    turned = ImageOps.exif_transpose(photo)
    if turned.mode != "RGBA":
        return turned
    white = Image.new("RGB", turned.size, "white")
    white.paste(turned, mask=turned.getchannel("A"))
    return white


def to_srgb(photo: Image.Image, profile: bytes | None) -> Image.Image:
    """Express the colours in sRGB: phones save wider ones, which would look pale if taken as they are."""
    if profile:
        try:
            converted = ImageCms.profileToProfile(
                photo, ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB"), outputMode="RGB"
            )
        except (ImageCms.PyCMSError, OSError):
            converted = None  # the profile is broken or meant for other channels
        if converted is not None:
            return converted
    return photo.convert("RGB")


def judge(data: bytes) -> tuple[Verdict, bytes]:
    """Return the verdict on one photo and its clean PNG, empty when refused."""
    try:
        picture = clean(data)
    except RefusedPhotoError as refusal:
        return Verdict(problem=refusal.problem), b""
    png = io.BytesIO()
    picture.save(png, "PNG", compress_level=3)
    return Verdict(width=picture.width, height=picture.height), png.getvalue()


def read_frame(stream: BinaryIO) -> bytes | None:
    head = stream.read(FRAME.size)
    if len(head) < FRAME.size:
        return None
    return stream.read(*FRAME.unpack(head))


def write_frame(stream: BinaryIO, body: bytes) -> None:
    stream.write(FRAME.pack(len(body)) + body)


def grant_seconds(seconds: int) -> None:
    """Let the process use so many seconds of processor time from now on; the system ends it after that."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    until = int(used.ru_utime + used.ru_stime) + seconds + 1
    resource.setrlimit(resource.RLIMIT_CPU, (until, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def confine() -> None:
    """Bound memory, forbid files and dumps, and be strict with sizes."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    pillow_heif.options.DECODE_THREADS = 2
    pillow_heif.register_heif_opener()


def main() -> None:
    confine()
    while True:
        grant_seconds(SECONDS_PER_PHOTO)
        data = read_frame(sys.stdin.buffer)
        if data is None:
            return
        verdict, png = judge(data)
        write_frame(sys.stdout.buffer, json.dumps(asdict(verdict)).encode())
        write_frame(sys.stdout.buffer, png)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
