"""The tiny base and its photos, for what is measured is the engine."""

from tests.gpu_worker.engine.conftest import base, base_folder, model, photos

__all__ = ["base", "base_folder", "model", "photos"]
