import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from storage.contract import Box, TrainRequest
from storage.crops import CLOSEST, bucket_for, buckets, windows

sides = st.integers(min_value=16, max_value=4000)


@st.composite
def photos(draw: st.DrawFn) -> tuple[int, int, Box]:
    """A photo's size and a subject somewhere in it."""
    width, height = draw(sides), draw(sides)
    left, right = sorted(draw(st.lists(st.integers(0, width), min_size=2, max_size=2, unique=True)))
    top, bottom = sorted(draw(st.lists(st.integers(0, height), min_size=2, max_size=2, unique=True)))
    return width, height, Box(left=left, top=top, right=right, bottom=bottom)


@given(photos())
def test_windows_lie_inside_the_photo(photo: tuple[int, int, Box]) -> None:
    width, height, subject = photo
    for found in (windows(width, height), windows(width, height, subject)):
        assert len(found) == 7
        for left, top, right, bottom in (square.box for square in found):
            assert min(left, top) >= -1e-6
            assert right <= width + 1e-6
            assert bottom <= height + 1e-6


@given(photos())
def test_no_square_cuts_a_subject_that_fits(photo: tuple[int, int, Box]) -> None:
    width, height, subject = photo
    for square in windows(width, height, subject):
        left, top, right, bottom = square.box
        if subject.right - subject.left <= square.width:
            assert left <= subject.left + 1e-6
            assert right >= subject.right - 1e-6
        if subject.bottom - subject.top <= square.width:
            assert bottom >= subject.bottom - 1e-6
        assert top <= subject.top + 1e-6  # the head, in any case


def test_the_largest_square_follows_the_subject() -> None:
    """A landscape photo with the subject at its right, where a square out of the middle would cut it."""
    subject = Box(left=900, top=100, right=1150, bottom=700)
    assert windows(1200, 800)[0].box == (200, 0, 1000, 800)
    assert windows(1200, 800, subject)[0].box == (400, 0, 1200, 800)
    assert windows(1200, 800, Box(left=500, top=0, right=600, bottom=800))[0].box == (150, 0, 950, 800)


def test_a_small_subject_is_seen_closer() -> None:
    subject = Box(left=350, top=350, right=450, bottom=450)
    closer = windows(800, 800, subject)[3:]
    assert {square.width for square in closer} == {800 * CLOSEST}
    assert len({square.box for square in closer}) == 4


@pytest.mark.parametrize("size", [(800, 600), (600, 800), (700, 700), (1500, 600)])
def test_without_a_subject_the_middle_is_it(size: tuple[int, int]) -> None:
    width, height = size
    wide, near = windows(width, height)[:3], windows(width, height)[3:]
    side = min(size)
    assert [square.left for square in wide] == [(width - side) * at for at in (0.5, 0.25, 0.75)]
    assert [square.top for square in wide] == [(height - side) * at for at in (0.5, 0.25, 0.75)]
    assert {round(square.width, 6) for square in near} == {round(side * 0.88, 6)}


def test_buckets_are_no_larger_than_the_square() -> None:
    assert buckets(512, 64) == [(512, 512), (448, 576), (576, 448), (384, 640), (640, 384)]
    for width, height in buckets(768, 64):
        assert width * height <= 768 * 768
        assert max(width, height) <= 2 * min(width, height)


STANDING = Box(left=240, top=20, right=540, bottom=1010)


@pytest.mark.parametrize(
    ("size", "subject", "bucket"),
    [
        ((768, 1024), STANDING, (384, 640)),
        ((1024, 768), Box(left=20, top=240, right=1010, bottom=540), (640, 384)),
        ((768, 1024), Box(left=100, top=100, right=600, bottom=860), (512, 512)),  # a square holds it
        ((1200, 900), None, (576, 448)),
        ((1000, 920), None, (512, 512)),
        ((500, 3000), None, (384, 640)),
    ],
)
def test_a_bucket_is_as_square_as_the_subject_allows(
    size: tuple[int, int], subject: Box | None, bucket: tuple[int, int]
) -> None:
    assert bucket_for(*size, subject, buckets(512, 64)) == bucket


def test_all_of_a_standing_person_is_in_every_large_window() -> None:
    for window in windows(768, 1024, STANDING, 384 / 640)[:3]:
        left, top, right, bottom = window.box
        assert left <= STANDING.left < STANDING.right <= right
        assert top <= STANDING.top < STANDING.bottom <= bottom
    assert min(window.height for window in windows(768, 1024, STANDING)) < STANDING.bottom - STANDING.top


@given(photos(), st.sampled_from(buckets(512, 64)))
def test_windows_of_any_shape_lie_inside_the_photo(photo: tuple[int, int, Box], size: tuple[int, int]) -> None:
    width, height, subject = photo
    for window in windows(width, height, subject, size[0] / size[1]):
        left, top, right, bottom = window.box
        assert min(left, top) >= -1e-6
        assert right <= width + 1e-6
        assert bottom <= height + 1e-6
        assert window.width / window.height == pytest.approx(size[0] / size[1])


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
