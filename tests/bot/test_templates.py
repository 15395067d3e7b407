"""Prompt templates: what each form of the grammar can become, and what is told of those that make no sense."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.templates import (
    MAX_DEPTH,
    MAX_OPTIONS,
    MAX_TEMPLATE_CHARS,
    InvalidTemplate,
    TemplateProblem,
    fill,
    read_template,
)


def fillings(template: str) -> set[str]:
    """Everything that comes up in many fillings."""
    read = read_template(template)
    return {filling for seed in range(60) for filling in fill(read, seed, 1)}


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("rex at the {beach|moon|forest}", {"rex at the beach", "rex at the moon", "rex at the forest"}),
        ("{2$$a|b}", {"a, b", "b, a"}),
        ("{1-2$$a|b}", {"a", "b", "a, b", "b, a"}),
        ("{2$$ and $$a|b}", {"a and b", "b and a"}),
        ("{-1$$a|b}", {"", "a", "b"}),
        ("{2-$$a|b}", {"a, b", "b, a"}),
        ("{0::never|always}", {"always"}),
        ("x{a|{b|c}}y", {"xay", "xby", "xcy"}),
        ("{|very }big", {"big", "very big"}),
        ("{only}", {"only"}),
        ("{$$a|b}", {"a", "b"}),
        ("{a|a}", {"a"}),
    ],
)
def test_what_a_template_can_become(template: str, expected: set[str]) -> None:
    assert fillings(template) == expected


def test_weights_say_how_often() -> None:
    read = read_template("{9::day|1::night}")
    days = sum(fill(read, seed, 1) == ["day"] for seed in range(400))
    assert 320 < days < 400


def test_fillings_differ_as_far_as_there_are_and_follow_the_seed() -> None:
    read = read_template("{a|b|c}")
    assert sorted(fill(read, 1, 3)) == ["a", "b", "c"]
    assert len(fill(read, 1, 5)) == 5
    assert fill(read, 7, 4) == fill(read, 7, 4)
    assert read_template("a boat").varies is False
    assert fill(read_template("a boat"), 1, 2) == ["a boat", "a boat"]


@pytest.mark.parametrize("prompt", ["costs 5$", "rex #1", "${x}y}", "a }b", "__hi__ (x:1.2)", "a|b", "half::half"])
def test_signs_of_ordinary_prompts_stay(prompt: str) -> None:
    assert fillings(prompt) == {prompt.replace("${x}", "$x")}


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("rex at the {beach|moon", TemplateProblem.UNCLOSED),
        ("{", TemplateProblem.UNCLOSED),
        ("{" * MAX_DEPTH + "{a}" + "}" * MAX_DEPTH, TemplateProblem.TOO_DEEP),
        ("{" * 900, TemplateProblem.TOO_DEEP),
        ("{" + "a|" * MAX_OPTIONS + "b}", TemplateProblem.TOO_MANY_OPTIONS),
        ("{a|b}" + "x" * MAX_TEMPLATE_CHARS, TemplateProblem.TOO_LONG),
        ("{3$$a|b}", TemplateProblem.BOUNDS),
        ("{2-1$$a|b}", TemplateProblem.BOUNDS),
        ("{0$$a|b}", TemplateProblem.BOUNDS),
        ("{0::a|0::b}", TemplateProblem.NO_WEIGHT),
    ],
)
def test_what_makes_no_sense_is_told(template: str, problem: TemplateProblem) -> None:
    with pytest.raises(InvalidTemplate) as told:
        read_template(template)
    assert told.value.problem is problem


def test_the_last_of_each_limit_is_fine() -> None:
    assert fillings("{" * MAX_DEPTH + "a" + "}" * MAX_DEPTH) == {"a"}
    assert len(fillings("{" + "|".join(map(str, range(MAX_OPTIONS))) + "}")) > 30
    assert fillings("{a}" + "x" * (MAX_TEMPLATE_CHARS - 3)) == {"a" + "x" * (MAX_TEMPLATE_CHARS - 3)}


@given(st.text(st.sampled_from("a{}|$:1-. "), max_size=80))
def test_any_text_is_filled_or_refused(template: str) -> None:
    try:
        read = read_template(template)
    except InvalidTemplate:
        return
    for filling in fill(read, 1, 2):
        assert len(filling) <= len(template) + 2 * template.count("|")
