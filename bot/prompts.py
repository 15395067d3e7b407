"""Read a prompt: which model it means, and the words that the engine draws from."""

import unicodedata
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import regex

from storage.contract import MAX_PROMPT_CHARS
from storage.errors import UserError
from storage.names import name_key
from storage.schema import Model, ModelStatus

LONGEST_NAME = 64
"""Characters that a name may fill in a prompt; case folding can double what was typed."""
EDGES = (regex.compile(r"\b"), regex.compile(r"(?w)\b"))
"""Word boundaries: between letters and anything else, and as UAX #29 has them, for scripts without spaces."""
UNSEEN = regex.compile(r"[\p{Cc}\p{Cs}\p{Bidi_Control}\u200b\u2060\ufeff]+")
"""Control characters and marks that turn the reading order; the joiners of emoji and of Indic scripts stay."""
GOES_ON = regex.compile(
    r"(?:about|above|among|around|as|at|behind|beside|by|dressed|during|for|from|in|inside|into|like|made|near|next|on|"
    r"over|painted|riding|seen|through|under|underwater|with|without|\p{L}+ing)\b",
    regex.IGNORECASE,
)
"""Words that carry a sentence on, so that the subject goes before them without a comma."""


class EmptyPrompt(UserError):
    """There is nothing to draw."""


class PromptTooLong(UserError):
    """The prompt, with names replaced, does not fit."""

    def __init__(self, length: int, limit: int = MAX_PROMPT_CHARS) -> None:
        super().__init__(length, limit)
        self.length, self.limit = length, limit


class InvalidSeed(UserError):
    """What was typed is no number that a seed can be."""


class SeveralSubjects(UserError):
    """The prompt names more than one model."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(*names)
        self.names = tuple(names)


class AmbiguousName(UserError):
    """Several people share a model of this name, and none of them is the asker."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


@dataclass(frozen=True)
class Reading:
    """A prompt as the engine reads it, and the one model that it needs; `None` means the plain base."""

    words: str
    model: Model | None


@dataclass(frozen=True)
class Span:
    """Where a name stands in a prompt."""

    start: int
    end: int
    key: str


def read_prompt(prompt: str, models: Sequence[Model], asker_id: int, chosen: Model | None = None) -> Reading:
    """Find the model that a prompt names among `models` and put its identifier and class in place of the name.

    A `chosen` model is the only one looked for, so that every other name is an ordinary word; unless the prompt has its
    name it is put in as the subject. Raises `EmptyPrompt`, `PromptTooLong`, `SeveralSubjects` and `AmbiguousName`.
    """
    words = tidy(prompt)
    if not words:
        raise EmptyPrompt
    if len(words) > MAX_PROMPT_CHARS:
        raise PromptTooLong(len(words))
    model = chosen if chosen is not None else _named(words, models, asker_id)
    if model is not None:
        words = _with_subject(words, model, chosen=chosen is not None)
    if len(words) > MAX_PROMPT_CHARS:
        raise PromptTooLong(len(words))
    return Reading(words, model)


def read_negative(prompt: str) -> str:
    """Raises `PromptTooLong`."""
    words = tidy(prompt)
    if len(words) > MAX_PROMPT_CHARS:
        raise PromptTooLong(len(words))
    return words


def tidy(text: str) -> str:
    """Compose accents, drop what cannot be seen and join lines, so that equal-looking prompts are equal."""
    return " ".join(UNSEEN.sub(" ", unicodedata.normalize("NFC", text)).split())


def fold(name: str) -> str:
    """Return what two spellings of one name have in common: case, width and kind of apostrophe do not count."""
    return name_key(name).replace("’", "'")


def find_names(words: str, keys: Collection[str]) -> Iterator[Span]:
    """Yield where names, folded as in `keys`, stand as whole words: the leftmost first, the longest at each place."""
    edges = sorted({match.start() for pattern in EDGES for match in pattern.finditer(words)})
    reached = 0
    for index, start in enumerate(edges):
        if start < reached:
            continue
        for end in reversed([edge for edge in edges[index + 1 :] if edge - start <= LONGEST_NAME]):
            if (key := fold(words[start:end])) in keys:
                yield Span(start, end, key)
                reached = end
                break


def pick(name: str, models: Sequence[Model], asker_id: int) -> Model | None:
    """Return the model of this name: the asker's own before a shared one. Raises `AmbiguousName`.

    A model of their own whose training failed comes last, for it cannot draw.
    """
    by_rank: dict[int, list[Model]] = {}
    for model in models:
        if fold(model.name) == fold(name):
            own, failed = model.owner_id == asker_id, model.status is ModelStatus.FAILED
            by_rank.setdefault(2 if failed else 0 if own else 1, []).append(model)
    if not by_rank:
        return None
    first = by_rank[min(by_rank)]
    if len(first) > 1:
        raise AmbiguousName(first[0].name)
    return first[0]


def _named(words: str, models: Sequence[Model], asker_id: int) -> Model | None:
    names = {fold(model.name): model.name for model in reversed(models)}
    found = list(dict.fromkeys(span.key for span in find_names(words, names)))
    if len(found) > 1:
        raise SeveralSubjects([names[key] for key in found])
    return pick(found[0], models, asker_id) if found else None


def _with_subject(words: str, model: Model, *, chosen: bool) -> str:
    subject = f"{model.identifier} {model.class_noun}"
    if spans := list(find_names(words, {fold(model.name)})):
        return _replace(words, spans, subject, model.class_noun)
    if not chosen or any(find_names(words, {fold(model.identifier)})):
        return words
    if spans := list(find_names(words, {fold(model.class_noun)})):
        first = spans[0]
        return words[: first.start] + subject + words[first.end :]
    return f"{subject} {words}" if GOES_ON.match(words) else f"{subject}, {words}"


def _replace(words: str, spans: Sequence[Span], subject: str, class_noun: str) -> str:
    """Put `subject` for each name, taking in a class noun beside it: "my dog rex", "rex the dog"."""
    noun = r"\s+".join(map(regex.escape, class_noun.split()))
    before = regex.compile(
        rf"\b(?:(?:my|our)\s+)?{noun}\s+(?:(?:named|called)\s+)?$|\b(?:my|our)\s+(?:{noun},\s+)?$", regex.IGNORECASE
    )
    after = regex.compile(rf"(?:,?\s+(?:the|my|our))?\s+{noun}\b", regex.IGNORECASE)
    pieces, reached = [], 0
    for span in spans:
        if span.start < reached:
            continue
        pieces += [before.sub("", words[reached : span.start]), subject]
        trailing = after.match(words, span.end)
        reached = trailing.end() if trailing else span.end
    return "".join([*pieces, words[reached:]])
