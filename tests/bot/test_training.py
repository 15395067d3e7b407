"""What a person may ask for, and that asking twice in one breath is asking once."""

from dataclasses import replace
from typing import Any, cast

import discord
import pytest

from bot.drafts import accept_draft, keep
from bot.services import Services
from bot.subject_kinds import guess_kind
from bot.training import Asker, ChildAsSubject, InvalidClass, check_class, check_wish, take_in_photos
from storage.contract import Quality, SubjectKind, TrainingOptions
from storage.errors import NameProblem
from storage.jobs import active_jobs
from tests.bot import photos
from tests.bot.test_intake import uploads


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("dog", "dog"),
        ("  Red\n Teapot ", "red teapot"),
        ("chien d'arrêt", "chien d'arrêt"),
        ("犬", "犬"),
        ("r2-d2", "r2-d2"),
    ],
)
def test_a_class_is_kept_as_prompts_have_it(typed: str, kept: str) -> None:
    assert check_class(typed) == kept


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        ("", NameProblem.EMPTY),
        (" \n ", NameProblem.EMPTY),
        ("x" * 41, NameProblem.TOO_LONG),
        ("dog, cat", NameProblem.CHARACTERS),
        ("<@1>", NameProblem.CHARACTERS),
        ("42", NameProblem.CHARACTERS),
        ("dog\u202e", NameProblem.CHARACTERS),
    ],
)
def test_a_class_has_no_markup(typed: str, problem: NameProblem) -> None:
    with pytest.raises(InvalidClass) as refused:
        check_class(typed)
    assert refused.value.problem is problem


@pytest.mark.parametrize("typed", ["child", "my baby", "Little Girl"])
def test_children_are_no_subjects(typed: str) -> None:
    with pytest.raises(ChildAsSubject):
        check_class(typed)


@pytest.mark.parametrize(
    ("class_noun", "kind"),
    [
        ("dog", SubjectKind.PET),
        ("toy dog", SubjectKind.PET),
        ("dog toy", SubjectKind.OBJECT),
        ("old woman", SubjectKind.PERSON),
        ("drawing style", SubjectKind.STYLE),
        ("teapot", SubjectKind.OBJECT),
    ],
)
def test_the_last_word_tells_the_kind(class_noun: str, kind: SubjectKind) -> None:
    assert guess_kind(class_noun) is kind


async def test_one_interaction_is_one_job(services: Services) -> None:
    async def read(upload: Any) -> bytes:
        return bytes(upload.data)

    services = replace(services, fetch=read)
    wish = check_wish("rex", "dog", None, Quality.GOOD, 1, TrainingOptions())
    asker = Asker(id=5, guild_id=None, channel_id=6, interaction_id=7)
    files = cast("list[discord.Attachment]", uploads(photos.drawn(3)))
    (first, _), (second, _) = [await take_in_photos(services, wish, asker, files) for _ in range(2)]
    for training in (first, second):
        await keep(services, training, agrees=True)
    jobs = [await accept_draft(services, training.job, 5, 8, agrees=False) for training in (first, second)]
    assert [job and job.id for job in jobs] == [first.job, first.job]
    assert await services.blobs.list("photos") == [photo.key for photo in first.photos]
    async with services.database.read() as session:
        assert len(await active_jobs(session, 5)) == 1
