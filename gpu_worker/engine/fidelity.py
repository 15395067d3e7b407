"""How well pictures keep a subject: scores from an embedder, calibrated on real pictures.

The subject score is 0 where the pictures are as alike to the photos as other real individuals of the class are, and 1
where they are as alike to them as the photos are to each other (leave-one-out, as in DreamBooth's evaluation, Ruiz et
al. 2022, section 4.1). Likeness is the mean cosine between identity embeddings.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor

from gpu_worker.engine.embedder import Embedder, pixels_of

COPY_SIZE = 32  # pixels a side at which pictures are compared for copies
COPY_CROPS = (1.0, 0.9, 0.8)  # a copy of a photo's middle is a copy too


@dataclass(frozen=True)
class SubjectScore:
    """How alike pictures are to photos of a subject.

    `cosines` holds each picture's mean cosine to the photos; `floor` and `ceiling` are the cosines that score 0 and 1.
    """

    score: float
    floor: float
    ceiling: float
    cosines: tuple[float, ...]

    @property
    def cosine(self) -> float:
        """The mean cosine between pictures and photos."""
        return sum(self.cosines) / len(self.cosines)


@dataclass(frozen=True)
class Reference:
    """What an embedder makes of photos of a subject: enough to score pictures when the photos are gone."""

    embedder: str
    """Its digest: to any other embedder the numbers mean nothing."""
    mean: tuple[float, ...]
    """[dimensions]: its product with a picture's embedding is the picture's mean cosine to the photos."""
    floor: float
    ceiling: float

    def score(self, cosine: float) -> float:
        return (cosine - self.floor) / (self.ceiling - self.floor)

    def cosines(self, embedder: Embedder, pictures: Sequence[Image.Image]) -> list[float]:
        """Return each picture's mean cosine to the photos."""
        cosines: list[float] = (embedder.look(pictures).identity @ torch.tensor(self.mean)).tolist()
        return cosines


def score_subject(
    embedder: Embedder,
    pictures: Sequence[Image.Image],
    photos: Sequence[Image.Image],
    class_name: str,
    plain: Sequence[Image.Image] = (),
) -> SubjectScore:
    """Score pictures against photos of the subject; a class the embedder does not know is held against all others.

    For embedders that come without others, `plain` pictures of the class are what the subject is held against.

    Raises:
        ValueError: there is no picture, or fewer than two photos, or nothing to hold them against, or the photos are no
            more alike to each other than to other individuals, so that the embedder cannot tell the subject.
    """
    reference = refer(embedder, photos, class_name, plain)
    cosines = reference.cosines(embedder, pictures)
    score = reference.score(sum(cosines) / len(cosines))
    return SubjectScore(score, reference.floor, reference.ceiling, tuple(cosines))


def refer(
    embedder: Embedder, photos: Sequence[Image.Image], class_name: str, plain: Sequence[Image.Image] = ()
) -> Reference:
    """Return what pictures of the subject are scored by. Raises ValueError as `score_subject` does."""
    if len(photos) < 2:
        msg = "a subject score needs at least two photos"
        raise ValueError(msg)
    known = embedder.look(photos).identity
    floor = float((known @ _others(embedder, class_name, plain).T).mean())
    ceiling = _leave_one_out(known)
    if ceiling <= floor:
        msg = f"the photos are as alike to other individuals ({floor:.2f}) as to each other ({ceiling:.2f})"
        raise ValueError(msg)
    return Reference(embedder.digest, tuple(known.mean(0).tolist()), floor, ceiling)


def score_style(
    embedder: Embedder, pictures: Sequence[Image.Image], examples: Sequence[Image.Image], plain: Sequence[Image.Image]
) -> float:
    """Score how alike pictures are in style to examples: 0 as `plain` pictures of the same things are, 1 as the
    examples are to each other.

    Raises:
        ValueError: there are fewer than two examples, or they are no more alike to each other than to plain pictures.
    """
    if len(examples) < 2:
        msg = "a style score needs at least two examples"
        raise ValueError(msg)
    shown, known, base = (embedder.style(group) for group in (pictures, examples, plain))
    scale = torch.cat([known, base]).std(0).clamp(min=1e-6)
    shown, known, base = shown / scale, known / scale, base / scale
    between = torch.cdist(known, known)
    ceiling = float(between.sum() / (len(known) * (len(known) - 1)))
    floor = float(torch.cdist(base, known).mean())
    if floor <= ceiling:
        msg = f"the examples are as far from each other in style ({ceiling:.2f}) as plain pictures are ({floor:.2f})"
        raise ValueError(msg)
    return (floor - float(torch.cdist(shown, known).mean())) / (floor - ceiling)


def _others(embedder: Embedder, class_name: str, plain: Sequence[Image.Image]) -> Tensor:
    """Return embeddings [n, d] of other individuals of the class."""
    if not embedder.others:
        return embedder.look(plain).identity
    known = embedder.others.get(class_name.strip().lower())
    return known if known is not None else torch.cat(list(embedder.others.values()))


def _leave_one_out(embeddings: Tensor) -> float:
    """Return the mean cosine between each embedding and the others, [n, d] -> scalar."""
    count = len(embeddings)
    similar = embeddings @ embeddings.T
    return float((similar.sum() - similar.diagonal().sum()) / (count * (count - 1)))


def score_places(embedder: Embedder, pictures: Sequence[Image.Image], places: Sequence[str]) -> float:
    """Return the share of pictures in the right place; `places[i]` is where picture i should be.

    Raises:
        ValueError: a place is unknown to the embedder, or there are not as many places as pictures.
    """
    unknown = set(places) - set(embedder.knows.places)
    if unknown:
        known = ", ".join(embedder.knows.places)
        msg = f"the embedder knows no place called {', '.join(sorted(unknown))}; it knows {known}"
        raise ValueError(msg)
    found = embedder.look(pictures).place_logits.argmax(1).tolist()
    return sum(embedder.knows.places[index] == place for index, place in zip(found, places, strict=True)) / len(places)


def score_class(embedder: Embedder, pictures: Sequence[Image.Image], class_name: str) -> float:
    """Return the share of pictures that the embedder takes for this class.

    Raises:
        ValueError: the embedder does not know the class.
    """
    if class_name not in embedder.knows.classes:
        msg = f"the embedder knows no class called {class_name}; it knows {', '.join(embedder.knows.classes)}"
        raise ValueError(msg)
    found = embedder.look(pictures).class_logits.argmax(1)
    return float((found == embedder.knows.classes.index(class_name)).float().mean())


def find_copies(embedder: Embedder, pictures: Sequence[Image.Image], photos: Sequence[Image.Image]) -> list[int]:
    """Return the indices of the pictures that copy one of the photos nearly pixel for pixel, mirrored or not.

    Both the embedding and the pixels must agree: the subject itself in a new scene is alike in embedding only.
    """
    variants = [variant for photo in photos for variant in _variants(photo)]
    alike = embedder.look(pictures).identity @ embedder.look(variants).identity.T >= embedder.knows.copy_cosine
    same = pixel_difference(pictures, variants) <= embedder.knows.copy_difference
    return (alike & same).any(1).nonzero().flatten().tolist()


def _variants(photo: Image.Image) -> list[Image.Image]:
    """Return the photo and its middle parts, each with its mirror image."""
    shown = []
    for share in COPY_CROPS:
        x, y = photo.width * (1 - share) / 2, photo.height * (1 - share) / 2
        part = photo.crop((round(x), round(y), round(photo.width - x), round(photo.height - y)))
        shown += [part, part.transpose(Image.Transpose.FLIP_LEFT_RIGHT)]
    return shown


def pixel_difference(pictures: Sequence[Image.Image], photos: Sequence[Image.Image]) -> Tensor:
    """Return the root mean square difference, in 0..1, of every picture to every photo: [pictures, photos]."""
    first, second = (pixels_of(p, COPY_SIZE, Image.Resampling.BOX).flatten(1) for p in (pictures, photos))
    return torch.cdist(first, second) / first.shape[1] ** 0.5
