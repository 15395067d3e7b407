import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from storage.contract import Box, TrainRequest
from storage.crops import CLOSEST, squares

sides = st.integers(min_value=16, max_value=4000)


@st.composite
def photos(draw: st.DrawFn) -> tuple[int, int, Box]:
    """A photo's size and a subject somewhere in it."""
    width, height = draw(sides), draw(sides)
    left, right = sorted(draw(st.lists(st.integers(0, width), min_size=2, max_size=2, unique=True)))
    top, bottom = sorted(draw(st.lists(st.integers(0, height), min_size=2, max_size=2, unique=True)))
    return width, height, Box(left=left, top=top, right=right, bottom=bottom)


@given(photos())
def test_squares_lie_inside_the_photo(photo: tuple[int, int, Box]) -> None:
    width, height, subject = photo
    for found in (squares(width, height), squares(width, height, subject)):
        assert len(found) == 7
        for left, top, right, bottom in (square.box for square in found):
            assert min(left, top) >= -1e-6
            assert right <= width + 1e-6
            assert bottom <= height + 1e-6


@given(photos())
def test_no_square_cuts_a_subject_that_fits(photo: tuple[int, int, Box]) -> None:
    width, height, subject = photo
    for square in squares(width, height, subject):
        left, top, right, bottom = square.box
        if subject.right - subject.left <= square.side:
            assert left <= subject.left + 1e-6
            assert right >= subject.right - 1e-6
        if subject.bottom - subject.top <= square.side:
            assert bottom >= subject.bottom - 1e-6
        assert top <= subject.top + 1e-6  # the head, in any case


def test_the_largest_square_follows_the_subject() -> None:
    """A landscape photo with the subject at its right, where a square out of the middle would cut it."""
    subject = Box(left=900, top=100, right=1150, bottom=700)
    assert squares(1200, 800)[0].box == (200, 0, 1000, 800)
    assert squares(1200, 800, subject)[0].box == (400, 0, 1200, 800)
    assert squares(1200, 800, Box(left=500, top=0, right=600, bottom=800))[0].box == (150, 0, 950, 800)


def test_a_small_subject_is_seen_closer() -> None:
    subject = Box(left=350, top=350, right=450, bottom=450)
    closer = squares(800, 800, subject)[3:]
    assert {square.side for square in closer} == {800 * CLOSEST}
    assert len({square.box for square in closer}) == 4


@pytest.mark.parametrize("size", [(800, 600), (600, 800), (700, 700), (1500, 600)])
def test_without_a_subject_the_middle_is_it(size: tuple[int, int]) -> None:
    width, height = size
    wide, near = squares(width, height)[:3], squares(width, height)[3:]
    side = min(size)
    assert [square.left for square in wide] == [(width - side) * at for at in (0.5, 0.25, 0.75)]
    assert [square.top for square in wide] == [(height - side) * at for at in (0.5, 0.25, 0.75)]
    assert {round(square.side, 6) for square in near} == {round(side * 0.88, 6)}


def test_a_request_has_a_crop_for_each_photo_or_none_at_all() -> None:
    body = {
        "job": "a" * 32, "attempt": 1, "model": "b" * 32, "base": "demo", "identifier": "sks", "class_noun": "dog",
        "subject_kind": "pet", "quality": "fast", "photos": ["p/1", "p/2", "p/3"], "seed": 1,
    }  # fmt: skip
    assert TrainRequest.model_validate(body).crops == ()
    box = {"left": 0, "top": 0, "right": 5, "bottom": 5}
    assert TrainRequest.model_validate({**body, "crops": [box, None, None]}).crops[1:] == (None, None)
    with pytest.raises(ValidationError, match="2 crops for 3 photos"):
        TrainRequest.model_validate({**body, "crops": [box, box]})
