"""What each picture of a wish is drawn from: its prompt in a look, a template's fillings, or a story's scenes."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from bot.looks import Look
from bot.prompts import EmptyPrompt, tidy
from bot.templates import fill, read_template
from storage.contract import MAX_COUNT, MAX_SEED
from storage.schema import SetKind

TAKES = 3
"""Pictures of each scene of a story, of which the most alike becomes the page (`python -m benchmarks.dataset`)."""


@dataclass(frozen=True)
class Run:
    """Pictures that are drawn from the same words."""

    words: str
    shown: str
    """As the person is told."""
    first: int
    """How many pictures come before."""
    number: int


@dataclass(frozen=True)
class Pictures:
    """What each picture is drawn from, and what makes them a set, if they are one."""

    runs: Sequence[Run]
    kind: SetKind | None


def drawn_words(prompt: str, look: Look | None, seed: int, count: int) -> Pictures:
    """Put the prompt into the look and choose each picture's words. Raises `EmptyPrompt`, `InvalidTemplate`."""
    prompt = tidy(prompt)
    if not prompt:
        raise EmptyPrompt
    template = read_template(prompt if look is None else look.around(prompt))
    fillings = [tidy(filling) for filling in fill(template, seed, count)]
    runs: list[Run] = []
    first = 0
    for words, same in groupby(fillings):
        number, shown = len(list(same)), words if template.varies else prompt
        parts = range(0, number, MAX_COUNT)
        runs += [Run(words, shown, first + part, min(MAX_COUNT, number - part)) for part in parts]
        first += number
    return Pictures(runs, SetKind.TEMPLATE if template.varies else None)


def story_words(scenes: Sequence[str], look: Look | None, kind: SetKind) -> Pictures:
    """Put each scene into the look, for pictures of its own; braces are words here."""
    around = [(scene if look is None else look.around(scene), scene) for scene in scenes]
    takes = TAKES if kind is SetKind.STORYBOOK else 1
    return Pictures([Run(words, scene, place * takes, takes) for place, (words, scene) in enumerate(around)], kind)


def any_seed() -> int:
    return random.randint(0, MAX_SEED)
