from dataclasses import replace
from datetime import timedelta

import pytest

from storage.bin import UNDO_LIFE, bin_model, binned_models, overdue_models, take_back
from storage.contract import FailureReason, Sample, sample_key
from storage.database import Database
from storage.deliveries import find_delivery, mark_sent
from storage.erasure import delete_model
from storage.errors import InvalidName, ModelNotFound, ModelNotReady, NameTaken
from storage.events import apply_event
from storage.gallery import Scope, Sort, count_models, page_of_models, search_models
from storage.imaginings import accept_imagining
from storage.jobs import find_job, pictures_of, request_cancel
from storage.model_names import rename_model
from storage.models import find_model, find_own_model, model_of, own_models, suggest_models, usable_models
from storage.outcomes import fail_job
from storage.schema import DeliveryKind, JobState, Model, ModelStatus
from storage.sharing import (
    people_shared_with,
    publish_model,
    roles_shared_with,
    share_model,
    share_with_people,
    share_with_roles,
    transfer_model,
    unshare_model,
)
from tests.storage.examples import (
    ANN,
    BOB,
    GUILD,
    NOW,
    accepted_imagining,
    accepted_training,
    imagined,
    new_imagining,
    trained,
)

OTHER_GUILD = 501


async def ready(database: Database, owner: int = ANN, name: str = "rex") -> Model:
    job = await accepted_training(database, owner, name)
    async with database.write() as session:
        await apply_event(session, trained(job), NOW)
    async with database.read() as session:
        return await session.get_one(Model, job.model_id)


async def shared(database: Database, owner: int = ANN, name: str = "rex") -> Model:
    model = await ready(database, owner, name)
    async with database.write() as session:
        return await share_model(session, model.id, owner, GUILD)


async def usable(database: Database, asker: int, guild: int | None) -> list[str]:
    async with database.read() as session:
        return [model.name for model in await usable_models(session, asker, guild)]


async def test_a_model_is_for_its_owner_until_it_is_shared(database: Database) -> None:
    model = await ready(database)
    assert await usable(database, ANN, GUILD) == await usable(database, ANN, None) == ["rex"]
    assert await usable(database, BOB, GUILD) == await usable(database, BOB, None) == []

    async with database.write() as session:
        await share_model(session, model.id, ANN, GUILD)
    assert await usable(database, BOB, GUILD) == ["rex"]
    assert await usable(database, BOB, OTHER_GUILD) == await usable(database, BOB, None) == []

    async with database.write() as session:
        await unshare_model(session, model.id, ANN)
    assert await usable(database, BOB, GUILD) == []


async def test_suggestions_hold_what_was_typed_and_those_that_begin_with_it_come_first(database: Database) -> None:
    for name in ("luna", "zelda"):
        await shared(database, BOB, name)
    for name in ("rex", "dilu", "lucy"):
        await ready(database, ANN, name)

    async def suggested(part: str, limit: int = 25) -> list[str]:
        async with database.read() as session:
            return [model.name for model in await suggest_models(session, part, ANN, GUILD, limit)]

    assert await suggested("lu") == ["lucy", "luna", "dilu"]
    assert await suggested("lu", limit=2) == ["lucy", "luna"]
    assert await suggested("") == ["dilu", "lucy", "rex", "luna", "zelda"]
    assert await suggested("%") == []


async def test_ones_own_models_come_first(database: Database) -> None:
    for name in ("zoe", "ada"):
        await shared(database, BOB, name)
    for name in ("rex", "luna"):
        await ready(database, ANN, name)
    assert await usable(database, ANN, GUILD) == ["luna", "rex", "ada", "zoe"]


async def test_a_model_in_training_or_failed_is_shown_but_not_used(database: Database) -> None:
    job = await accepted_training(database)
    async with database.read() as session:
        assert [model.status for model in await own_models(session, ANN, 0, 10)] == [ModelStatus.TRAINING]
        assert await usable_models(session, ANN, GUILD) == []
    with pytest.raises(ModelNotReady) as caught:
        async with database.write() as session:
            await share_model(session, str(job.model_id), ANN, GUILD)
    assert caught.value.name == "rex"
    async with database.write() as session:
        await fail_job(session, job.id, FailureReason.DIVERGED, NOW)
    async with database.read() as session:
        assert await count_models(session, Scope.MINE, ANN, None) == 1
        assert await usable_models(session, ANN, GUILD) == []


async def test_a_stranger_finds_a_model_only_where_it_is_shared(database: Database) -> None:
    private, public = await ready(database, name="private"), await shared(database, name="public")
    async with database.read() as session:
        assert (await find_model(session, public.id, BOB, GUILD)).name == "public"
        assert (await find_model(session, private.id, ANN, None)).name == "private"
        for model, guild in ((private, GUILD), (private, None), (public, OTHER_GUILD), (public, None)):
            with pytest.raises(ModelNotFound):
                await find_model(session, model.id, BOB, guild)
        with pytest.raises(ModelNotFound):
            await find_model(session, "0" * 32, BOB, GUILD)


async def test_only_the_owner_may_change_a_model(database: Database) -> None:
    model = await shared(database)
    for change in (
        lambda session: find_own_model(session, model.id, BOB),
        lambda session: rename_model(session, model.id, BOB, "mine"),
        lambda session: share_model(session, model.id, BOB, OTHER_GUILD),
        lambda session: unshare_model(session, model.id, BOB),
        lambda session: delete_model(session, model.id, BOB, NOW),
    ):
        with pytest.raises(ModelNotFound):
            async with database.write() as session:
                await change(session)
    async with database.read() as session:
        assert await session.get_one(Model, model.id) == model


async def test_pages_and_counts_agree(database: Database) -> None:
    names = [f"dog {n}" for n in range(5)]
    for name in names:
        await shared(database, ANN, name)
    await ready(database, BOB, "hidden")
    async with database.read() as session:
        for scope in (Scope.MINE, Scope.SERVER):
            assert await count_models(session, scope, ANN, GUILD) == 5
            pages = [await page_of_models(session, scope, Sort.NAME, ANN, GUILD, offset, 2) for offset in (0, 2, 4)]
            assert [model.name for page in pages for model in page] == names
        assert await count_models(session, Scope.SERVER, ANN, OTHER_GUILD) == 0
        assert await count_models(session, Scope.SERVER, ANN, None) == 0
        assert [len(await own_models(session, ANN, offset, 3)) for offset in (0, 3)] == [3, 2]


async def test_a_model_is_shared_with_people_and_with_everybody(database: Database) -> None:
    rex, luna = await ready(database, name="rex"), await ready(database, name="luna")
    async with database.write() as session:
        await share_with_people(session, rex.id, ANN, [BOB, ANN])
        await publish_model(session, luna.id, ANN, NOW)
    assert await usable(database, BOB, None) == ["rex"]  # public ones are found, but not named in passing
    async with database.read() as session:
        assert await people_shared_with(session, rex.id) == [BOB]
        for scope, names in ((Scope.GIVEN, ["rex"]), (Scope.PUBLIC, ["luna"]), (Scope.MINE, []), (Scope.SERVER, [])):
            found = await page_of_models(session, scope, Sort.NEWEST, BOB, GUILD, 0, 9)
            assert [model.name for model in found] == names
        assert (await find_model(session, luna.id, BOB, None)).id == luna.id
        assert [model.id for model in await search_models(session, " RE", BOB, None, 25)] == [rex.id]
        assert await search_models(session, "%", BOB, None, 25) == []
    async with database.write() as session:
        await share_with_people(session, rex.id, ANN, [])
        await publish_model(session, luna.id, ANN, None)
    for model in (rex, luna):
        async with database.read() as session:
            with pytest.raises(ModelNotFound):
                await find_model(session, model.id, BOB, GUILD)


async def test_a_model_is_shared_with_the_roles_of_a_server(database: Database) -> None:
    rex = await ready(database, name="rex")
    painters, bakers, elsewhere = 71, 72, 73
    async with database.write() as session:
        await share_with_roles(session, rex.id, ANN, OTHER_GUILD, [elsewhere])
        await share_with_roles(session, rex.id, ANN, GUILD, [painters])
        await share_with_roles(session, rex.id, ANN, GUILD, [bakers, bakers])
    async with database.write() as session:
        assert await roles_shared_with(session, rex.id, GUILD) == [bakers]
        assert await usable_models(session, BOB, GUILD) == await usable_models(session, BOB, GUILD, {painters}) == []
        for roles in ({bakers, painters}, {elsewhere}):
            assert [model.id for model in await usable_models(session, BOB, GUILD, roles)] == [rex.id]
            assert [model.id for model in await suggest_models(session, "re", BOB, GUILD, 9, roles)] == [rex.id]
            assert await count_models(session, Scope.GIVEN, BOB, GUILD, roles) == 1
            assert (await find_model(session, rex.id, BOB, GUILD, roles)).id == rex.id
        await accept_imagining(session, replace(new_imagining(BOB, rex), roles=frozenset({bakers})), NOW)
        with pytest.raises(ModelNotFound):
            await accept_imagining(session, new_imagining(BOB, rex), NOW)
    async with database.write() as session:
        await transfer_model(session, rex.id, ANN, BOB, NOW)
        assert await roles_shared_with(session, rex.id, GUILD) == []
        assert await usable_models(session, ANN, GUILD, {bakers}) == []


async def test_a_model_is_given_away_once_and_is_its_heirs_alone(database: Database) -> None:
    rex = await shared(database)
    async with database.write() as session:
        await share_with_people(session, rex.id, ANN, [BOB])
        await transfer_model(session, rex.id, ANN, BOB, NOW)
    assert await usable(database, ANN, GUILD) == []
    assert await usable(database, BOB, None) == ["rex"]
    with pytest.raises(ModelNotFound):
        async with database.write() as session:
            await transfer_model(session, rex.id, ANN, BOB, NOW)
    other = await ready(database, ANN, "Rex")
    with pytest.raises(NameTaken):
        async with database.write() as session:
            await transfer_model(session, other.id, ANN, BOB, NOW)


async def test_a_deleted_model_can_be_taken_back_for_a_day(database: Database) -> None:
    rex = await shared(database)
    async with database.write() as session:
        await bin_model(session, rex.id, ANN, NOW)
    assert await usable(database, ANN, GUILD) == await usable(database, BOB, GUILD) == []
    async with database.read() as session:
        assert [model.id for model in await binned_models(session, ANN)] == [rex.id]
        assert await binned_models(session, BOB) == []
        assert await overdue_models(session, NOW + UNDO_LIFE - timedelta(seconds=1), 9) == []
    for stranger in (BOB, 99):
        with pytest.raises(ModelNotFound):
            async with database.write() as session:
                await take_back(session, rex.id, stranger)
    async with database.write() as session:
        await take_back(session, rex.id, ANN)
    assert await usable(database, BOB, GUILD) == ["rex"]

    async with database.write() as session:
        await bin_model(session, rex.id, ANN, NOW)
    await ready(database, ANN, "REX")  # its name is free meanwhile
    with pytest.raises(NameTaken):
        async with database.write() as session:
            await take_back(session, rex.id, ANN)
    async with database.read() as session:
        assert [model.id for model in await overdue_models(session, NOW + UNDO_LIFE, 9)] == [rex.id]
    async with database.write() as session:
        assert rex.adapter_key in await delete_model(session, rex.id, ANN, NOW)
    async with database.read() as session:
        assert await binned_models(session, ANN) == []


async def test_renaming_keeps_names_apart(database: Database) -> None:
    rex, luna = await ready(database, name="rex"), await ready(database, name="luna")
    async with database.write() as session:
        assert (await rename_model(session, rex.id, ANN, " REX ")).name == "REX"
    for wrong, error in (("Luna", NameTaken), ("*", InvalidName)):
        with pytest.raises(error):
            async with database.write() as session:
                await rename_model(session, rex.id, ANN, wrong)
    async with database.write() as session:
        await rename_model(session, luna.id, ANN, "moon")
        await rename_model(session, rex.id, ANN, "Luna")
    assert await usable(database, ANN, None) == ["Luna", "moon"]


async def test_deleting_forgets_everything_made_of_the_photos(database: Database) -> None:
    model = await shared(database)
    picture = await accepted_imagining(database, BOB, model)
    async with database.write() as session:
        await apply_event(session, imagined(picture), NOW)
    async with database.write() as session:
        keys = await delete_model(session, model.id, ANN, NOW)

    assert len(keys) == len(set(keys)) == 3 + 4 + 1 + 4  # photos, samples, a picture, and two files of each variant
    assert {key.split("/")[0] for key in keys} == {"photos", "samples", "pictures", "models"}
    async with database.read() as session:
        assert await pictures_of(session, picture.id) == []
        assert await usable_models(session, ANN, GUILD) == await own_models(session, ANN, 0, 9) == []
        job = await find_job(session, picture.id)
        assert job is not None
        assert (job.state, (await model_of(session, job)) is not None) == (JobState.SUCCEEDED, True)
        with pytest.raises(ModelNotFound):
            await find_model(session, model.id, ANN, GUILD)
    await accepted_training(database)


async def test_deleting_a_model_in_training_stops_it(database: Database) -> None:
    job = await accepted_training(database)
    async with database.write() as session:
        keys = await delete_model(session, str(job.model_id), ANN, NOW)
    assert len(keys) == 3
    async with database.read() as session:
        stopped = await find_job(session, job.id)
    assert stopped is not None
    assert stopped.state is JobState.CANCELLED


async def test_a_card_lets_go_of_the_sample_of_a_deleted_model(database: Database) -> None:
    """Also where its owner had asked before that the training stop, and the card said so already."""
    job = await accepted_training(database)
    async with database.write() as session:
        sample = Sample(job=job.id, attempt=1, seq=1, step=10, key=sample_key(job.id, 1, "000010"))
        await apply_event(session, sample, NOW)
        await request_cancel(session, job.id, ANN, NOW)
    async with database.write() as session:
        card = await find_delivery(session, job.id, DeliveryKind.CARD)
        assert card is not None
        await mark_sent(session, card.id, 77, card.revision, NOW)
        before = card.dirty
        keys = await delete_model(session, str(job.model_id), ANN, NOW)
        assert (before, card.dirty) == (False, True)
    assert sample.key in keys
