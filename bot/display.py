"""Enlarge small pictures: Discord shows one pixel as one pixel, and 64 of them are a stamp."""

import io

from PIL import Image
from PIL.PngImagePlugin import PngInfo

SHOWN_SIDE = 512
XMP = "XML:com.adobe.xmp"
"""Where PNG keeps what the file says of itself (XMP specification, part 3)."""
MAX_PIXELS = 2048 * 2048
FORMATS = ("PNG", "WEBP")
"""What workers make."""


def for_display(picture: bytes) -> bytes:
    """Return a PNG at the whole multiple of its size that comes nearest to `SHOWN_SIDE`; a large one returns as it is.

    A large one may be WebP as well.

    What the file says of itself, such as that a machine made it, is kept. Raises `ValueError` when the bytes are not a
    picture that a worker makes.
    """
    try:
        with Image.open(io.BytesIO(picture), formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ValueError(f"a picture of {image.width} x {image.height} pixels")
            image.load()
            factor = SHOWN_SIDE // max(image.size)
            return _enlarge(image, factor) if factor > 1 else picture
    except (OSError, SyntaxError) as error:
        raise ValueError("not a picture") from error


def _enlarge(image: Image.Image, factor: int) -> bytes:
    about = PngInfo()
    if "xmp" in image.info:
        about.add_itxt(XMP, image.info["xmp"].decode())
    enlarged = image.resize((image.width * factor, image.height * factor), Image.Resampling.LANCZOS)
    packed = io.BytesIO()
    enlarged.save(packed, "PNG", pnginfo=about)
    return packed.getvalue()
