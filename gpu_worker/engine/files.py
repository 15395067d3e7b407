"""Writing tensors so that a reader, or a crash, never sees half a file."""

import os
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from storage.faults import reach


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write a safetensors file beside its place, flush it to the disk, then move it there in one step.

    Raises `OSError` or `SafetensorError` when the disk is full, and leaves nothing there.
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        save_file(dict(tensors), unfinished, dict(metadata))
        reach("tensors.written")
        _flush(unfinished)
        unfinished.replace(path)
    except (OSError, SafetensorError):
        unfinished.unlink(missing_ok=True)
        raise
    reach("tensors.placed")
    _flush(path.parent)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
