"""Where the subject of a photo is."""

import numpy as np
import pytest
from PIL import Image
from skimage import data

from bot.crops import Pixels, find_subject, largest_face
from bot.photo_checks import Flaw, look_at
from storage.contract import Box, SubjectKind
from storage.crops import windows
from tests.bot.photo_sets import photos_of, pixels


def overlap(one: Box, other: Box) -> float:
    """Intersection over union."""
    return _shared(one, other) / (_area(one) + _area(other) - _shared(one, other))


def held(inner: Box, outer: Box) -> float:
    """Return how much of one box the other holds."""
    return _shared(inner, outer) / _area(inner)


def _shared(one: Box, other: Box) -> int:
    across = max(0, min(one.right, other.right) - max(one.left, other.left))
    return across * max(0, min(one.bottom, other.bottom) - max(one.top, other.top))


def _area(box: Box) -> int:
    return (box.right - box.left) * (box.bottom - box.top)


@pytest.fixture(scope="module")
def astronaut() -> Pixels:
    """Eileen Collins, 512 x 512: her face fills about (177, 66) to (272, 161), her hair begins at about 15."""
    return np.asarray(data.astronaut())  # type: ignore[no-untyped-call]


HEAD = Box(left=165, top=15, right=285, bottom=190)


def test_finds_the_face(astronaut: Pixels) -> None:
    face = largest_face(astronaut)
    assert face is not None
    assert overlap(face, Box(left=177, top=66, right=272, bottom=161)) > 0.7


@pytest.mark.parametrize(("subject", "number"), [("vase", 3), ("teapot", 0), ("cat2", 0)])
def test_sees_no_face_in_a_pattern(subject: str, number: int) -> None:
    """In the leaves of the vase one cascade sees a face, and in the cat's fur the other."""
    photo = photos_of(subject)[number]
    assert largest_face(pixels(photo)) is None
    assert largest_face(pixels(photo.crop((0, 100, photo.width, photo.height - 168)))) is None


def test_no_crop_cuts_a_head_off(astronaut: Pixels) -> None:
    """In a wide photo with her at its left end, where windows out of the middle would."""
    wide = np.concatenate([astronaut, np.full((512, 700, 3), 90, np.uint8)], axis=1)
    found = find_subject(wide, SubjectKind.PERSON)
    assert found is not None
    assert all(_holds(window.box, HEAD) for window in windows(1212, 512, found.box))
    assert not any(_holds(window.box, HEAD) for window in windows(1212, 512))


def _holds(box: tuple[float, float, float, float], inner: Box) -> bool:
    left, top, right, bottom = box
    return left <= inner.left and top <= inner.top and right >= inner.right and bottom >= inner.bottom


def test_notices_a_head_that_is_cut_off(astronaut: Pixels) -> None:
    assert Flaw.HEADLESS not in look_at(astronaut, SubjectKind.PERSON).flaws
    assert Flaw.HEADLESS in look_at(astronaut[50:], SubjectKind.PERSON).flaws


def test_looks_for_faces_of_persons_alone(astronaut: Pixels) -> None:
    person, thing = find_subject(astronaut, SubjectKind.PERSON), find_subject(astronaut, SubjectKind.OBJECT)
    assert person is not None
    assert person.head_top is not None
    assert thing is not None
    assert thing.head_top is None
    assert find_subject(astronaut, SubjectKind.STYLE) is None


@pytest.mark.parametrize(
    ("subject", "number", "left", "top", "right", "bottom"),
    [
        ("bear_plushie", 0, 0.41, 0.14, 0.71, 0.57),
        ("shiny_sneaker", 4, 0.26, 0.36, 0.60, 0.72),
        ("rc_car", 4, 0.38, 0.42, 0.68, 0.80),
        ("red_cartoon", 0, 0.28, 0.26, 0.71, 0.94),
        ("wolf_plushie", 1, 0.27, 0.12, 0.72, 0.70),
        ("rex", 1, 0.2, 0.2, 0.8, 0.8),
    ],
)
def test_finds_what_stands_out(subject: str, number: int, left: float, top: float, right: float, bottom: float) -> None:
    """The boxes are measured by eye, as shares of the photo; the car's is without its aerial."""
    photo = photos_of(subject)[number]
    width, height = photo.size
    truth = Box(left=int(left * width), top=int(top * height), right=int(right * width), bottom=int(bottom * height))
    found = find_subject(pixels(photo), SubjectKind.OBJECT)
    assert found is not None
    assert held(truth, found.box) > 0.9
    assert overlap(found.box, truth) > 0.35


def test_follows_a_subject_to_the_edge() -> None:
    photo = Image.new("RGB", (900, 300), (90, 130, 180))
    photo.paste((200, 60, 40), (650, 80, 790, 220))
    found = find_subject(pixels(photo), SubjectKind.OBJECT)
    assert found is not None
    truth = Box(left=650, top=80, right=790, bottom=220)
    assert held(truth, found.box) == 1
    assert overlap(found.box, truth) > 0.4
