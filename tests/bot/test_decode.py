"""The decoder, run as the process that it is: good photos come out clean, bad ones get the right verdict."""

import io
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageCms, ImageStat

from bot.decode import MAX_SIDE, Problem
from bot.decode_process import DecodeProcess
from tests.bot import photos
from tests.bot.photos import drawn_photo, encoded


@pytest.fixture
async def decoder() -> AsyncIterator[DecodeProcess]:
    async with DecodeProcess() as process:
        yield process


async def cleaned(decoder: DecodeProcess, data: bytes) -> Image.Image:
    verdict, png = await decoder.decode(data)
    assert verdict.problem is None
    picture = Image.open(io.BytesIO(png))
    assert (verdict.width, verdict.height) == picture.size
    assert picture.format == "PNG"
    assert picture.mode == "RGB"
    return picture


def difference(one: Image.Image, other: Image.Image) -> float:
    """The mean difference of all channels, 0 to 255."""
    return max(ImageStat.Stat(ImageChops.difference(one, other)).mean)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "HEIF", "AVIF"])
async def test_takes_what_phones_make(decoder: DecodeProcess, form: str) -> None:
    picture = await cleaned(decoder, encoded(drawn_photo(), form))
    assert difference(picture, drawn_photo()) < 4


@pytest.mark.parametrize("orientation", range(1, 9))
async def test_turns_upright_and_drops_metadata(decoder: DecodeProcess, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010E] = "home address"
    lying = drawn_photo()
    turns = {
        2: [Image.Transpose.FLIP_LEFT_RIGHT], 3: [Image.Transpose.ROTATE_180], 4: [Image.Transpose.FLIP_TOP_BOTTOM],
        5: [Image.Transpose.TRANSPOSE], 6: [Image.Transpose.ROTATE_270], 7: [Image.Transpose.TRANSVERSE],
        8: [Image.Transpose.ROTATE_90],
    }  # fmt: skip
    picture = await cleaned(decoder, encoded(lying, "JPEG", quality=95, exif=exif, comment=b"<script>"))
    for turn in turns.get(orientation, []):
        lying = lying.transpose(turn)
    assert difference(picture, lying) < 3
    assert picture.info == {}
    assert not picture.getexif()


async def test_takes_a_phone_photo_that_carries_a_second_frame(decoder: DecodeProcess) -> None:
    await cleaned(decoder, photos.animation("MPO"))


async def test_shrinks_large_photos(decoder: DecodeProcess) -> None:
    picture = await cleaned(decoder, encoded(drawn_photo(size=(4000, 3000))))
    assert picture.size == (MAX_SIDE, 1536)


async def test_lays_transparency_on_white(decoder: DecodeProcess) -> None:
    photo = Image.new("RGBA", (200, 200), (255, 0, 0, 0))
    photo.paste((0, 255, 0, 255), (0, 0, 100, 200))
    picture = await cleaned(decoder, encoded(photo, "PNG"))
    assert picture.getpixel((10, 10)) == (0, 255, 0)
    assert picture.getpixel((190, 10)) == (255, 255, 255)


async def test_keeps_sixteen_bit_greys(decoder: DecodeProcess) -> None:
    grey = Image.new("I;16", (200, 200), 32768)
    picture = await cleaned(decoder, encoded(grey, "PNG"))
    assert picture.getpixel((5, 5)) == (128, 128, 128)


async def test_brings_colours_to_srgb(decoder: DecodeProcess) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = srgb.replace(b"rXYZ", b"....").replace(b"gXYZ", b"rXYZ").replace(b"....", b"gXYZ")
    red = Image.new("RGB", (200, 200), (255, 0, 0))
    assert (await cleaned(decoder, encoded(red, "PNG", icc_profile=srgb))).getpixel((9, 9)) == (255, 0, 0)
    turned = (await cleaned(decoder, encoded(red, "PNG", icc_profile=swapped))).getpixel((9, 9))
    assert isinstance(turned, tuple)
    assert turned[1] > 200 > 50 > turned[0]


async def test_ignores_a_broken_colour_profile(decoder: DecodeProcess) -> None:
    picture = await cleaned(decoder, encoded(drawn_photo(), "PNG", icc_profile=b"no profile"))
    assert difference(picture, drawn_photo()) == 0


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        pytest.param(b"", Problem.NOT_A_PHOTO, id="empty"),
        pytest.param(b"just words " * 40, Problem.NOT_A_PHOTO, id="words"),
        pytest.param(encoded(drawn_photo(), "TIFF"), Problem.NOT_A_PHOTO, id="tiff"),
        pytest.param(photos.animation("GIF"), Problem.MOVING, id="gif"),
        pytest.param(photos.animation("PNG"), Problem.MOVING, id="apng"),
        pytest.param(photos.animation("WEBP"), Problem.MOVING, id="webp"),
        pytest.param(photos.animation("AVIF"), Problem.MOVING, id="avif"),
        pytest.param(photos.bomb(), Problem.TOO_MANY_PIXELS, id="200 megapixels"),
        pytest.param(photos.bomb(9000, 6000), Problem.TOO_MANY_PIXELS, id="54 megapixels"),
        pytest.param(encoded(drawn_photo(size=(320, 127))), Problem.TOO_SMALL, id="small"),
        pytest.param(encoded(drawn_photo(size=(9000, 300))), Problem.TOO_SMALL, id="a strip"),
    ],
)
async def test_refuses(decoder: DecodeProcess, data: bytes, problem: Problem) -> None:
    verdict, png = await decoder.decode(data)
    assert verdict.problem is problem
    assert png == b""


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "HEIF", "AVIF"])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
async def test_refuses_truncated(decoder: DecodeProcess, form: str, share: float) -> None:
    data = encoded(drawn_photo(), form)
    verdict, _ = await decoder.decode(data[: int(len(data) * share)])
    assert verdict.problem is Problem.DAMAGED


async def test_a_dead_child_costs_one_photo(decoder: DecodeProcess) -> None:
    await cleaned(decoder, photos.drawn(1)[0])
    os.kill(child_of(decoder), signal.SIGKILL)
    verdict, _ = await decoder.decode(photos.drawn(1)[0])
    assert verdict.problem is Problem.DAMAGED
    await cleaned(decoder, photos.drawn(1)[0])


async def test_the_child_is_confined(decoder: DecodeProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISCORD_TOKEN", "secret")
    await cleaned(decoder, photos.drawn(1)[0])
    about = Path("/proc") / str(child_of(decoder))
    assert b"secret" not in (about / "environ").read_bytes()
    limits = {line[:25].strip(): line[25:].split()[0] for line in (about / "limits").read_text("ascii").splitlines()}
    assert int(limits["Max address space"]) <= 2 * 2**30
    assert limits["Max file size"] == "0"
    assert int(limits["Max cpu time"]) < 60


def child_of(decoder: DecodeProcess) -> int:
    assert decoder._child is not None
    return decoder._child.pid
