"""Stories: scenes, line by line, that become pictures of the same subject and a book of them."""

import io
import textwrap
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from bot.display import for_display
from bot.prompts import tidy
from storage.errors import UserError

MAX_SCENES = 10
MAX_SCENE_CHARS = 300
PAGE = 1200, 1600
"""Width and height of a book's page in pixels; at 150 dots an inch 20 by 27 cm."""
MARGIN, PICTURE = 100, 1000
DPI = 150
PAPER, INK, PALE = (252, 250, 245), (40, 38, 36), (130, 126, 120)
LINE_CHARS = 40
MOST_LINES = 7


class NoScenes(UserError):
    """There are no scenes, too many, or one that is too long."""

    def __init__(self) -> None:
        super().__init__("scenes")
        self.most, self.chars = MAX_SCENES, MAX_SCENE_CHARS


def read_scenes(typed: str) -> list[str]:
    """Return the scenes, a line each; empty lines are between them. Raises `NoScenes`."""
    scenes = [scene for line in typed.splitlines() if (scene := tidy(line))]
    if not 1 <= len(scenes) <= MAX_SCENES or any(len(scene) > MAX_SCENE_CHARS for scene in scenes):
        raise NoScenes
    return scenes


def as_pdf(title: str, pages: Sequence[tuple[str, bytes]], by: str) -> bytes:
    """Return the book: a title page, then a page for each scene and its picture."""
    sheets = [_title_page(title, pages[0][1], by)]
    sheets += [_page(scene, picture, number) for number, (scene, picture) in enumerate(pages, start=1)]
    packed = io.BytesIO()
    sheets[0].save(packed, "PDF", save_all=True, append_images=sheets[1:], resolution=DPI, title=title, producer="")
    return packed.getvalue()


def _title_page(title: str, picture: bytes, by: str) -> Image.Image:
    sheet = Image.new("RGB", PAGE, PAPER)
    draw = ImageDraw.Draw(sheet)
    _write(draw, title, top=140, size=84, chars=22, most=2)
    small = _picture(picture).resize((PICTURE * 3 // 4, PICTURE * 3 // 4), Image.Resampling.LANCZOS)
    sheet.paste(small, ((PAGE[0] - small.width) // 2, 420))
    _write(draw, by, top=1300, size=36, chars=60, most=2, ink=PALE)
    return sheet


def _page(scene: str, picture: bytes, number: int) -> Image.Image:
    sheet = Image.new("RGB", PAGE, PAPER)
    draw = ImageDraw.Draw(sheet)
    sheet.paste(_picture(picture), (MARGIN, MARGIN))
    _write(draw, scene, top=MARGIN + PICTURE + 50, size=44, chars=LINE_CHARS, most=MOST_LINES)
    _write(draw, str(number), top=PAGE[1] - 70, size=28, chars=8, most=1, ink=PALE)
    return sheet


def _picture(packed: bytes) -> Image.Image:
    """Return the picture as large as a page takes, on white where it is no square."""
    with Image.open(io.BytesIO(for_display(packed))) as picture:
        scale = PICTURE / max(picture.size)
        size = round(picture.width * scale), round(picture.height * scale)
        square = Image.new("RGB", (PICTURE, PICTURE), PAPER)
        fitted = picture.convert("RGB").resize(size, Image.Resampling.LANCZOS)
        square.paste(fitted, ((PICTURE - size[0]) // 2, (PICTURE - size[1]) // 2))
    return square


def _write(
    draw: ImageDraw.ImageDraw,
    words: str,
    *,
    top: int,
    size: int,
    chars: int,
    most: int,
    ink: tuple[int, int, int] = INK,
) -> None:
    lines = textwrap.wrap(words, chars, max_lines=most, placeholder=" …")
    draw.multiline_text(
        (PAGE[0] / 2, top), "\n".join(lines), fill=ink, font=_font(size), anchor="ma", align="center", spacing=size // 3
    )


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return a font of many scripts where the machine has one; else Pillow's own, which writes Latin."""
    for name in ("NotoSans-Regular.ttf", "DejaVuSans.ttf"):
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    return ImageFont.load_default(size)
