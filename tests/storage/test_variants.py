"""A model draws with the variant that its owner chose, and all of them go with it."""

from typing import Any

import pytest
from pydantic import ValidationError

from storage.contract import Done, ImagineRequest, JobKind, Trained, Variant
from storage.database import Database
from storage.erasure import delete_model
from storage.errors import ModelNotFound
from storage.events import apply_event
from storage.imaginings import accept_imagining
from storage.jobs import pictures_of
from storage.leftovers import unreferenced
from storage.schema import Job, Model
from storage.variants import choices, use_variant
from tests.storage.examples import ANN, NOW, accepted_training, new_imagining, trained


async def learned(database: Database, **changes: Any) -> tuple[Job, Trained]:
    """Train a model to its end; `changes` are to what the worker tells of it."""
    job = await accepted_training(database)
    done = trained(job)
    assert done.trained is not None
    told = done.trained.model_copy(update=changes)
    async with database.write() as session:
        await apply_event(session, done.model_copy(update={"trained": told}), NOW)
    return job, told


async def use(database: Database, job: Job, variant: Variant) -> Model:
    async with database.write() as session:
        model = await session.get_one(Model, job.model_id)
        await use_variant(session, model, variant)
        return model


async def test_what_is_drawn_downloaded_and_shown_follows_the_choice(database: Database) -> None:
    job, told = await learned(database)
    (alike,) = told.runners_up
    async with database.read() as session:
        assert await choices(session, str(job.model_id)) == [Variant.BEST, Variant.ALIKE]
        assert [image.key for image in await pictures_of(session, job.id)] == [each.key for each in told.samples]
        shown = await pictures_of(session, job.id, Variant.ALIKE)
    assert [image.key for image in shown] == [each.key for each in alike.samples]

    for variant, files in ((Variant.ALIKE, alike), (Variant.ALIKE, alike), (Variant.BEST, told)):
        model = await use(database, job, variant)
        assert (model.variant, model.cover_key) == (variant, files.samples[0].key)
        assert (model.download_key, model.subject_score) == (files.download, files.subject_score)
        async with database.write() as session:
            drawn = await accept_imagining(session, new_imagining(model=model), NOW, limit=10)
        assert ImagineRequest.model_validate(drawn.request).adapter == files.adapter


async def test_a_model_without_a_choice_offers_none(database: Database) -> None:
    job, _ = await learned(database, runners_up=())
    async with database.read() as session:
        assert await choices(session, str(job.model_id)) == []
    with pytest.raises(ModelNotFound):
        await use(database, job, Variant.ALIKE)


@pytest.mark.parametrize("used", [Variant.BEST, Variant.ALIKE])
async def test_every_variant_goes_with_its_model(database: Database, used: Variant) -> None:
    job, told = await learned(database)
    await use(database, job, used)
    keys = list(told.keys())
    async with database.read() as session:
        assert await unreferenced(session, keys) == []
    async with database.write() as session:
        assert set(await delete_model(session, str(job.model_id), ANN, NOW)) >= set(keys)
    async with database.read() as session:
        assert await unreferenced(session, keys) == keys
        assert await choices(session, str(job.model_id)) == []


async def test_a_worker_is_not_trusted_with_files_of_another_model(database: Database) -> None:
    job = await accepted_training(database)
    done = trained(job)
    assert done.trained is not None
    (alike,) = done.trained.runners_up
    foreign = alike.model_copy(update={"adapter": alike.adapter.model_copy(update={"model": "f" * 32})})
    elsewhere = alike.model_copy(update={"download": f"models/{job.model_id}/{'f' * 32}/1/download.safetensors"})
    for runners_up in ((foreign,), (elsewhere,), (alike, alike)):
        told = done.trained.model_copy(update={"runners_up": runners_up})
        async with database.write() as session:
            assert await apply_event(session, done.model_copy(update={"trained": told, "seq": 5}), NOW) is None


def test_an_event_of_a_worker_that_knows_no_variants_is_understood() -> None:
    job = Job(
        id="0" * 32, kind=JobKind.TRAIN, owner_id=ANN, guild_id=None, channel_id=1, model_id="1" * 32, interaction_id=1,
        base="demo", request={}, created_at=NOW,
    )  # fmt: skip
    old = trained(job).model_dump(mode="json")
    for name in ("runners_up", "findings"):
        del old["trained"][name]
    read = Done.model_validate(old)
    assert read.trained is not None
    assert (read.trained.runners_up, read.trained.findings) == ((), None)
    del old["trained"]["download"]
    with pytest.raises(ValidationError):
        Done.model_validate(old)
