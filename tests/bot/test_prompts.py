"""Prompts: which model they mean, and what the engine reads."""

import itertools
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.prompts import (
    AmbiguousName,
    DifferentBases,
    EmptyPrompt,
    PromptTooLong,
    SeveralSubjects,
    find_names,
    fold,
    read_prompt,
    tidy,
)
from storage.contract import MAX_PROMPT_CHARS, SubjectKind
from storage.schema import Model, ModelStatus

ADA, BEN, CLEO = 1, 2, 3


def model(name: str, class_noun: str = "dog", *, owner_id: int = ADA, identifier: str = "sks") -> Model:
    return Model(
        id=uuid4().hex,
        owner_id=owner_id,
        guild_id=None,
        name=name,
        name_key=fold(name),
        class_noun=class_noun,
        subject_kind=SubjectKind.PET,
        identifier=identifier,
        base="demo",
        photo_count=5,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


REX = model("Rex")
LUNA = model("luna", "cat", identifier="wsw")


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("rex on the moon", "sks dog on the moon"),
        ("REX, on the moon", "sks dog, on the moon"),
        ("on the moon: rex", "on the moon: sks dog"),
        ("rex's ball and rex’s bone", "sks dog's ball and sks dog’s bone"),
        ("my dog rex on the moon", "sks dog on the moon"),
        ("My Dog Rex", "sks dog"),
        ("our rex", "sks dog"),
        ("the dog rex", "the sks dog"),
        ("a dog named rex at sea", "a sks dog at sea"),
        ("rex the dog in the snow", "sks dog in the snow"),
        ("rex, my dog, in the snow", "sks dog, in the snow"),
        ("my dog, rex, in the snow", "sks dog, in the snow"),
        ("rex dog", "sks dog"),
        ("rex, a dog and a bird", "sks dog, a dog and a bird"),
        ("rex and another rex", "sks dog and another sks dog"),
        ("a (rex) “rex” rex-like rex.", "a (sks dog) “sks dog” sks dog-like sks dog."),
        ("dogs and rex", "dogs and sks dog"),
        ("🐕rex🐕", "🐕sks dog🐕"),
        ("  rex\n\ton  the moon ", "sks dog on the moon"),
        ("ｒｅｘ on the moon", "sks dog on the moon"),
    ],
)
def test_a_name_becomes_identifier_and_class(prompt: str, words: str) -> None:
    reading = read_prompt(prompt, [LUNA, REX], ADA)

    assert (reading.words, reading.model) == (words, REX)


@pytest.mark.parametrize("prompt", ["trex on the moon", "rexes", "rex2", "r ex", "_rex_", "a T-Re x"])
def test_a_part_of_a_word_is_no_name(prompt: str) -> None:
    reading = read_prompt(prompt, [REX], ADA)

    assert (reading.words, reading.model) == (prompt, None)


@pytest.mark.parametrize(
    ("name", "prompt", "words"),
    [
        ("Größe", "GRÖSSE on the moon", "sks dog on the moon"),
        ("José", "jose\u0301 on the moon", "sks dog on the moon"),
        ("太郎", "太郎が月にいる", "sks dogが月にいる"),
        ("हिन्दी", "हिन्दी on the moon", "sks dog on the moon"),
        ("O'Neil", "o’neil's house", "sks dog's house"),
        ("Mary Jane", "mary  jane dancing", "sks dog dancing"),
        ("mary-jane_2", "Mary-Jane_2 dancing", "sks dog dancing"),
        ("dog", "my dog on the moon", "sks dog on the moon"),
        ("sks", "sks on the moon", "sks dog on the moon"),
    ],
)
def test_names_of_every_script(name: str, prompt: str, words: str) -> None:
    assert read_prompt(prompt, [model(name)], ADA).words == words


def test_the_longest_name_wins() -> None:
    junior = model("rex junior", identifier="hns")

    assert read_prompt("Rex Junior at sea", [REX, junior], ADA).model is junior
    assert read_prompt("rex, junior at sea", [REX, junior], ADA).model is REX


def test_a_class_of_two_words_is_not_doubled() -> None:
    bear = model("bruno", "teddy bear")

    assert read_prompt("my Teddy  Bear bruno", [bear], ADA).words == "sks teddy bear"
    assert read_prompt("bruno the teddy bear", [bear], ADA).words == "sks teddy bear"


@pytest.mark.parametrize(
    ("prompt", "words", "of_rex", "of_luna"),
    [
        ("rex and luna on the moon", "sks dog and wsw cat on the moon", "sks dog on the moon", "wsw cat on the moon"),
        ("a photo of my dog rex, luna", "a photo of sks dog, wsw cat", "a photo of sks dog", "a photo of wsw cat"),
        ("LUNA the cat next to Rex", "wsw cat next to sks dog", "sks dog", "wsw cat"),
        ("rex & my cat luna at sea", "sks dog & wsw cat at sea", "sks dog at sea", "wsw cat at sea"),
        (
            "rex chasing luna through the snow",
            "sks dog chasing wsw cat through the snow",
            "sks dog chasing cat through the snow",
            "dog chasing wsw cat through the snow",
        ),
        ("rex, luna and rex", "sks dog, wsw cat and sks dog", "sks dog", "wsw cat"),
    ],
)
def test_two_subjects_stand_in_one_prompt(prompt: str, words: str, of_rex: str, of_luna: str) -> None:
    reading = read_prompt(prompt, [REX, LUNA], ADA)

    assert reading.words == words
    assert reading.model is None
    assert {named.model.name: named.words for named in reading.subjects} == {"Rex": of_rex, "luna": of_luna}
    first = min(("rex", "luna"), key=prompt.lower().index)
    assert fold(reading.subjects[0].model.name) == first  # who is named first stands on the left


def test_a_name_that_is_the_others_class_is_no_trouble() -> None:
    dog = model("dog", "cat", identifier="wsw")

    reading = read_prompt("rex and dog at sea", [REX, dog], ADA)

    assert reading.words == "sks dog and wsw cat at sea"
    assert [named.words for named in reading.subjects] == ["sks dog at sea", "wsw cat at sea"]


def test_more_than_two_subjects_are_told_apart() -> None:
    comet = model("comet", "car", identifier="shc")

    with pytest.raises(SeveralSubjects) as caught:
        read_prompt("luna and rex, and luna again, in comet", [REX, LUNA, comet], ADA)

    assert caught.value.names == ("luna", "Rex", "comet")


def test_two_of_different_bases_cannot_meet() -> None:
    other = model("comet", "car", identifier="shc")
    other.base = "another"

    with pytest.raises(DifferentBases) as caught:
        read_prompt("rex in comet", [REX, other], ADA)

    assert caught.value.names == ("Rex", "comet")


def test_the_chosen_model_leaves_other_names_as_words() -> None:
    assert read_prompt("luna and rex", [REX, LUNA], ADA, chosen=REX).words == "luna and sks dog"


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("on the moon", "sks dog on the moon"),
        ("wearing a hat", "sks dog wearing a hat"),
        ("oil painting, night", "sks dog, oil painting, night"),
        ("a dog on the moon, a dog", "a sks dog on the moon, a dog"),
        ("sks dog on the moon", "sks dog on the moon"),
        ("inner peace", "sks dog, inner peace"),
    ],
)
def test_a_chosen_model_that_is_not_named_becomes_the_subject(prompt: str, words: str) -> None:
    reading = read_prompt(prompt, [REX, LUNA], ADA, chosen=REX)

    assert (reading.words, reading.model) == (words, REX)


def test_own_models_come_before_shared_ones() -> None:
    shared = model("rex", owner_id=BEN, identifier="hns")

    assert read_prompt("rex", [shared, REX], ADA).model is REX
    assert read_prompt("rex", [shared, REX], BEN).model is shared


def test_two_shared_models_of_one_name_need_a_choice() -> None:
    shared = [model("rex", owner_id=BEN), model("REX", owner_id=CLEO)]

    with pytest.raises(AmbiguousName) as caught:
        read_prompt("rex", shared, ADA)

    assert caught.value.name == "rex"
    assert read_prompt("rex", shared, ADA, chosen=shared[1]).model is shared[1]


def test_a_failed_model_stands_back() -> None:
    failed, shared = model("rex"), model("rex", owner_id=BEN)
    failed.status = ModelStatus.FAILED

    assert read_prompt("rex", [failed, shared], ADA).model is shared
    assert read_prompt("rex", [failed], ADA).model is failed


@pytest.mark.parametrize("prompt", ["", "   ", "\n\u202e\u200b"])
def test_nothing_to_draw(prompt: str) -> None:
    with pytest.raises(EmptyPrompt):
        read_prompt(prompt, [REX], ADA)


def test_the_limit_holds_before_and_after_names_are_replaced() -> None:
    fits = "rex" + "a" * (MAX_PROMPT_CHARS - 3)
    assert read_prompt(fits, [REX], ADA).words == fits

    with pytest.raises(PromptTooLong) as caught:
        read_prompt("a" * 4000, [REX], ADA)
    assert (caught.value.length, caught.value.limit) == (4000, MAX_PROMPT_CHARS)

    with pytest.raises(PromptTooLong) as caught:
        read_prompt("rex " + "a" * (MAX_PROMPT_CHARS - 4), [REX], ADA)
    assert caught.value.length == MAX_PROMPT_CHARS + 4


def test_marks_that_turn_the_reading_order_go() -> None:
    assert tidy("a\u202eb\u0000c") == "a b c"
    assert tidy("👩‍🚀 می‌خواهم") == "👩‍🚀 می‌خواهم"


names = st.text(st.characters(categories=["L", "M", "Nd"], include_characters=" _-'"), min_size=1, max_size=32).map(
    tidy
)
filler = st.text(st.sampled_from("a Z\n,.#!’'太🐕é-_"), max_size=40)


@given(filler, names.filter(bool), filler)
def test_a_name_between_spaces_is_always_found(before: str, name: str, after: str) -> None:
    words = tidy(f"{before} {name} {after}")

    spans = list(find_names(words, {fold(name)}))

    assert any(fold(words[span.start : span.end]) == fold(name) for span in spans)
    assert all(a.end <= b.start for a, b in itertools.pairwise(spans))


@given(st.text(max_size=200), st.lists(names.filter(bool), max_size=5, unique_by=fold))
def test_whatever_is_typed_is_read_or_refused(prompt: str, taken: list[str]) -> None:
    models = [model(name) for name in taken]
    try:
        reading = read_prompt(prompt, models, ADA)
    except (EmptyPrompt, SeveralSubjects, PromptTooLong):
        return

    assert not reading.models or "sks dog" in reading.words
    assert reading.models or reading.words == tidy(prompt)
    assert all(0 < len(each) <= MAX_PROMPT_CHARS for each in (reading.words, *(one.words for one in reading.subjects)))


@given(filler | st.text(max_size=5), names.filter(bool), filler | st.text(max_size=5))
def test_a_name_that_is_found_stands_in_the_folded_prompt(before: str, name: str, after: str) -> None:
    """By that the database looks for names, which knows nothing of words."""
    prompt = tidy(before + name + after)
    if any(find_names(prompt, {fold(name)})):
        assert fold(name) in fold(prompt)
