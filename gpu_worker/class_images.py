"""Class images are shared through the blob store: what one worker drew, no other worker draws again."""

import logging
from pathlib import Path

from gpu_worker.engine_process import EngineProcess
from gpu_worker.prompts import class_prompts
from storage.blobs import BlobMissing, Blobs
from storage.contract import TrainRequest, class_image_prefix
from storage.faults import reach

log = logging.getLogger(__name__)


class ClassImages:
    """The engine keeps class images in its cache folder under the same names that they have in the blob store."""

    def __init__(self, blobs: Blobs, engine: EngineProcess, cache: Path) -> None:
        self._blobs, self._engine, self._cache = blobs, engine, cache.absolute()

    async def fetch(self, request: TrainRequest) -> None:
        """Bring what the blob store has and the cache lacks."""
        prefix = self._prefix(request)
        if prefix is None:
            return
        for key in await self._blobs.list(prefix):
            path = self._cache / prefix / Path(key).name
            if path.is_file():
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            unfinished = path.with_name(f".{path.name}.{request.job}")
            try:
                await self._blobs.get_file(key, unfinished)
            except BlobMissing:
                continue
            unfinished.replace(path)

    async def store(self, request: TrainRequest) -> None:
        """Store what the engine has drawn and the blob store lacks."""
        prefix = self._prefix(request)
        if prefix is None:
            return
        known = set(await self._blobs.list(prefix))
        drawn = {f"{prefix}/{path.name}": path for path in sorted((self._cache / prefix).glob("[0-9]*.png"))}
        for key, path in drawn.items():
            if key not in known:
                await self._blobs.put_file(key, path)
                reach("class_image.stored")

    def _prefix(self, request: TrainRequest) -> str | None:
        """Name the request's class images; None before the engine has said which base it holds."""
        about = self._engine.about
        if about is None:
            return None
        prompts = class_prompts(request.class_noun, request.subject_kind, request.options.class_prompt)
        return class_image_prefix(about.base_digest, prompts, about.resolution)
