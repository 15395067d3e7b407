"""Read a prompt: which models it means, and the words that the engine draws from."""

import unicodedata
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import regex

from storage.contract import MAX_PROMPT_CHARS, MAX_SUBJECTS
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
TOGETHER = regex.compile(
    r"\s*(?:,|&|\+|,?\s*and|with|together with|next to|beside|near|by)\s*(?:my|our)?\s*", regex.IGNORECASE
)
"""What stands between two who are simply in the same picture."""

ARTICLE = regex.compile(r"(?:\bof\s*)?(?:\b(?:an?|the|my|our)\s*)?$", regex.IGNORECASE)
"""What leads up to a subject and says nothing without it."""


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
    """The prompt names more models than fit into a picture."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(*names)
        self.names = tuple(names)


class DifferentBases(UserError):
    """The two models that the prompt names were trained on different base models."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(*names)
        self.names = tuple(names)


class AmbiguousName(UserError):
    """Several people share a model of this name, and none of them is the asker."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


@dataclass(frozen=True)
class Named:
    """One of two subjects, and what the prompt would be if it were alone in the picture."""

    model: Model
    words: str


@dataclass(frozen=True)
class Reading:
    """A prompt as the engine reads it, and the one model that it needs; `None` means the plain base, or two."""

    words: str
    model: Model | None
    subjects: tuple[Named, ...] = ()
    """The two that it names, in that order; none where it names one or nobody."""

    @property
    def models(self) -> tuple[Model, ...]:
        alone = () if self.model is None else (self.model,)
        return alone or tuple(named.model for named in self.subjects)


@dataclass(frozen=True)
class Span:
    """Where a name stands in a prompt."""

    start: int
    end: int
    key: str


def read_prompt(prompt: str, models: Sequence[Model], asker_id: int, chosen: Model | None = None) -> Reading:
    """Find the models that a prompt names among `models` and put identifier and class in place of each name.

    A `chosen` model is the only one looked for, so that every other name is an ordinary word; unless the prompt has its
    name it is put in as the subject. Raises `EmptyPrompt`, `PromptTooLong`, `SeveralSubjects`, `DifferentBases` and
    `AmbiguousName`.
    """
    words = tidy(prompt)
    if not words:
        raise EmptyPrompt
    if len(words) > MAX_PROMPT_CHARS:
        raise PromptTooLong(len(words))
    named = [chosen] if chosen is not None else _named(words, models, asker_id)
    reading = Reading(words, None)
    if len(named) == 1:
        reading = Reading(_with_subject(words, named[0], chosen=chosen is not None), named[0])
    elif named:
        reading = _of_two(words, named)
    for each in (reading.words, *(subject.words for subject in reading.subjects)):
        if len(each) > MAX_PROMPT_CHARS:
            raise PromptTooLong(len(each))
    return reading


def read_negative(prompt: str) -> str:
    """Raises `PromptTooLong`."""
    words = tidy(prompt)
    if len(words) > MAX_PROMPT_CHARS:
        raise PromptTooLong(len(words))
    return words


def without_names(words: str, models: Sequence[Model]) -> str:
    """Return what a prompt says beside its subjects: of "a photo of rex on the moon" it is "a photo on the moon"."""
    by_key = {fold(word): model for model in models for word in (model.class_noun, model.name)}
    said: list[str] = []
    for piece in _pieces(words, list(find_names(words, by_key)), by_key):
        if isinstance(piece, str) and not (said and TOGETHER.fullmatch(piece)):
            said.append(ARTICLE.sub("", piece))
    return tidy(" ".join(said)).strip(" ,;.")


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


def _named(words: str, models: Sequence[Model], asker_id: int) -> list[Model]:
    names = {fold(model.name): model.name for model in reversed(models)}
    found = list(dict.fromkeys(span.key for span in find_names(words, names)))
    if len(found) > MAX_SUBJECTS:
        raise SeveralSubjects([names[key] for key in found])
    picked = [pick(key, models, asker_id) for key in found]
    return [model for model in picked if model is not None]


def _of_two(words: str, named: Sequence[Model]) -> Reading:
    """Put both in, and for each what would be asked for if it were alone: the other is left out, or of its class."""
    if len({model.base for model in named}) > 1:
        raise DifferentBases([model.name for model in named])
    by_key = {fold(model.name): model for model in named}
    pieces = _pieces(words, list(find_names(words, by_key)), by_key)
    return Reading(
        _joined(pieces, _subject),
        None,
        tuple(Named(model, _joined(_without_others(pieces, model), _as_seen_by(model))) for model in named),
    )


def _subject(model: Model) -> str:
    return f"{model.identifier} {model.class_noun}"


def _as_seen_by(model: Model) -> Callable[[Model], str]:
    return lambda other: _subject(other) if other is model else other.class_noun


Piece = str | Model
"""A piece of a prompt: plain words, or a model that is named there."""


def _joined(pieces: Sequence[Piece], said: Callable[[Model], str]) -> str:
    return "".join(piece if isinstance(piece, str) else said(piece) for piece in pieces)


def _without_others(pieces: Sequence[Piece], model: Model) -> list[Piece]:
    """Let one stand for both where they are simply named together: "rex and luna" is "rex" then."""
    kept: list[Piece] = []
    for piece in pieces:
        match [*kept[-2:], piece]:
            case [Model(), str() as between, Model()] if TOGETHER.fullmatch(between):
                kept[-2:] = [model]
            case _:
                kept.append(piece)
    return kept


def _with_subject(words: str, model: Model, *, chosen: bool) -> str:
    subject = _subject(model)
    if spans := list(find_names(words, {fold(model.name)})):
        return _joined(_pieces(words, spans, {fold(model.name): model}), _subject)
    if not chosen or any(find_names(words, {fold(model.identifier)})):
        return words
    if spans := list(find_names(words, {fold(model.class_noun)})):
        first = spans[0]
        return words[: first.start] + subject + words[first.end :]
    return f"{subject} {words}" if GOES_ON.match(words) else f"{subject}, {words}"


def _pieces(words: str, spans: Sequence[Span], models: Mapping[str, Model]) -> list[Piece]:
    """Cut out each name, with a class noun beside it: "my dog rex", "rex the dog"."""
    pieces: list[Piece] = []
    reached = 0
    for span in spans:
        if span.start < reached:
            continue
        model = models[span.key]
        noun = r"\s+".join(map(regex.escape, model.class_noun.split()))
        before = regex.compile(
            rf"\b(?:(?:my|our)\s+)?{noun}\s+(?:(?:named|called)\s+)?$|\b(?:my|our)\s+(?:{noun},\s+)?$",
            regex.IGNORECASE,
        )
        after = regex.compile(rf"(?:,?\s+(?:the|my|our))?\s+{noun}\b", regex.IGNORECASE)
        pieces += [before.sub("", words[reached : span.start]), model]
        trailing = after.match(words, span.end)
        reached = trailing.end() if trailing else span.end
    return [*pieces, words[reached:]]
