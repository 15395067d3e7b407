"""Which part of a picture is meant, told in three ways."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw

from bot.masks import MaskProblem, MaskUnclear, Region, painted_mask, region_mask
from storage.contract import SubjectKind

SIZE = (384, 256)


def picture(size: tuple[int, int] = SIZE) -> Image.Image:
    """A brown ball in a green field under a sky."""
    drawn = Image.new("RGB", size, (120, 180, 240))
    pen = ImageDraw.Draw(drawn)
    wide, high = size
    pen.rectangle((0, high * 0.6, wide, high), fill=(70, 150, 60))
    pen.ellipse((wide * 0.4, high * 0.35, wide * 0.65, high * 0.75), fill=(140, 70, 30))
    return drawn


def bytes_of(drawn: Image.Image, form: str = "PNG") -> bytes:
    packed = io.BytesIO()
    drawn.save(packed, form, quality=70)
    return packed.getvalue()


def read(mask: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(mask)) as opened:
        assert opened.mode == "L"
        pixels = np.asarray(opened)
    assert set(np.unique(pixels)) <= {0, 255}
    return pixels > 0


def as_saved(drawn: Image.Image, size: tuple[int, int] | None = None) -> bytes:
    """As a phone saves it, and the decoding process hands it on: JPEG at another size, then clean pixels."""
    with Image.open(io.BytesIO(bytes_of(drawn.resize(size or drawn.size), "JPEG"))) as lossy:
        return bytes_of(lossy.convert("RGB"))


@pytest.mark.parametrize(
    ("region", "inside", "outside", "share"),
    [
        (Region.LEFT, (10, 128), (370, 128), 0.5),
        (Region.RIGHT, (370, 128), (10, 128), 0.5),
        (Region.TOP, (192, 10), (192, 250), 0.5),
        (Region.BOTTOM, (192, 250), (192, 10), 0.5),
        (Region.MIDDLE, (192, 128), (10, 10), 0.25),
    ],
)
def test_a_region_by_its_name(region: Region, inside: tuple[int, int], outside: tuple[int, int], share: float) -> None:
    mask = read(region_mask(region, bytes_of(picture()), None))
    assert mask.shape == (256, 384)
    assert mask[inside[::-1]]
    assert not mask[outside[::-1]]
    assert mask.mean() == pytest.approx(share, abs=0.01)


def test_the_background_is_all_but_the_subject() -> None:
    mask = read(region_mask(Region.BACKGROUND, bytes_of(picture()), SubjectKind.OBJECT))
    assert not mask[110:180, 165:240].any()
    assert mask[:, :90].all()
    assert mask[:, 320:].all()
    with pytest.raises(MaskUnclear) as unclear:
        region_mask(Region.BACKGROUND, bytes_of(Image.new("RGB", SIZE, "grey")), SubjectKind.OBJECT)
    assert unclear.value.problem is MaskProblem.NO_SUBJECT


@pytest.mark.parametrize("size", [SIZE, (1152, 768), (380, 256), (192, 128)])
def test_paint_on_a_copy(size: tuple[int, int]) -> None:
    copy = picture()
    ImageDraw.Draw(copy).rectangle((250, 20, 330, 100), fill=(255, 0, 200))
    mask = read(painted_mask(as_saved(copy, size), bytes_of(picture())))
    meant = np.zeros((256, 384), dtype=bool)
    meant[20:101, 250:331] = True
    assert (mask & meant).sum() / (mask | meant).sum() > 0.9


def test_a_line_around_something_means_all_of_it() -> None:
    copy = picture()
    ImageDraw.Draw(copy).ellipse((40, 40, 120, 120), outline=(255, 0, 0), width=6)
    mask = read(painted_mask(as_saved(copy), bytes_of(picture())))
    assert mask[80, 80]
    assert mask.mean() == pytest.approx(np.pi * 40**2 / (256 * 384), rel=0.15)


def test_white_on_black() -> None:
    painted = Image.new("L", SIZE, 8)
    ImageDraw.Draw(painted).ellipse((150, 80, 250, 180), fill=250)
    mask = read(painted_mask(as_saved(painted.convert("RGB")), bytes_of(picture())))
    assert mask[130, 200]
    assert not mask[20, 20]
    assert mask.mean() == pytest.approx(np.pi * 50**2 / (256 * 384), rel=0.05)


def test_a_drawing_in_black_and_white_can_be_painted_over() -> None:
    drawing = Image.new("RGB", SIZE, "white")
    ImageDraw.Draw(drawing).line((0, 0, *SIZE), fill="black", width=9)
    copy = drawing.copy()
    ImageDraw.Draw(copy).rectangle((20, 150, 90, 230), fill="black")
    mask = read(painted_mask(as_saved(copy), bytes_of(drawing)))
    assert mask[190, 50]
    assert not mask[20, 300]


@pytest.mark.parametrize(
    ("painted", "problem"),
    [
        (Image.new("RGB", SIZE, "black"), MaskProblem.ALL_BLACK),
        (Image.new("RGB", SIZE, "white"), MaskProblem.ALL_WHITE),
        (picture(), MaskProblem.UNCHANGED),
        (Image.new("RGB", SIZE, (250, 20, 200)), MaskProblem.ALL_CHANGED),
        (Image.new("RGB", SIZE[::-1], "white"), MaskProblem.OTHER_SHAPE),
        (picture((512, 256)), MaskProblem.OTHER_SHAPE),
    ],
)
def test_what_tells_nothing(painted: Image.Image, problem: MaskProblem) -> None:
    with pytest.raises(MaskUnclear) as unclear:
        painted_mask(as_saved(painted), bytes_of(picture()))
    assert unclear.value.problem is problem
