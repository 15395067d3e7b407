"""`/admin takedown` and `restore`: a model that nobody can use, whose owner knows why."""

from simcord.actors import MemberActor

from storage.schema import JobState, Model, ModelStatus
from tests.bot.conftest import World, answer, choose_model, shown, words
from tests.bot.made import drawn, trained

WHY = "It shows *somebody* who did not agree"


async def take_down(world: World, operator: MemberActor, model: Model) -> str:
    return answer(await operator.slash(world.channel, "admin takedown", model=model.id, reason=WHY))


async def test_nobody_uses_or_finds_it_and_its_jobs_stop(world: World, operator: MemberActor) -> None:
    rex = await trained(world, world.ada, shared_with=world.guild.id)
    card = await world.ben.slash(world.channel, "imagine", prompt="rex at sea")
    (first,) = await world.active(world.ben)
    await drawn(world, first)
    await world.deliver(after=5)
    await world.ben.slash(world.channel, "imagine", prompt="rex at sea")
    (job,) = await world.active(world.ben)

    told = await take_down(world, operator, rex)

    assert f"**rex**, of <@{world.ada.id}>, is taken down" in told
    assert "Its owner has not let me write to them directly" in told
    assert (await world.job(job.id)).state is JobState.CANCELLED
    assert world.queue.stopped == [job.id]
    for person in (world.ada, world.ben):
        named = await person.slash(world.channel, "imagine", prompt="rex at sea", model=rex.id)
        assert "in line" not in answer(named)
        assert await person.autocomplete(world.channel, "imagine", "model", "re", prompt="x") == []
    assert "was taken down by those who run this bot" in answer(
        await world.ada.slash(world.channel, "imagine", prompt="rex at sea")
    )
    assert "There is no such model" in answer(await world.ben.click(shown(card), label="Again"))
    assert "rex" not in answer(await world.ben.slash(world.channel, "models", whose="server"))


async def test_its_owner_reads_why_and_may_delete_it(world: World, operator: MemberActor) -> None:
    rex = await trained(world, world.ada)
    await world.ada.click(shown(await world.ada.slash(world.channel, "settings")), label="Allow direct messages")
    assert "Its owner has a direct message" in await take_down(world, operator, rex)

    page = shown(await world.ada.slash(world.channel, "models"))
    assert "taken down" in words(page.message)
    await choose_model(page, world.ada, rex.id)
    assert "> It shows \\*somebody\\* who did not agree" in words(page.message)
    assert "Download" not in words(page.message)
    await world.ada.click(page, label="Delete")
    await world.ada.click(page, label="Delete it for good")
    assert await world.services.blobs.list("models") == []
    restored = answer(await operator.slash(world.channel, "admin restore", model=rex.id))
    assert "There is no such model" in restored


async def test_it_is_given_back_as_it_was(world: World, operator: MemberActor) -> None:
    rex = await trained(world, world.ada, shared_with=world.guild.id)
    assert await operator.autocomplete(world.channel, "admin restore", "model", "re") == []
    (choice,) = await operator.autocomplete(world.channel, "admin takedown", "model", "RE", reason="x")
    assert choice == {"name": f"rex · dog · owner {world.ada.id}", "value": rex.id}
    await take_down(world, operator, rex)
    await take_down(world, operator, rex)
    (choice,) = await operator.autocomplete(world.channel, "admin restore", "model", "re")
    assert choice["value"] == rex.id

    assert "can be used again" in answer(await operator.slash(world.channel, "admin restore", model=rex.id))
    assert "Next in line." in answer(await world.ben.slash(world.channel, "imagine", prompt="rex at sea"))


async def test_what_is_drawn_at_that_moment_does_not_appear(world: World, operator: MemberActor) -> None:
    rex = await trained(world, world.ada)
    await world.ada.slash(world.channel, "imagine", prompt="rex at sea")
    (job,) = await world.active(world.ada)
    async with world.services.database.write() as session:
        (await session.get_one(Model, rex.id)).status = ModelStatus.TAKEN_DOWN
    await drawn(world, job)
    assert (await world.job(job.id)).state is JobState.CANCELLED


async def test_it_is_for_operators_alone(world: World, manager: MemberActor) -> None:
    rex = await trained(world, world.ada)
    assert (await take_down(world, manager, rex)).startswith("That is for those who run this bot.")
    assert await manager.autocomplete(world.channel, "admin takedown", "model", "re", reason="x") == []
