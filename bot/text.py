"""What the bot says that is longer than a label: every error in a person's words."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from discord.utils import escape_markdown

from bot.access import NotYourModel, NotYourPicture
from bot.prompts import AmbiguousName, EmptyPrompt, PromptTooLong, SeveralSubjects, tidy
from storage.errors import (
    InvalidName,
    JobAlreadyEnded,
    ModelNotFound,
    ModelNotReady,
    NameProblem,
    NameTaken,
    NotYourJob,
    TooManyJobs,
    UserError,
)
from storage.names import MAX_CHARS, MIN_CHARS

QUOTE_CHARS = 300
"""How much of a prompt a card shows; the pictures' alt text has more of it."""


def our_fault(reference: str) -> str:
    return (
        "Something broke on our side, and nothing was lost. "
        f"If it happens again, tell us this reference: `{reference}`."
    )


def bold(name: str) -> str:
    return f"**{escape_markdown(name)}**"


def quote(prompt: str, limit: int = QUOTE_CHARS) -> str:
    """Show what a person typed as it is: inside a code span neither mentions nor markdown come alive."""
    return f"`{cut(tidy(prompt).replace('`', 'ˋ'), limit)}`"


def cut(words: str, limit: int) -> str:
    return words if len(words) <= limit else words[: limit - 1].rstrip() + "…"


def listed(names: Sequence[str]) -> str:
    """Join names as a sentence does: a, b and c."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


NAME_PROBLEMS = {
    NameProblem.EMPTY: "A model needs a name, such as rex.",
    NameProblem.TOO_SHORT: f"That name is too short: a name has at least {MIN_CHARS} characters.",
    NameProblem.TOO_LONG: f"That name is too long: {MAX_CHARS} characters fit.",
    NameProblem.CHARACTERS: "A name is made of letters and digits of any language, spaces, and `_` `-` `'`.",
}

EXPLANATIONS: Mapping[type[UserError], Callable[[Any], str]] = {
    InvalidName: lambda error: NAME_PROBLEMS[error.problem],
    NameTaken: lambda error: (
        f"You have a model called {bold(error.name)} already. Choose another name, or rename that one in `/models`."
    ),
    ModelNotFound: lambda _: (
        "There is no such model for you here. `/models` shows yours and those shared with this server."
    ),
    ModelNotReady: lambda error: (
        f"{bold(error.name)} is not ready: it is still training, or its training failed. `/models` tells which."
    ),
    NotYourModel: lambda error: f"That is <@{error.owner_id}>'s model, so only they can do this.",
    NotYourJob: lambda _: "There is no such job of yours.",
    JobAlreadyEnded: lambda _: "That job has ended already.",
    TooManyJobs: lambda error: (
        f"You have {error.limit} pictures in the making already. Ask again when one of them is done."
    ),
    NotYourPicture: lambda error: (
        f"<@{error.owner_id}> asked for that picture, so only they or a moderator can delete it."
    ),
    EmptyPrompt: lambda _: "That prompt is empty. Say what to draw, for example `rex on the moon`.",
    PromptTooLong: lambda error: (
        f"That prompt is too long: {error.length:,} characters, with each name written out as the model knows it, "
        f"and {error.limit:,} fit. Shorten it a little."
    ),
    SeveralSubjects: lambda error: (
        f"Only one subject fits into a picture for now, and I found {listed([bold(name) for name in error.names])}. "
        "Take one out, or pick the one you mean with the `model` option: every other name is then a plain word."
    ),
    AmbiguousName: lambda error: (
        f"Several people share a model called {bold(error.name)} here. Pick the one you mean with the `model` option."
    ),
}


def explain(error: UserError) -> str:
    """Say what is wrong and what to do about it."""
    return EXPLANATIONS[type(error)](error)
