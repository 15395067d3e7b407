"""Pictures as Discord gets them."""

import io

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from bot.display import for_display
from bot.uploads import as_file

XMP = '<x:xmpmeta xmlns:x="adobe:ns:meta/">made by a machine</x:xmpmeta>'


def png(width: int, height: int, mode: str = "RGB") -> bytes:
    about, packed = PngInfo(), io.BytesIO()
    about.add_itxt("XML:com.adobe.xmp", XMP)
    image = Image.linear_gradient("L").resize((width, height)).convert(mode)
    image.save(packed, "PNG", pnginfo=about)
    return packed.getvalue()


@pytest.mark.parametrize(
    ("size", "shown"),
    [((64, 64), (512, 512)), ((64, 96), (320, 480)), ((200, 100), (400, 200)), ((1, 1), (512, 512))],
)
def test_a_small_picture_is_enlarged_and_still_says_what_it_is(size: tuple[int, int], shown: tuple[int, int]) -> None:
    with Image.open(io.BytesIO(for_display(png(*size)))) as image:
        assert (image.format, image.size) == ("PNG", shown)
        assert image.info["XML:com.adobe.xmp"] == XMP


@pytest.mark.parametrize("size", [(512, 512), (512, 768), (300, 257), (2048, 2048)])
def test_a_large_picture_stays_as_it_is(size: tuple[int, int]) -> None:
    picture = png(*size)
    assert for_display(picture) == picture


def webp(side: int) -> bytes:
    packed = io.BytesIO()
    gradient = Image.radial_gradient("L").resize((side, side))
    Image.merge("RGB", (gradient, gradient.rotate(90), gradient)).save(packed, "WEBP", xmp=XMP.encode())
    return packed.getvalue()


def test_webp_is_taken_too_and_says_what_it_is() -> None:
    assert for_display(webp(512)) == webp(512)
    with Image.open(io.BytesIO(for_display(webp(100)))) as image:
        assert (image.format, image.info["XML:com.adobe.xmp"]) == ("PNG", XMP)
    assert as_file("picture", webp(512)).filename == "picture.webp"
    cut = as_file("picture", webp(512), len(webp(512)) - 1)
    assert cut.filename == "picture.jpg"
    with Image.open(io.BytesIO(cut.fp.read())) as image:
        assert image.info["xmp"] == XMP.encode()


@pytest.mark.parametrize("bad", [b"", b"GIF89a", png(64, 64)[:200], png(2048, 2056)])
def test_other_bytes_are_refused(bad: bytes) -> None:
    with pytest.raises(ValueError, match="picture"):
        for_display(bad)
