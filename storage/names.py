"""What a person may call a model."""

import unicodedata

from storage.errors import InvalidName, NameProblem

MIN_CHARS, MAX_CHARS = 2, 32
PUNCTUATION = " _-'"
BLANKS = "\u115f\u1160\u17b4\u17b5\u3164\uffa0"
"""Letters by their category that nobody can see."""


def validate_name(name: str) -> str:
    """Return the name as it is kept: trimmed, with single spaces. Letters and digits of any script, space, _, - and '.

    Raises `InvalidName`.
    """
    name = " ".join(unicodedata.normalize("NFC", name).replace("\u2019", "'").split())
    if not name:
        raise InvalidName(NameProblem.EMPTY)
    if not all(_allowed(character) for character in name) or not any(character.isalnum() for character in name):
        raise InvalidName(NameProblem.CHARACTERS)
    if len(name) < MIN_CHARS:
        raise InvalidName(NameProblem.TOO_SHORT)
    if len(name) > MAX_CHARS or len(name_key(name)) > 4 * MAX_CHARS:
        raise InvalidName(NameProblem.TOO_LONG)
    return name


def name_key(name: str) -> str:
    """Fold a name for comparison, so that Rex, REX and full-width ＲＥＸ are one name."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def _allowed(character: str) -> bool:
    if character in PUNCTUATION:
        return True
    selects_variation = "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef"
    return unicodedata.category(character)[0] in "LMN" and character not in BLANKS and not selects_variation
