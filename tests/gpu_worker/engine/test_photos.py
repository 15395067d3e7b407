import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from gpu_worker.engine.photos import square_boxes, to_image, to_pixels, views_of

sides = st.integers(min_value=16, max_value=4000)


@given(sides, sides)
def test_crops_are_square_and_inside_the_photo(width: int, height: int) -> None:
    for left, top, right, bottom in square_boxes(width, height):
        assert abs((right - left) - (bottom - top)) < 1e-6
        assert left >= -1e-6
        assert top >= -1e-6
        assert right <= width + 1e-6
        assert bottom <= height + 1e-6


@given(sides, sides)
def test_every_photo_gives_as_many_crops(width: int, height: int) -> None:
    assert len(square_boxes(width, height)) == len(square_boxes(64, 64))


def test_nothing_is_squeezed() -> None:
    photo = Image.new("RGB", (300, 200))
    photo.paste((255, 255, 255), (100, 50, 200, 150))  # a square in the middle
    view = views_of(photo, 100)[0, 0] > 0
    assert int(view.any(0).sum()) == int(view.any(1).sum()) == 50


def test_half_of_the_views_are_mirrored() -> None:
    photo = Image.linear_gradient("L").rotate(90).resize((60, 40)).convert("RGB")
    views = views_of(photo, 16)
    plain, mirrored = views.chunk(2)
    assert torch.equal(plain.flip(-1), mirrored)
    assert views.shape[1:] == (3, 16, 16)
    assert len(views_of(photo, 16, flip=False)) * 2 == len(views)


def test_pixels_survive_the_way_there_and_back() -> None:
    photo = Image.radial_gradient("L").resize((8, 8)).convert("RGB")
    assert to_image(to_pixels(photo) / 2 + 0.5).tobytes() == photo.tobytes()
