"""The sheet shows what will be trained on: squares, or all of a subject that no square holds."""

from PIL import Image

from bot.contact_sheet import BEHIND, CELL, draw_cell
from storage.bases import photo_sizes
from storage.contract import Box

STANDING = Box(left=300, top=30, right=460, bottom=1000)
HEAD, FEET = (200, 30, 30), (30, 30, 200)


def photo() -> Image.Image:
    """A person in the middle of a tall photo, with a red head and blue feet."""
    tall = Image.new("RGB", (768, 1024), (90, 160, 90))
    tall.paste(HEAD, (300, 30, 460, 130))
    tall.paste(FEET, (300, 900, 460, 1000))
    return tall


def colours(cell: Image.Image) -> set[tuple[int, ...]]:
    return {colour for _, colour in cell.getcolors(CELL * CELL) or [] if isinstance(colour, tuple)}


def test_a_base_that_takes_other_shapes_is_shown_all_of_a_standing_person() -> None:
    cell = draw_cell(photo(), STANDING, photo_sizes("sd-1.5"))
    assert cell.size == (CELL, CELL)
    assert {HEAD, FEET, BEHIND} <= colours(cell)


def test_the_demo_base_is_shown_a_square_with_the_head() -> None:
    shown = colours(draw_cell(photo(), STANDING, photo_sizes("demo")))
    assert HEAD in shown
    assert not {FEET, BEHIND} & shown
