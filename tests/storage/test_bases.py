"""The names and sizes of base models."""

import pytest

from storage.bases import (
    Shape,
    around,
    askable,
    base_name,
    native_side,
    photo_sizes,
    picture_size,
    shape_near,
    shape_of,
    shapes,
)


@pytest.mark.parametrize(
    ("base", "side"),
    [
        ("demo", 64),
        ("stable-diffusion-v1-5/stable-diffusion-v1-5", 512),
        ("stabilityai/stable-diffusion-2-1", 768),
        ("stabilityai/stable-diffusion-2", 768),
        ("stabilityai/stable-diffusion-2-1-base", 512),
        ("/models/my-own", 512),
        ("stabilityai/stable-diffusion-xl-base-1.0", 1024),
        ("/models/RealVisXL_V4.0", 1024),
        ("./sdxl", 1024),
        ("xlarge/one", 512),
    ],
)
def test_native_sides(base: str, side: int) -> None:
    assert native_side(base_name(base)) == side


def test_a_square_is_left_to_the_worker() -> None:
    assert picture_size("demo", Shape.SQUARE) == picture_size("sd-1.5", Shape.SQUARE) == (None, None)


def test_other_shapes_keep_the_native_side() -> None:
    assert picture_size("sd-1.5", Shape.PORTRAIT) == (512, 768)
    assert picture_size("stabilityai-stable-diffusion-2-1", Shape.LANDSCAPE) == (1152, 768)


def test_the_demo_base_draws_squares_alone() -> None:
    assert shapes("demo") == (Shape.SQUARE,)
    with pytest.raises(ValueError, match="demo does not draw portrait"):
        picture_size("demo", Shape.PORTRAIT)
    assert photo_sizes("demo") == [(64, 64)]
    assert (384, 640) in photo_sizes("sd-1.5")
    assert {(1024, 1024), (832, 1216)} <= set(photo_sizes("sdxl"))


@pytest.mark.parametrize("base", ["sd-1.5", "stabilityai-stable-diffusion-2-1", "sdxl"])
def test_every_shape_has_a_size_that_latents_divide_and_is_known_by_it(base: str) -> None:
    for shape in shapes(base):
        width, height = picture_size(base, shape)
        assert shape_of(base, width, height) is shape
        if width is not None and height is not None:
            assert width % 8 == height % 8 == 0
            assert native_side(base) ** 2 * 1.1 < width * height <= native_side(base) ** 2 * 1.5
    assert shape_of(base, 64, 128) is Shape.SQUARE


def test_wide_is_sixteen_to_nine() -> None:
    assert picture_size("sd-1.5", Shape.WIDE) == (768, 432)
    assert picture_size("sd-1.5", Shape.UPRIGHT) == (480, 640)


@pytest.mark.parametrize("size", [(384, 384), (1024, 1024), (768, 432), (512, 768), (2048, 1152)])
@pytest.mark.parametrize("shape", Shape)
def test_what_is_around_a_picture_has_the_shape_and_holds_it(shape: Shape, size: tuple[int, int]) -> None:
    width, height = around(shape, *size)
    assert width % 8 == height % 8 == 0
    across, down = picture_size("sd-1.5", shape)
    assert width / height == pytest.approx(1 if across is None or down is None else across / down, rel=0.03)
    scale = min(width / size[0], height / size[1])
    assert max(width, height) <= 2048
    assert scale > 0.97 or max(width, height) == 2048


def test_no_size_is_asked_for_that_workers_refuse() -> None:
    assert askable(3072, 1728) == (2048, 1152)
    assert askable(1024, 1020) == (1024, 1024)


@pytest.mark.parametrize(
    ("size", "shape"),
    [((400, 300), Shape.PHOTO), ((1920, 1080), Shape.WIDE), ((500, 510), Shape.SQUARE), ((300, 4000), Shape.PHONE)],
)
def test_the_shape_nearest_to_a_picture(size: tuple[int, int], shape: Shape) -> None:
    assert shape_near("sd15", *size) is shape
    assert shape_near("demo", *size) is Shape.SQUARE
