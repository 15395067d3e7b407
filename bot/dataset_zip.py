"""Pack a finished data set, from its rows and blobs."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from bot.access import NotYourDataset
from bot.datasets import Choice, Drawn, as_zip, choose
from bot.language import _, listed, ngettext
from bot.markup import bold, plain
from bot.services import Services
from bot.views.download import slug
from storage.errors import BlobMissing, PicturesGone
from storage.jobs import find_job
from storage.models import model_of
from storage.schema import Image, Job, Model, SetKind
from storage.sets import members, pictures_of_set, set_of

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Zipped:
    file_name: str
    data: bytes
    about: str
    """What is said with it: how much it holds, and what was left out and why."""


async def pack(services: Services, job_id: str, asker_id: int, *, limit: int, boxes: bool) -> Zipped:
    """Return the set as a file of at most `limit` bytes.

    Raises `PicturesGone`, `NotYourDataset`, `NothingToKeep`.
    """
    async with services.database.read() as session:
        lead, together = await find_job(session, job_id), await set_of(session, job_id)
        if lead is None or together is None or together.kind is not SetKind.DATASET:
            raise PicturesGone
        if lead.owner_id != asker_id:
            raise NotYourDataset(lead.owner_id)
        jobs, model = await members(session, job_id), await model_of(session, lead)
        images = await pictures_of_set(session, jobs)
    if model is None or not images:
        raise PicturesGone
    pictures = await _fetch(services, jobs, images)
    async with services.decoders:
        choice, data = await asyncio.to_thread(_pack, model, pictures, limit, boxes=boxes)
    about = _told(model.name, len(choice.kept), choice.weak, choice.same)
    return Zipped(file_name=f"{slug(model)}-dataset.zip", data=data, about=about)


def _pack(model: Model, pictures: Sequence[Drawn], limit: int, *, boxes: bool) -> tuple[Choice, bytes]:
    choice = choose(pictures, model.subject_kind)
    return choice, as_zip(model.name, model.class_noun, choice.kept, limit, folder=slug(model), boxes=boxes)


async def _fetch(services: Services, jobs: Sequence[Job], images: Sequence[Image]) -> list[Drawn]:
    """Return the pictures with their captions; one that is deleted meanwhile is left out."""
    captions = {job.id: job.prompt_shown or "" for job in jobs}
    pictures = []
    for image in images:
        try:
            data = await services.blobs.get(image.key)
        except BlobMissing:
            log.warning("picture %s left out of a data set: it is missing", image.key)
            continue
        pictures.append(Drawn(caption=captions[image.job_id], seed=image.seed, score=image.score, data=data))
    return pictures


def _told(name: str, kept: int, weak: int, same: int) -> str:
    """Say what a data set's zip holds, and what was left out."""
    said = [
        ngettext(
            "{count} picture of {name}, with captions, seeds and scores in `metadata.jsonl`: Hugging Face's "
            "`imagefolder`.",
            "{count} pictures of {name}, with captions, seeds and scores in `metadata.jsonl`: Hugging Face's "
            "`imagefolder`.",
            kept,
        ).format(name=bold(name))
    ]
    looks = ngettext(
        "{count} that looks too little like {name}", "{count} that look too little like {name}", weak
    ).format(name=plain(name))
    alike = ngettext("{count} nearly the same as another", "{count} nearly the same as others", same)
    out = [*([looks] if weak else []), *([alike] if same else [])]
    if out:
        said.append(_("Left out: {pictures}.").format(pictures=listed(out)))
    return " ".join(said)
