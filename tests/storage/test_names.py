import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.errors import InvalidName, NameProblem
from storage.names import BLANKS, MAX_CHARS, MIN_CHARS, PUNCTUATION, name_key, validate_name


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("rex", "rex"),
        ("  Rex   the  dog ", "Rex the dog"),
        ("mr_fluffy-2", "mr_fluffy-2"),
        ("O\u2019Malley", "O'Malley"),
        ("Ре́кс", "Ре́кс"),
        ("小狗", "小狗"),
        ("कुत्ता", "कुत्ता"),
        ("e\u0301clair", "éclair"),
    ],
)
def test_keeps_names_of_any_script(typed: str, kept: str) -> None:
    assert validate_name(typed) == kept


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        ("", NameProblem.EMPTY),
        (" \n\t ", NameProblem.EMPTY),
        ("r", NameProblem.TOO_SHORT),
        ("r" * 33, NameProblem.TOO_LONG),
        ("**rex**", NameProblem.CHARACTERS),
        ("<@123456>", NameProblem.CHARACTERS),
        ("@everyone", NameProblem.CHARACTERS),
        ("rex`", NameProblem.CHARACTERS),
        ("[rex](https://a.example)", NameProblem.CHARACTERS),
        ("../../etc", NameProblem.CHARACTERS),
        ("rex\u200b", NameProblem.CHARACTERS),
        ("\u3164\u3164", NameProblem.CHARACTERS),
        ("rex\ufe0f", NameProblem.CHARACTERS),
        ("---", NameProblem.CHARACTERS),
        ("🐶🐶", NameProblem.CHARACTERS),
    ],
)
def test_says_what_is_wrong(typed: str, problem: NameProblem) -> None:
    with pytest.raises(InvalidName) as caught:
        validate_name(typed)
    assert caught.value.problem is problem


@pytest.mark.parametrize("same", ["rex", "REX", "Rex", "ＲＥＸ", "ℛex"])
def test_compares_without_case_and_width(same: str) -> None:
    assert name_key(same) == "rex"


@given(st.text(max_size=40) | st.text(alphabet="aZß İ_-'’*`@<#", max_size=40))
def test_what_is_kept_is_short_visible_and_stable(typed: str) -> None:
    try:
        name = validate_name(typed)
    except InvalidName:
        return
    assert MIN_CHARS <= len(name) <= MAX_CHARS
    assert name == name.strip()
    assert all(character in PUNCTUATION or unicodedata.category(character)[0] in "LMN" for character in name)
    assert not set(name) & set(BLANKS)
    assert validate_name(name) == name
    assert name_key(name_key(name)) == name_key(name)
    assert len(name_key(name)) <= 128
