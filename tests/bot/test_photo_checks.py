"""Good photos pass without a word; the same made bad each get their own advice."""

from collections.abc import Callable, Iterable
from functools import cache

import numpy as np
import pytest
from PIL import Image

from bot.photo_checks import Advice, Flaw, Look, advise, look_at, nearly_same
from storage.contract import SubjectKind
from tests.bot import photo_sets
from tests.bot.photo_sets import REAL, SHIPPED, photos_of, pixels

BASE_SIDE = 512


def looked_at(photos: Iterable[Image.Image], kind: SubjectKind = SubjectKind.OBJECT) -> dict[int, Look]:
    return {position: look_at(pixels(photo), kind) for position, photo in enumerate(photos, start=1)}


@cache
def good(subject: str) -> dict[int, Look]:
    return looked_at(photos_of(subject))


def with_bad(subject: str, position: int, spoil: Callable[[Image.Image], Image.Image]) -> list[Advice]:
    """Spoil one photo of a good set."""
    bad = look_at(pixels(spoil(photos_of(subject)[position - 1])), SubjectKind.OBJECT)
    return advise({**good(subject), position: bad}, BASE_SIDE)


@pytest.mark.parametrize("subject", [*REAL, *SHIPPED])
def test_good_photos_pass_without_a_word(subject: str) -> None:
    assert advise(good(subject), BASE_SIDE) == []


@pytest.mark.parametrize("subject", ["robot_toy", "dog", "rex"])
@pytest.mark.parametrize(
    ("spoil", "flaw"),
    [
        (photo_sets.blurred, Flaw.BLURRED),
        (photo_sets.shaken, Flaw.BLURRED),
        (photo_sets.dark, Flaw.DARK),
        (photo_sets.blown_out, Flaw.BLOWN_OUT),
        (photo_sets.small, Flaw.SMALL),
    ],
)
def test_a_bad_photo_is_named(subject: str, spoil: Callable[[Image.Image], Image.Image], flaw: Flaw) -> None:
    assert with_bad(subject, 2, spoil) == [Advice(flaw, (2,))]


@pytest.mark.parametrize("subject", ["dog6", "teapot", "luna"])
def test_nearly_the_same_photos_are_named_together(subject: str) -> None:
    first = photos_of(subject)[0]
    looks = {**good(subject), 8: look_at(pixels(photo_sets.again(first)), SubjectKind.OBJECT)}
    assert advise(looks, BASE_SIDE) == [Advice(Flaw.NEARLY_SAME, (1, 8))]
    looks[9] = look_at(pixels(first.crop((6, 6, first.width - 14, first.height - 14))), SubjectKind.OBJECT)
    assert advise(looks, BASE_SIDE) == [Advice(Flaw.NEARLY_SAME, (1, 8, 9))]


def test_different_poses_before_one_white_wall_are_different_photos() -> None:
    looks = good("red_cartoon")
    assert not any(nearly_same(looks[one], looks[other]) for one in looks for other in looks if one < other)


@pytest.mark.parametrize("subject", ["bear_plushie", "shiny_sneaker", "comet"])
def test_one_view_from_several_places_is_too_little(subject: str) -> None:
    looks = looked_at(photo_sets.views(photos_of(subject)[1]))
    assert advise(looks, BASE_SIDE)[0] == Advice(Flaw.ALIKE, (1, 2, 3, 4))
    assert Flaw.NEARLY_SAME not in {advice.flaw for advice in advise(looks, BASE_SIDE)}


@pytest.mark.parametrize("subject", ["bear_plushie", "dog6", "red_cartoon", "rex"])
def test_a_subject_that_is_cut_off_everywhere_is_noticed(subject: str) -> None:
    found = advise(looked_at(photo_sets.cut_off(photo) for photo in photos_of(subject)), 1)
    assert [advice.flaw for advice in found if advice.flaw is Flaw.CUT_OFF] == [Flaw.CUT_OFF]


def test_one_close_up_among_others_is_fine() -> None:
    assert with_bad("bear_plushie", 3, photo_sets.cut_off) == []


def test_a_style_may_be_soft_and_dark() -> None:
    looks = looked_at((photo_sets.blurred(photo_sets.dark(photo)) for photo in photos_of("rex")), SubjectKind.STYLE)
    assert advise(looks, BASE_SIDE) == []


@pytest.mark.parametrize("value", [0, 128, 255])
def test_a_picture_of_one_colour_is_no_trouble(value: int) -> None:
    plain = np.full((200, 300, 3), value, np.uint8)
    looks = {position: look_at(plain, SubjectKind.PERSON) for position in (1, 2, 3)}
    assert looks[1].subject is None
    assert {advice.flaw for advice in advise(looks, 64)} <= {Flaw.DARK, Flaw.BLOWN_OUT, Flaw.NEARLY_SAME}
