"""The prompts of DreamBooth training: instance, class and scene prompts, in plain English."""

import re
from collections.abc import Sequence

from storage.contract import SubjectKind

_VOWEL_SOUND = re.compile(
    r"(?!uni|use|usu|eur|ewe|one\b|once\b|u[bfkst][aeiou])([aeiou]|hour|heir|honest)", re.IGNORECASE
)

SCENES = (
    "on the moon",
    "at the beach",
    "in a forest",
    "in the snow",
    "in a city",
    "in the desert",
    "in space",
    "in a room",
)
"""Places for sample pictures and scene prompts; any base of the family knows them."""

SETTINGS = (
    *(scene for scene in SCENES if scene not in {"on the moon", "in space"}),
    "in a meadow",
    "in the sea",
    "in a garden",
    "in a park",
    "by a lake",
    "on a mountain",
    "on a street",
    "on a wall",
    "on a sofa",
    "on a bed",
    "on a chair",
    "on a table",
    "on a carpet",
    "on a wooden floor",
    "on a tiled floor",
    "in a kitchen",
    "in a bathroom",
    "in an office",
    "in a shop",
    "in a car",
    "in a cage",
    "in front of a white background",
    "in front of a black background",
)
"""Where photos of pets, persons and things are taken."""

THINGS = ("dog", "cat", "car", "house", "tree", "bird", "person", "boat")
"""What a style should leave as it is where it is not asked for."""


def with_article(noun: str) -> str:
    """Put the right indefinite article before a noun: a dog, an elephant, a unicorn, an hourglass."""
    return f"an {noun}" if _VOWEL_SOUND.match(noun) else f"a {noun}"


def subject_words(identifier: str, class_noun: str) -> str:
    """Return what stands for the subject in any prompt, such as "sks dog": also the trigger phrase of downloads."""
    return f"{identifier} {class_noun}"


def instance_prompts(identifier: str, class_noun: str, kind: SubjectKind) -> tuple[str, ...]:
    """Return what the photos are called in training: as in the paper and, for that is how people ask, without frame."""
    words = subject_words(identifier, class_noun)
    return (f"a picture in {words} style",) if kind is SubjectKind.STYLE else (f"a photo of {words}", words)


def captioned(words: Sequence[str], setting: str, share: float) -> tuple[str, ...]:
    """Return instance prompts of which about this share, if one is drawn at random, says where the photo was taken."""
    if not setting or not share:
        return tuple(words)
    return tuple(words) * round((1 - share) / share) + tuple(f"{wording} {setting}" for wording in words)


def class_prompt(class_noun: str, kind: SubjectKind) -> str:
    return f"a picture in {class_noun} style" if kind is SubjectKind.STYLE else f"a photo of {with_article(class_noun)}"


def class_prompts(class_noun: str, kind: SubjectKind, own: str | None = None) -> tuple[str, ...]:
    """Return the prompts that class images are drawn for: the plain one, then members of the class in many places.

    For a style these are things in no particular style. `own` is a person's wording in place of the plain one.
    """
    plain = own or class_prompt(class_noun, kind)
    if kind is SubjectKind.STYLE:
        return (plain, *(f"a picture of {with_article(thing)}" for thing in THINGS))
    return (plain, *(f"{own or with_article(class_noun)} {scene}" for scene in SCENES))


def mixed(class_prompts: Sequence[str], scene_share: float) -> tuple[str, ...]:
    """Return class prompts of which about this share, if one is drawn at random, names a scene."""
    plain, *scenes = class_prompts
    if not scenes or not scene_share:
        return (plain,)
    return (plain,) * round(len(scenes) * (1 - scene_share) / scene_share) + tuple(scenes)


def style_prompts(identifier: str, class_noun: str, things: Sequence[str]) -> list[str]:
    """Return fixed prompts for sample pictures of a style: things that it was not taught with."""
    return [f"{with_article(thing)} in {subject_words(identifier, class_noun)} style" for thing in things]


def sample_prompts(
    identifier: str, class_noun: str, kind: SubjectKind, scenes: Sequence[str] = SCENES[:3]
) -> list[str]:
    """Return fixed prompts for sample pictures: the plain one first, then the subject in new places."""
    words = subject_words(identifier, class_noun)
    return [instance_prompts(identifier, class_noun, kind)[0]] + [f"{words} {scene}" for scene in scenes]
