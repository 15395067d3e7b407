"""What would make a model better, from what is known of its photos and of the pictures that it draws."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from bot.photo_checks import Flaw
from storage.contract import Findings
from storage.schema import Model

GOOD_LIKENESS, FAIR_LIKENESS = 0.8, 0.6
FEW_PHOTOS = 5
"""With fewer, hardly any subject is seen from all sides."""
COPIES, REPEATS, RIGHT_PLACES = 0.15, 0.3, 0.6
"""Shares of the pictures: at least so many copies or repeats, at most so many right places, are a fault."""


class Remedy(StrEnum):
    """`bot/result_text.py` says each in words."""

    OTHER_SIDES = "other_sides"
    SHARPER = "sharper"
    BETTER_LIGHT = "better_light"
    LARGER = "larger"
    WHOLE = "whole"
    OTHER_PLACES = "other_places"
    MORE_PHOTOS = "more_photos"
    FROM_THE_SIDE = "from_the_side"


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known of a model."""

    score: float | None
    photos: int
    flaws: frozenset[str]
    """What was found wrong with the photos when they came in, as `Flaw`; a name of another version is nothing."""
    findings: Findings | None

    @classmethod
    def of(cls, model: Model) -> "Facts":
        return cls(
            score=model.subject_score,
            photos=model.photo_count,
            flaws=frozenset(model.photo_flaws or ()),
            findings=None if model.findings is None else Findings.model_validate(model.findings),
        )


def _has(*flaws: Flaw) -> Callable[[Facts], bool]:
    return lambda facts: not facts.flaws.isdisjoint(flaws)


def _clings_to_photos(facts: Facts) -> bool:
    """Its pictures show the photos' places, or the same thing again and again."""
    seen = facts.findings
    return seen is not None and (seen.copied >= COPIES or seen.repeated >= REPEATS or seen.adherence <= RIGHT_PLACES)


RULES: Sequence[tuple[Callable[[Facts], bool], Remedy]] = (
    (_has(Flaw.ALIKE, Flaw.NEARLY_SAME), Remedy.OTHER_SIDES),
    (_has(Flaw.BLURRED), Remedy.SHARPER),
    (_has(Flaw.DARK, Flaw.BLOWN_OUT), Remedy.BETTER_LIGHT),
    (_has(Flaw.HEADLESS, Flaw.CUT_OFF), Remedy.WHOLE),
    (_clings_to_photos, Remedy.OTHER_PLACES),
    (_has(Flaw.SMALL), Remedy.LARGER),
    (lambda facts: facts.photos < FEW_PHOTOS, Remedy.MORE_PHOTOS),
    (lambda facts: facts.score is not None and facts.score < GOOD_LIKENESS, Remedy.FROM_THE_SIDE),
)
"""The gravest first: the first that holds is what a person is told."""


def remedy(facts: Facts) -> Remedy | None:
    return next((each for holds, each in RULES if holds(facts)), None)
