"""Hand a person all that is kept of them, or forget it."""

import asyncio
import json
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from uuid import uuid4

from bot.erasure import erase_model
from bot.services import Services
from bot.views.download import file_name
from storage.errors import ModelNotFound
from storage.personal import forget_person, kept_models, kept_pictures, records
from storage.schema import Image, Model

FILE_NAME = "dreambot-data.zip"
MOST_LINKED_BYTES = 500 * 2**20
ENTRY_BYTES = 256
"""What a file takes in the archive beside its own bytes: its header, and its line in the list at the end."""


@dataclass(frozen=True)
class Packed:
    """Either the archive itself, or the key of the blob that holds it."""

    archive: bytes | None
    key: str | None
    left_out: int
    """Files that were too large to come along."""


async def pack(services: Services, person_id: int, attachable: int) -> Packed:
    """Pack what is kept of the person: `data.json`, their pictures, and their models' files.

    An archive of more than `attachable` bytes is stored for a link, where the bot serves files; elsewhere pictures come
    first and what does not fit is left out.
    """
    async with services.database.survey() as session:
        known = await records(session, person_id)
        wanted = [*_pictures(await kept_pictures(session, person_id)), *_models(await kept_models(session, person_id))]
    room = attachable if services.settings.public_url is None else MOST_LINKED_BYTES
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / FILE_NAME
        left_out = await _write(services, path, json.dumps(known, indent=2, ensure_ascii=False), wanted, room)
        if path.stat().st_size <= attachable:
            return Packed(await asyncio.to_thread(path.read_bytes), None, left_out)
        key = f"exports/{uuid4().hex}.zip"
        await services.blobs.put_file(key, path)
    return Packed(None, key, left_out)


async def _write(services: Services, path: Path, known: str, wanted: Sequence[tuple[str, str]], room: int) -> int:
    """Write the archive, packing the words alone, for pictures and weights are dense; returns how many are left out."""
    left_out = 0
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data.json", known, zipfile.ZIP_DEFLATED)
        for name, key in wanted:
            blob = await services.blobs.open_stream(key)
            if archive.start_dir + blob.size + len(wanted) * ENTRY_BYTES > room:
                left_out += 1
                continue
            with archive.open(name, "w") as file:
                async for chunk in blob.chunks:
                    file.write(chunk)
    return left_out


def _pictures(images: Sequence[Image]) -> list[tuple[str, str]]:
    return [
        (f"pictures/{image.job_id}-{image.position + 1}{PurePosixPath(image.key).suffix}", image.key)
        for image in images
    ]


def _models(models: Sequence[Model]) -> list[tuple[str, str]]:
    return [
        (f"models/{model.id[:8]}-{file_name(model)}", model.download_key)
        for model in models
        if model.download_key is not None
    ]


async def forget(services: Services, person_id: int) -> None:
    """Erase the person's models, pictures, photos, prompts, settings and consents; what is under way stops."""
    async with services.database.read() as session:
        models = await kept_models(session, person_id)
    for model in models:
        try:
            await erase_model(services, model.id, person_id)
        except ModelNotFound:  # erased or given away meanwhile
            continue
    async with services.database.write() as session:
        keys = await forget_person(session, person_id, services.clock())
    services.queue.wake()
    services.wake_delivery()
    for key in keys:
        await services.blobs.delete(key)
