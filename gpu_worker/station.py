"""What every attempt on a worker works with."""

from dataclasses import dataclass

from redis.asyncio import Redis

from gpu_worker.class_images import ClassImages
from gpu_worker.engine_process import EngineProcess
from gpu_worker.settings import WorkerSettings
from gpu_worker.shelf import Shelf
from gpu_worker.workspace import Workspace
from storage.blobs import Blobs


@dataclass(frozen=True, kw_only=True)
class Station:
    name: str
    settings: WorkerSettings
    redis: Redis
    blobs: Blobs
    engine: EngineProcess
    workspace: Workspace
    class_images: ClassImages
    shelf: Shelf
