"""Data sets: which of the drawn pictures are good to learn from, and a zip of them as Hugging Face's `imagefolder`."""

import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from bot.display import FORMATS
from bot.photo_checks import Look, look_at, nearly_same
from bot.uploads import as_file
from storage.contract import Box, SubjectKind
from storage.errors import UserError

MIN_PICTURES, MAX_PICTURES = 4, 100
LEAST_SCORE = 0.4
"""A picture below it is more like others of its class than like its subject: it would teach something wrong."""
ZIP_OVERHEAD = 1 << 16
"""Bytes of a zip beside its pictures: the captions of a hundred, twice their names, and a word on top."""
FIRST_DAY = (1980, 1, 1, 0, 0, 0)
"""Of zip's calendar: the same pictures make the same file."""
ABOUT = """# {name}

{count} pictures of one {noun}, drawn by a model that was trained on photos of it. All of them are AI-made, and each
file says so (IPTC digital source type). `metadata.jsonl` has a line for each:

- `text`: what it shows, in the words that it was asked for with
- `seed`, `model`, `class`: what it was drawn from
- `score`: how alike it is to the photos; 0 is another individual of the class, 1 as alike as the photos are to each
  other; null where nothing could tell
{boxes}
    from datasets import load_dataset
    load_dataset("imagefolder", data_dir="{folder}")
"""
BOXES = "- `objects`: where the subject stands, found by what stands out, as `[left, top, width, height]` in pixels\n"


class NoSubject(UserError):
    """The model knows a style, which is no subject to tell from others."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class NothingToKeep(UserError):
    """No picture of the set is good enough to learn from."""


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A picture of the set, and what it was drawn from."""

    caption: str
    seed: int
    score: float | None
    data: bytes


@dataclass(frozen=True)
class Kept:
    drawn: Drawn
    width: int
    height: int
    box: Box | None


@dataclass(frozen=True)
class Choice:
    kept: Sequence[Kept]
    """In the order in which they were drawn."""
    weak: int
    """Left out, for they look too little like the subject."""
    same: int
    """Left out, for a better picture is nearly the same."""


def is_weak(score: float | None) -> bool:
    """Tell whether a picture is known to be too little like its subject."""
    return score is not None and score < LEAST_SCORE


def choose(pictures: Sequence[Drawn], kind: SubjectKind) -> Choice:
    """Leave out what is weak, and of those that are nearly the same all but the best. Raises `NothingToKeep`."""
    good = [picture for picture in pictures if not is_weak(picture.score)]
    looks: dict[int, Look] = {}
    for place in sorted(range(len(good)), key=lambda place: good[place].score or 0.0, reverse=True):
        look = _look(good[place].data, kind)
        if not any(nearly_same(look, other) for other in looks.values()):
            looks[place] = look
    if not looks:
        raise NothingToKeep
    kept = [Kept(good[place], look.width, look.height, look.subject) for place, look in sorted(looks.items())]
    return Choice(kept, weak=len(pictures) - len(good), same=len(good) - len(kept))


def as_zip(name: str, noun: str, kept: Sequence[Kept], limit: int, *, folder: str, boxes: bool) -> bytes:
    """Return the zip, in at most `limit` bytes: where they do not fit, pictures are encoded anew, and smaller."""
    files = _fitting(kept, limit - ZIP_OVERHEAD - 512 * len(kept))
    lines = [
        json.dumps(_line(name, noun, each, *file, boxes=boxes), ensure_ascii=False)
        for each, file in zip(kept, files, strict=True)
    ]
    about = ABOUT.format(name=name, noun=noun, count=len(kept), folder=folder, boxes=BOXES if boxes else "")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path, data in [*files, ("metadata.jsonl", _text(lines)), ("README.md", about.encode())]:
            archive.writestr(zipfile.ZipInfo(f"{folder}/{path}", FIRST_DAY), data)
    return packed.getvalue()


def _text(lines: Sequence[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def _fitting(kept: Sequence[Kept], limit: int) -> list[tuple[str, bytes]]:
    """Return each picture's file name and bytes, all together at most `limit`."""
    pictures = [each.drawn.data for each in kept]
    if sum(map(len, pictures)) <= limit:
        endings = ["webp" if data[8:12] == b"WEBP" else "png" for data in pictures]
        return [(f"{n:04d}.{ending}", data) for n, (ending, data) in enumerate(zip(endings, pictures, strict=True), 1)]
    files = [as_file(f"{number:04d}", data, limit // len(kept)) for number, data in enumerate(pictures, start=1)]
    return [(file.filename, file.fp.read()) for file in files]


def _line(name: str, noun: str, kept: Kept, file_name: str, data: bytes, *, boxes: bool) -> dict[str, Any]:
    drawn = kept.drawn
    line: dict[str, Any] = {
        "file_name": file_name,
        "text": drawn.caption,
        "seed": drawn.seed,
        "model": name,
        "class": noun,
        "score": None if drawn.score is None else round(drawn.score, 3),
    }
    if boxes:
        found = [] if kept.box is None else [_box(kept.box, _width(data) / kept.width)]
        line["objects"] = {"bbox": found, "categories": [0] * len(found)}
    return line


def _box(box: Box, scale: float) -> list[float]:
    """Return a box as COCO has it: left, top, width, height."""
    edges = box.left, box.top, box.right - box.left, box.bottom - box.top
    return [round(edge * scale, 1) for edge in edges]


def _look(data: bytes, kind: SubjectKind) -> Look:
    with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
        return look_at(np.asarray(picture.convert("RGB")), kind)


def _width(data: bytes) -> int:
    with Image.open(io.BytesIO(data)) as picture:
        return picture.width
