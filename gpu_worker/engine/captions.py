"""What the photos are called in training: by the subject's own words and, where it is plain to see, by the setting too.

What a prompt says of a photo beside the subject, the subject's words need not stand for: backgrounds that are named are
left out of what is learned (Kim et al. 2024, arXiv 2403.15330), and can be had, or not, when pictures are asked for.
"""

from collections.abc import Sequence

from PIL import Image

from gpu_worker.engine.embedder import Embedders
from gpu_worker.prompts import captioned, instance_prompts
from storage.contract import SubjectKind, TrainRequest

SURE = 0.8
"""How probable a setting must be; a photo with a wrong name for its background is worse than one without. Set by hand:
of the demo embedder's answers for photos in benchmarks/subjects, all above it are right."""


def photo_prompts(
    embedders: Embedders | None, request: TrainRequest, photos: Sequence[Image.Image], share: float
) -> list[tuple[str, ...]]:
    """Return the instance prompts of each photo; about `share` of them, if one is drawn at random, names the setting.

    None does for a style, which is all of a picture, or where no embedder is at hand.
    """
    words = instance_prompts(request.identifier, request.class_noun, request.subject_kind)
    if embedders is None or not share or request.subject_kind is SubjectKind.STYLE:
        return [words] * len(photos)
    settings, probable = embedders.choosing.settings, embedders.choosing.where(photos)
    sure, likeliest = probable.max(1)
    named = [
        settings[at] if chance >= SURE else "" for chance, at in zip(sure.tolist(), likeliest.tolist(), strict=True)
    ]
    return [captioned(words, setting, share) for setting in named]
