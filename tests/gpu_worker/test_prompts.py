import pytest

from gpu_worker.prompts import (
    SCENES,
    class_prompt,
    class_prompts,
    instance_prompts,
    sample_prompts,
    style_prompts,
    with_article,
)
from storage.contract import SubjectKind


@pytest.mark.parametrize(
    "phrase",
    "a dog, an elephant, a unicorn, an owl, an umbrella, an hourglass, a house, a European robin, a one-eyed cat, "
    "an urn, a ukulele, an Irish setter, a utensil, an uncle".split(", "),
)
def test_the_article_is_right(phrase: str) -> None:
    assert with_article(phrase.split(" ", 1)[1]) == phrase


def test_the_prompts_are_those_of_the_paper() -> None:
    assert instance_prompts("sks", "dog", SubjectKind.PET) == ("a photo of sks dog", "sks dog")
    assert class_prompt("dog", SubjectKind.PET) == "a photo of a dog"
    assert sample_prompts("sks", "dog", SubjectKind.PET)[:2] == ["a photo of sks dog", "sks dog on the moon"]


def test_class_images_show_the_class_alone_and_in_every_scene() -> None:
    plain, *in_scenes = class_prompts("owl", SubjectKind.PET)
    assert plain == "a photo of an owl"
    assert in_scenes[0] == "an owl on the moon"
    assert len(in_scenes) == len(SCENES)


def test_a_style_is_taught_and_called_as_a_style() -> None:
    assert instance_prompts("sks", "ink", SubjectKind.STYLE) == ("a picture in sks ink style",)
    assert class_prompts("ink", SubjectKind.STYLE)[:2] == ("a picture in ink style", "a picture of a dog")
    assert style_prompts("sks", "ink", ["owl", "cat"]) == ["an owl in sks ink style", "a cat in sks ink style"]
