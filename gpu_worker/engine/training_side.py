"""At which size photos and class images are trained on: less than the base's own is quicker, and shows less detail."""

from PIL import Image

from gpu_worker.engine.base_model import BaseModel
from storage.contract import TrainRequest
from storage.crops import Size, buckets


def training_side(base: BaseModel, request: TrainRequest) -> int:
    """Return the side in pixels that is trained at: the base's own, or less where that is asked for."""
    wanted = request.options.resolution or base.resolution
    return max(min(wanted, base.resolution) // base.size_multiple, 1) * base.size_multiple


def training_sizes(base: BaseModel, request: TrainRequest, *, aspects: bool) -> list[Size]:
    """Return the sizes that photos may be trained at: the square of the training's side and, with `aspects`, others."""
    side = training_side(base, request)
    return buckets(side, base.size_multiple) if aspects else [(side, side)]


def fitted(picture: Image.Image, side: int) -> Image.Image:
    """Return a square picture at this side."""
    return picture if picture.width == side else picture.resize((side, side), Image.Resampling.LANCZOS)
