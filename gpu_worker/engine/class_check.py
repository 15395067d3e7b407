"""Do the photos show what their owner says? The class noun decides more than any number what a model learns.

Embedders are often wrong about a single subject, and always sure of something in photos unlike any that they know, so
both have to see the same other class, in nearly every square of every photo. Where they do not know the class noun
they cannot tell.
"""

from collections.abc import Sequence

import torch
from PIL import Image
from torch import Tensor

from gpu_worker.engine.embedder import Embedder, Embedders
from storage.contract import Box, SubjectKind, TrainRequest
from storage.crops import windows

SURE = 0.8
"""How probable another class must be. Of photos that are what their owners say, those of benchmarks/subjects/sage come
nearest: an owl, a panda to both embedders, at 0.68; of real photos a dog that passes for an owl, at 0.69."""


def doubted(embedders: Embedders | None, request: TrainRequest, photos: Sequence[Image.Image]) -> str | None:
    """Return what the photos of a request show in place of its class noun, unless its owner was asked before."""
    if embedders is None or request.class_agreed or request.subject_kind is SubjectKind.STYLE:
        return None
    return seen_instead(embedders, request.class_noun, photos, request.crops or [None] * len(photos))


def seen_instead(
    embedders: Embedders, class_noun: str, photos: Sequence[Image.Image], crops: Sequence[Box | None]
) -> str | None:
    """Return the class that the photos show in place of `class_noun`; None where it fits or nobody can tell."""
    names = embedders.choosing.knows.classes
    if class_noun not in names or names != embedders.judging.knows.classes:
        return None
    side = max(embedders.choosing.side, embedders.judging.side)
    views = [
        [photo.resize((side, side), Image.Resampling.BOX, box=window.box) for window in windows(*photo.size, crop)]
        for photo, crop in zip(photos, crops, strict=True)
    ]
    opinions = torch.stack([_opinions(each, views) for each in (embedders.choosing, embedders.judging)])
    together = opinions.mean((0, 1)).softmax(0)  # the geometric mean: a single opinion against it weighs much
    likeliest = int(together.argmax())
    return names[likeliest] if names[likeliest] != class_noun and together[likeliest] >= SURE else None


def _opinions(embedder: Embedder, views: Sequence[Sequence[Image.Image]]) -> Tensor:
    """Return what the embedder makes of each photo, as log probabilities of the classes, [photos, classes]."""
    means = [embedder.look(of_one).class_logits.softmax(1).mean(0) for of_one in views]
    return torch.stack(means).clamp(min=1e-9).log()
