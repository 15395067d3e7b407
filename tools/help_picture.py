"""Draw the picture that `/help` shows newcomers: four photos that help to learn a subject, and four that do not.

python -m tools.help_picture
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont

PHOTOS = Path("gpu_worker/demo_bundle/photos/rex/train")
OUT = Path("bot/pictures/good-photos.png")
SIDE, GAP, LINE, TITLE = 220, 16, 34, 48
BACKGROUND, INK, GOOD, BAD = (43, 45, 49), (242, 243, 245), (87, 242, 135), (250, 119, 109)


def main() -> int:
    photos = [Image.open(path).convert("RGB") for path in sorted(PHOTOS.iterdir())]
    good = [
        ("from the front", photos[0]),
        ("closer", closer(photos[1])),
        ("elsewhere", photos[2]),
        ("whole", photos[4]),
    ]
    spoil: Sequence[tuple[str, Callable[[Image.Image], Image.Image]]] = [
        ("blurred", lambda photo: photo.filter(ImageFilter.GaussianBlur(14))),
        ("dark", lambda photo: ImageEnhance.Brightness(photo).enhance(0.18)),
        ("head cut off", lambda photo: photo.crop((0, photo.height // 2, photo.width, photo.height))),
        ("too small", too_small),
    ]
    bad = [(label, change(photos[number])) for number, (label, change) in enumerate(spoil)]
    width = 4 * SIDE + 5 * GAP
    sheet = Image.new("RGB", (width, 2 * (TITLE + SIDE + LINE) + 3 * GAP), BACKGROUND)
    for top, title, colour, row in (
        (GAP, "✓  These help", GOOD, good),
        (sheet.height // 2 + GAP // 2, "✗  These do not", BAD, bad),
    ):
        lay(sheet, top, title, colour, row)
    OUT.parent.mkdir(exist_ok=True)
    sheet.save(OUT, optimize=True)
    print(OUT, OUT.stat().st_size)
    return 0


def lay(
    sheet: Image.Image, top: int, title: str, colour: tuple[int, int, int], row: Sequence[tuple[str, Image.Image]]
) -> None:
    draw = ImageDraw.Draw(sheet)
    draw.text((GAP, top), title, fill=colour, font=font(30))
    for place, (label, photo) in enumerate(row):
        left = GAP + place * (SIDE + GAP)
        sheet.paste(framed(photo), (left, top + TITLE))
        draw.rectangle((left - 2, top + TITLE - 2, left + SIDE + 1, top + TITLE + SIDE + 1), outline=colour, width=3)
        draw.text((left, top + TITLE + SIDE + 6), label, fill=INK, font=font(22))


def framed(photo: Image.Image) -> Image.Image:
    """Fit a photo into the square, whatever its shape."""
    square = Image.new("RGB", (SIDE, SIDE), (20, 20, 22))
    scale = SIDE / max(photo.size)
    small = photo.resize((round(photo.width * scale), round(photo.height * scale)), Image.Resampling.LANCZOS)
    square.paste(small, ((SIDE - small.width) // 2, (SIDE - small.height) // 2))
    return square


def closer(photo: Image.Image) -> Image.Image:
    edge = photo.width // 6
    return photo.crop((edge, edge, photo.width - edge, photo.height - edge))


def too_small(photo: Image.Image) -> Image.Image:
    return photo.resize((20, 20), Image.Resampling.BILINEAR).resize(photo.size, Image.Resampling.NEAREST)


def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return DejaVu where the machine has it, which knows the signs; else what Pillow brings along."""
    try:
        return ImageFont.truetype("DejaVuSans-Bold.ttf", size)
    except OSError:
        return ImageFont.load_default(size)


if __name__ == "__main__":
    sys.exit(main())
