"""At which size photos and class images are trained on: less than the base's own is quicker, and shows less detail."""

from PIL import Image

from gpu_worker.engine.base_model import BaseModel
from storage.contract import TrainRequest


def training_side(base: BaseModel, request: TrainRequest) -> int:
    """Return the side in pixels that is trained at: the base's own, or less where that is asked for."""
    wanted = request.options.resolution or base.resolution
    return max(min(wanted, base.resolution) // base.size_multiple, 1) * base.size_multiple


def fitted(picture: Image.Image, side: int) -> Image.Image:
    """Return a square picture at this side."""
    return picture if picture.width == side else picture.resize((side, side), Image.Resampling.LANCZOS)
