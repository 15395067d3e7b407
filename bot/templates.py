"""Prompt templates: `rex at the {beach|moon|forest}`, `{2-3$$a|b|c}`, weights (`{3::day|night}`), one in another.

The grammar is that of the `dynamicprompts` library. The library itself takes `#`, `$` and `${` for signs of its own, so
that ordinary prompts with them fail or lose words, and runs into Python's recursion limit on deep nesting.
"""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from storage.errors import UserError

MAX_TEMPLATE_CHARS = 2000
MAX_OPTIONS = 100
MAX_DEPTH = 4
TRIES = 40
"""How often another filling is looked for when one has come up already."""
BOUNDS = re.compile(
    r"\s*(?P<least>[0-9]{1,3})?\s*(?P<dash>-)?\s*(?P<most>[0-9]{1,3})?\s*\$\$(?:(?P<between>[^{}|$]*)\$\$)?"
)
WEIGHT = re.compile(r"\s*([0-9]{1,4}(?:\.[0-9]{1,4})?)\s*::")


class TemplateProblem(StrEnum):
    UNCLOSED = "unclosed"
    TOO_DEEP = "too_deep"
    TOO_MANY_OPTIONS = "too_many_options"
    TOO_LONG = "too_long"
    BOUNDS = "bounds"
    NO_WEIGHT = "no_weight"


class InvalidTemplate(UserError):
    def __init__(self, problem: TemplateProblem) -> None:
        super().__init__(problem.value)
        self.problem = problem


@dataclass(frozen=True)
class Option:
    parts: "tuple[str | Choice, ...]"
    weight: float = 1.0


@dataclass(frozen=True)
class Choice:
    """From `least` to `most` of the options, each at most once, with `between` between them."""

    options: tuple[Option, ...]
    least: int = 1
    most: int = 1
    between: str = ", "


@dataclass(frozen=True)
class Template:
    parts: tuple[str | Choice, ...]

    @property
    def varies(self) -> bool:
        return any(isinstance(part, Choice) for part in self.parts)


def read_template(prompt: str) -> Template:
    """Raises `InvalidTemplate`. A prompt without braces is a template that never varies."""
    if "{" not in prompt:
        return Template((prompt,))
    if len(prompt) > MAX_TEMPLATE_CHARS:
        raise InvalidTemplate(TemplateProblem.TOO_LONG)
    return Template(_Reader(prompt).read())


def fill(template: Template, seed: int, count: int) -> list[str]:
    """Return `count` fillings, different ones as far as there are; the same seed gives the same."""
    chance = random.Random(seed)
    if not template.varies:
        return [_fill(template.parts, chance)] * count
    fillings: list[str] = []
    for _ in range(count):
        tries = (_fill(template.parts, chance) for _ in range(TRIES))
        filling = next((each for each in tries if each not in fillings), None)
        fillings.append(_fill(template.parts, chance) if filling is None else filling)
    return fillings


class _Reader:
    """Reads a template from left to right; a closing brace that nothing opened is a word like any other."""

    def __init__(self, words: str) -> None:
        self.words, self.at, self.options = words, 0, 0

    def read(self) -> tuple[str | Choice, ...]:
        return self._parts(depth=0)

    def _parts(self, depth: int) -> tuple[str | Choice, ...]:
        parts: list[str | Choice] = []
        ends = "{|}" if depth else "{"
        while self.at < len(self.words):
            start = self.at
            while self.at < len(self.words) and self.words[self.at] not in ends:
                self.at += 1
            if self.at > start:
                parts.append(self.words[start : self.at])
            if self.at == len(self.words) or self.words[self.at] != "{":
                break
            parts.append(self._choice(depth + 1))
        return tuple(parts)

    def _choice(self, depth: int) -> Choice:
        if depth > MAX_DEPTH:
            raise InvalidTemplate(TemplateProblem.TOO_DEEP)
        self.at += 1
        bounds = BOUNDS.match(self.words, self.at)
        if bounds is not None:
            self.at = bounds.end()
        options = [self._option(depth)]
        while self._take("|"):
            options.append(self._option(depth))
        if not self._take("}"):
            raise InvalidTemplate(TemplateProblem.UNCLOSED)
        if not any(option.weight for option in options):
            raise InvalidTemplate(TemplateProblem.NO_WEIGHT)
        return Choice(tuple(options)) if bounds is None else _bounded(tuple(options), bounds)

    def _option(self, depth: int) -> Option:
        self.options += 1
        if self.options > MAX_OPTIONS:
            raise InvalidTemplate(TemplateProblem.TOO_MANY_OPTIONS)
        weight = WEIGHT.match(self.words, self.at)
        if weight is not None:
            self.at = weight.end()
        return Option(self._parts(depth), 1.0 if weight is None else float(weight[1]))

    def _take(self, character: str) -> bool:
        if self.words[self.at : self.at + 1] != character:
            return False
        self.at += 1
        return True


def _bounded(options: tuple[Option, ...], bounds: re.Match[str]) -> Choice:
    """`2$$` is exactly two, `1-3$$` from one to three, `-2$$` up to two, `2-$$` two or more."""
    eligible = sum(option.weight > 0 for option in options)
    least = int(bounds["least"]) if bounds["least"] else 0 if bounds["dash"] else 1
    most = int(bounds["most"]) if bounds["most"] else eligible if bounds["dash"] else least
    if not 0 <= least <= most <= eligible or most == 0:
        raise InvalidTemplate(TemplateProblem.BOUNDS)
    return Choice(options, least, most, ", " if bounds["between"] is None else bounds["between"])


def _fill(parts: Sequence[str | Choice], chance: random.Random) -> str:
    return "".join(part if isinstance(part, str) else _choose(part, chance) for part in parts)


def _choose(choice: Choice, chance: random.Random) -> str:
    left = [option for option in choice.options if option.weight > 0]
    chosen: list[str] = []
    for _ in range(chance.randint(choice.least, choice.most)):
        (option,) = chance.choices(left, [each.weight for each in left])
        left.remove(option)
        chosen.append(_fill(option.parts, chance))
    return chosen[0] if len(chosen) == 1 else choice.between.join(each.strip() for each in chosen)
