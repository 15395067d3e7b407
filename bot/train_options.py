"""What an expert may set by hand, checked for sense before anything is taken in."""

from collections.abc import Callable, Sequence
from enum import StrEnum

from bot.subject_kinds import CHILDREN
from storage.bases import training_sides, usual_rates
from storage.contract import TrainingOptions
from storage.errors import UserError

MOST_VIEWS = 100_000
"""Steps times batch size; more would take days anywhere."""


class OptionProblem(StrEnum):
    """`bot/problem_text.py` says what to do about each."""

    RATE_TOO_HIGH = "rate_too_high"
    RATE_TOO_LOW = "rate_too_low"
    RESOLUTION = "resolution"
    TOO_LONG = "too_long"
    NO_WEIGHT = "no_weight"
    NO_IMAGES = "no_images"
    CLASS_PROMPT = "class_prompt"
    CHILD = "child"


class InvalidOption(UserError):
    def __init__(self, problem: OptionProblem, base: str) -> None:
        super().__init__(problem.value)
        self.problem, self.base = problem, base


Rule = Callable[[TrainingOptions, str], bool]


def _rate_too_high(options: TrainingOptions, base: str) -> bool:
    return options.learning_rate is not None and options.learning_rate > usual_rates(base)[1]


def _rate_too_low(options: TrainingOptions, base: str) -> bool:
    return options.learning_rate is not None and options.learning_rate < usual_rates(base)[0]


def _not_a_side(options: TrainingOptions, base: str) -> bool:
    return options.resolution is not None and options.resolution not in training_sides(base)


def _too_long(options: TrainingOptions, _base: str) -> bool:
    return (options.steps or 0) * (options.batch_size or 1) > MOST_VIEWS


def _no_weight(options: TrainingOptions, _base: str) -> bool:
    return options.prior_weight == 0 and bool(options.class_images or options.class_prompt)


def _no_images(options: TrainingOptions, _base: str) -> bool:
    return options.class_images == 0 and bool(options.prior_weight or options.class_prompt)


def _no_words(options: TrainingOptions, _base: str) -> bool:
    return options.class_prompt is not None and not any(map(str.isalpha, options.class_prompt))


def _child(options: TrainingOptions, _base: str) -> bool:
    words = "".join(letter if letter.isalpha() else " " for letter in (options.class_prompt or "").lower())
    return not CHILDREN.isdisjoint(words.split())


RULES: Sequence[tuple[Rule, OptionProblem]] = (
    (_rate_too_high, OptionProblem.RATE_TOO_HIGH),
    (_rate_too_low, OptionProblem.RATE_TOO_LOW),
    (_not_a_side, OptionProblem.RESOLUTION),
    (_too_long, OptionProblem.TOO_LONG),
    (_no_weight, OptionProblem.NO_WEIGHT),
    (_no_images, OptionProblem.NO_IMAGES),
    (_no_words, OptionProblem.CLASS_PROMPT),
    (_child, OptionProblem.CHILD),
)


def check_options(options: TrainingOptions, base: str) -> TrainingOptions:
    """Return the options as they are trained with, of what was typed and need not be valid. Raises InvalidOption."""
    for breaks, problem in RULES:
        if breaks(options, base):
            raise InvalidOption(problem, base)
    words = None if options.class_prompt is None else " ".join(options.class_prompt.split())
    return TrainingOptions.model_validate(options.model_dump() | {"class_prompt": words})
