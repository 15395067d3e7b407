"""A model that is trained again has several versions, and its owner chooses."""

from dataclasses import replace
from datetime import timedelta
from itertools import chain

import pytest

from storage.class_questions import Answer, train_after_all
from storage.contract import Failed, FailureReason, ImagineRequest, SubjectKind, Trained, Variant
from storage.database import Database
from storage.erasure import delete_model
from storage.errors import ModelNotFound, ModelNotReady, NameTaken
from storage.events import apply_event
from storage.imaginings import accept_imagining
from storage.jobs import pictures_of, request_cancel
from storage.leftovers import unreferenced
from storage.model_names import find_to_train_again
from storage.schema import Job, JobState, Model, ModelStatus
from storage.sharing import transfer_model
from storage.trainings import accept_training
from storage.variants import (
    MOST_VERSIONS,
    choices,
    drawn_with,
    training_in_use,
    use_variant,
    use_version,
    versions,
)
from tests.storage.examples import ANN, BASE, BOB, CHANNEL, GUILD, NOW, new_imagining, new_training, trained


async def asked_again(database: Database, model_id: str, flaws: tuple[str, ...] = (), photos: int = 4) -> Job:
    new = new_training(model=model_id)
    again = replace(new, photos=(new.photos * 2)[:photos], photo_flaws=flaws)
    again = replace(
        again, photos=tuple(replace(p, key=f"photos/{new.job}/{n}.png") for n, p in enumerate(again.photos))
    )
    async with database.write() as session:
        return await accept_training(session, again, NOW)


async def ended(database: Database, job: Job) -> Trained:
    done = trained(job)
    async with database.write() as session:
        await apply_event(session, done, NOW + timedelta(minutes=1))
    assert done.trained is not None
    return done.trained


async def model_of(database: Database, job: Job) -> Model:
    async with database.read() as session:
        return await session.get_one(Model, job.model_id)


async def trained_twice(database: Database) -> tuple[Job, Job, list[Trained]]:
    async with database.write() as session:
        first = await accept_training(session, replace(new_training(), photo_flaws=("blurred",)), NOW)
    told = [await ended(database, first)]
    second = await asked_again(database, str(first.model_id))
    return first, second, [*told, await ended(database, second)]


async def test_another_training_is_another_version_and_one_goes_back(database: Database) -> None:
    first, second, (one, two) = await trained_twice(database)
    model = await model_of(database, first)
    assert (second.model_id, second.request["identifier"]) == (first.model_id, first.request["identifier"])
    assert (model.version, model.adapter_key, model.photo_count, model.photo_flaws) == (2, two.adapter.key, 4, [])
    async with database.write() as session:
        assert [(each.number, each.photos, each.steps) for each in await versions(session, model.id)] == [
            (2, 4, 400), (1, 3, 400),
        ]  # fmt: skip
        held = await session.get_one(Model, model.id)
        await use_variant(session, held, Variant.ALIKE)
        assert held.adapter_key == two.runners_up[0].adapter.key
        await use_version(session, held, 1)
        assert (held.version, held.variant, held.adapter_key) == (1, Variant.BEST, one.adapter.key)
        assert (held.photo_count, held.photo_flaws, held.download_key) == (3, ["blurred"], one.download)
        assert await training_in_use(session, held) == first.id
    async with database.write() as session:
        assert await choices(session, model.id) == [Variant.BEST, Variant.ALIKE]
        drawn = await accept_imagining(session, new_imagining(model=held), NOW)
        adapter = ImagineRequest.model_validate(drawn.request).adapter
        assert adapter == one.adapter
        assert await drawn_with(session, adapter) == (1, Variant.BEST)
        assert await drawn_with(session, two.runners_up[0].adapter) == (2, Variant.ALIKE)
        with pytest.raises(ModelNotFound):
            await use_version(session, held, 3)


@pytest.mark.parametrize("end", ["failed", "cancelled"])
async def test_a_training_that_comes_to_nothing_changes_nothing(database: Database, end: str) -> None:
    first, _, (_, two) = await trained_twice(database)
    third = await asked_again(database, str(first.model_id), photos=5)
    async with database.write() as session:
        if end == "failed":
            failed = Failed(job=third.id, attempt=1, seq=1, reason=FailureReason.DIVERGED)
            assert await apply_event(session, failed, NOW) is not None
        else:
            await request_cancel(session, third.id, ANN, NOW)
    model = await model_of(database, first)
    assert (model.status, model.deleted_at, model.version) == (ModelStatus.READY, None, 2)
    assert (model.adapter_key, model.photo_count) == (two.adapter.key, 4)


async def test_the_newest_stay_and_all_go_with_the_model(database: Database) -> None:
    first, _, told = await trained_twice(database)
    async with database.write() as session:
        await use_version(session, await session.get_one(Model, first.model_id), 1)
    for _ in range(MOST_VERSIONS - 1):
        told.append(await ended(database, await asked_again(database, str(first.model_id))))
    gone, *others = (list(each.keys()) for each in told)
    kept = list(chain.from_iterable(others))
    async with database.read() as session:
        assert [each.number for each in await versions(session, str(first.model_id))] == [4, 3, 2]
        assert await unreferenced(session, gone) == gone
        assert await unreferenced(session, kept) == []
        assert await pictures_of(session, first.id) == []
    async with database.write() as session:
        assert set(await delete_model(session, str(first.model_id), ANN, NOW)) >= set(kept)
        assert await versions(session, str(first.model_id)) == []
        assert await unreferenced(session, kept) == kept


async def test_who_may_train_what_again(database: Database) -> None:
    first, _, _ = await trained_twice(database)
    model_id = str(first.model_id)
    async with database.write() as session:
        found = await find_to_train_again(session, ANN, "REX", "dog", BASE)
        assert found is not None
        assert found.id == model_id
        assert await find_to_train_again(session, ANN, "rex", "cat", BASE) is None
        assert await find_to_train_again(session, ANN, "rex", "dog", "sd-1.5") is None
        assert await find_to_train_again(session, BOB, "rex", "dog", BASE) is None
        with pytest.raises(NameTaken):
            await accept_training(session, new_training(), NOW)
    async with database.write() as session:
        with pytest.raises(ModelNotFound):
            await accept_training(session, new_training(BOB, "max", model=model_id), NOW)
    third = await asked_again(database, model_id)
    async with database.write() as session:
        with pytest.raises(ModelNotReady):  # the photos that it learns from are their owner's
            await transfer_model(session, model_id, ANN, BOB, NOW)
        await delete_model(session, model_id, ANN, NOW)
        assert (await session.get_one(Job, third.id)).state is JobState.CANCELLED
    async with database.write() as session:
        with pytest.raises(ModelNotFound):
            await accept_training(session, new_training(model=model_id), NOW)


async def test_a_version_knows_its_class(database: Database) -> None:
    first, _, _ = await trained_twice(database)
    async with database.write() as session:
        new = replace(new_training(model=str(first.model_id)), class_noun="puppy", subject_kind=SubjectKind.OBJECT)
        third = await accept_training(session, new, NOW)
    await ended(database, third)
    async with database.write() as session:
        model = await session.get_one(Model, first.model_id)
        assert (model.class_noun, model.subject_kind) == ("puppy", SubjectKind.OBJECT)
        await use_version(session, model, 2)
        assert (model.class_noun, model.subject_kind) == ("dog", SubjectKind.PET)


async def test_a_question_about_the_class_goes_on_with_the_model(database: Database) -> None:
    first, _, _ = await trained_twice(database)
    third = await asked_again(database, str(first.model_id), flaws=("dark",), photos=3)
    doubt = Failed(job=third.id, attempt=1, seq=1, reason=FailureReason.CLASS_DOUBTFUL, seen_class="fox")
    async with database.write() as session:
        await apply_event(session, doubt, NOW)
    answer = Answer(
        job="a" * 32, model="b" * 32, class_noun="fox", subject_kind=SubjectKind.PET, interaction_id=1, guild_id=GUILD,
        channel_id=CHANNEL,
    )  # fmt: skip
    async with database.write() as session:
        asked = await session.get_one(Job, third.id)
        fourth = await train_after_all(session, asked, answer, NOW)
    assert (fourth.model_id, fourth.photo_flaws) == (first.model_id, ["dark"])
    await ended(database, fourth)
    model = await model_of(database, first)
    assert (model.version, model.class_noun) == (3, "fox")
