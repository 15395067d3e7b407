"""Two models in one prompt, from the words to the card, and what becomes of the pictures when either goes."""

from sqlalchemy import select

from storage.bin import bin_model
from storage.erasure import delete_model
from storage.gallery import uses_of
from storage.jobs import pictures_of
from storage.schema import Job, JobState, Model, SecondSubject
from tests.bot.conftest import Restart, World, answer, words
from tests.bot.made import begun, drawn, trained
from tests.bot.test_imagine import finished, imagine, newest, only_job, refused


async def both(world: World) -> tuple[Model, Model]:
    return await trained(world, world.ada), await trained(world, world.ada, "luna", "cat")


async def test_both_are_drawn_side_by_side(world: World) -> None:
    rex, luna = await both(world)

    result = await imagine(world, "luna and Rex on the moon", count=2)

    job = await only_job(world)
    assert (job.request["prompt"], job.request["adapter"]) == ("wsw cat and sks dog on the moon", None)
    assert job.request["subjects"] == [
        {
            "adapter": {"model": luna.id, "key": luna.adapter_key, "digest": luna.adapter_digest},
            "prompt": "wsw cat on the moon",
        },
        {
            "adapter": {"model": rex.id, "key": rex.adapter_key, "digest": rex.adapter_digest},
            "prompt": "sks dog on the moon",
        },
    ]
    assert job.model_id == luna.id
    assert "### luna and rex" in answer(result)


async def test_again_draws_both_again_after_a_restart(world: World, restart: Restart) -> None:
    await both(world)
    job, message = await finished(world, "rex and luna on the moon", seed=7)

    await restart()
    await world.ada.click(message, label="Again")

    again = await only_job(world)
    assert again.request["subjects"] == job.request["subjects"]
    assert again.request["seed"] != job.request["seed"]
    await drawn(world, again)
    await world.deliver()
    assert "### rex and luna" in words(newest(world))


async def test_somebody_elses_model_can_stand_beside_ones_own_where_it_is_shared(world: World) -> None:
    await trained(world, world.ada, shared_with=world.guild.id)
    await trained(world, world.ben, "luna", "cat")

    await imagine(world, "rex and luna", world.ben)

    job = await only_job(world, world.ben)
    assert [subject["prompt"] for subject in job.request["subjects"]] == ["sks dog", "sks cat"]  # both are called sks
    assert (await world.active(world.ada)) == []


async def test_a_model_that_is_not_shared_is_a_plain_word(world: World) -> None:
    await trained(world, world.ada)
    luna = await trained(world, world.ben, "luna", "cat")

    await imagine(world, "rex and luna", world.ben)

    job = await only_job(world, world.ben)
    assert (job.model_id, job.request["prompt"], "subjects" in job.request) == (luna.id, "rex and sks cat", False)


async def test_the_second_has_to_be_ready_too(world: World) -> None:
    await trained(world, world.ada)
    await begun(world, world.ada, "luna", "cat")

    assert "luna" in await refused(world, "rex and luna on the moon")


async def test_who_deletes_the_second_model_deletes_the_pictures_of_both(world: World) -> None:
    rex, luna = await both(world)
    job, _ = await finished(world, "rex and luna on the moon")
    await imagine(world, "rex chasing luna")
    waiting = await only_job(world)
    async with world.services.database.read() as session:
        (picture,) = await pictures_of(session, job.id)
        assert set(await session.scalars(select(SecondSubject.model_id))) == {luna.id}

    async with world.services.database.read() as session:
        assert await uses_of(session, luna.id) == await uses_of(session, rex.id) == (2, 1)
    async with world.services.database.write() as session:
        await bin_model(session, luna.id, world.ada.id, world.clock())
    async with world.services.database.read() as session:
        assert (await session.get_one(Job, waiting.id)).state is JobState.CANCELLED
    async with world.services.database.write() as session:
        keys = await delete_model(session, luna.id, world.ada.id, world.clock())

    assert picture.key in keys
    async with world.services.database.read() as session:
        assert await pictures_of(session, job.id) == []
        assert (await session.get_one(Job, job.id)).prompt_shown is None
        assert (await session.get_one(Model, rex.id)).deleted_at is None
