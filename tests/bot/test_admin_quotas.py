"""`/admin quotas`: limits of a server and of its roles, which hold where jobs are promised."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from simcord.actors import MemberActor

from bot.commands.admin.quotas import MOST_PICTURES, MOST_TRAININGS, quotas
from bot.views.quota_card import render
from storage.contract import JobKind
from storage.limits import EVERYBODY, MOST_ROLES, set_limit
from storage.schema import Limit
from tests.bot.conftest import World, answer
from tests.bot.made import drawn
from tests.bot.payloads import check_message


async def imagine(world: World, who: MemberActor, count: int) -> str:
    told = answer(await who.slash(world.channel, "imagine", prompt="a boat", count=count))
    for job in await world.active(who):
        await drawn(world, job)
    return told


async def test_a_server_gives_its_members_less(world: World, manager: MemberActor) -> None:
    told = answer(await manager.slash(world.channel, "admin quotas", pictures=3, trainings=0))
    assert "**Everybody**: 3 pictures, no trainings" in told
    assert "You have 3 of your 3 pictures in 24 hours left" in await imagine(world, world.ada, 4)
    assert "in line" in await imagine(world, world.ada, 3)
    assert "You have had your 3 pictures" in await imagine(world, world.ada, 1)
    refused = answer(await world.ada.slash(world.channel, "train", name="luna", **{"class": "dog"}))
    assert refused == "You can ask for no trainings in this server. Those who manage it can change that."
    assert "- 3 of 3 pictures" in answer(await world.ada.slash(world.channel, "usage"))
    assert "3 of 3 pictures in 24 hours" in answer(await world.ada.slash(world.channel, "jobs"))
    assert "in line" in answer(await world.ben.slash(world.channel, "imagine", prompt="a boat", count=3))

    back = answer(await manager.slash(world.channel, "admin quotas", usual=True))
    assert "**Everybody**: 200 pictures (the usual), 10 trainings (the usual)" in back
    assert "in line" in await imagine(world, world.ada, 1)


async def test_the_most_generous_of_ones_roles_counts(world: World, operator: MemberActor) -> None:
    few, many = world.guild.create_role("Few"), world.guild.create_role("Many")
    cleo = world.guild.add_member(world.env.create_user("cleo"), roles=[few, many])
    dora = world.guild.add_member(world.env.create_user("dora"), roles=[few])
    await operator.slash(world.channel, "admin quotas", pictures=2)
    await operator.slash(world.channel, "admin quotas", role=few, pictures=1)
    told = answer(await operator.slash(world.channel, "admin quotas", role=many, pictures=4))
    assert f"<@&{few.id}>: 1 picture\n- <@&{many.id}>: 4 pictures" in told
    assert "1 of your 1 pictures" in await imagine(world, dora, 2)
    assert "2 of your 2 pictures" in await imagine(world, world.ada, 4)
    assert "in line" in await imagine(world, cleo, 4)
    await operator.slash(world.channel, "admin quotas", role=many, usual=True)
    assert "You have had your 1 picture" in await imagine(world, cleo, 1)


async def test_more_than_usual_is_for_operators(world: World, manager: MemberActor, operator: MemberActor) -> None:
    told = answer(await manager.slash(world.channel, "admin quotas", pictures=201))
    assert told.startswith("A server can allow its members up to 200 pictures in 24 hours.")
    assert "200 pictures," in answer(await manager.slash(world.channel, "admin quotas", pictures=200))
    assert "201 pictures," in answer(await operator.slash(world.channel, "admin quotas", pictures=201))


async def test_the_limits_of_limits(world: World, operator: MemberActor) -> None:
    bounds = {each.name: (each.min_value, each.max_value) for each in quotas.parameters}
    assert (bounds["pictures"], bounds["trainings"]) == ((0, MOST_PICTURES), (0, MOST_TRAININGS))
    async with world.services.database.write() as session:
        for role in range(1, MOST_ROLES + 1):
            await set_limit(session, world.guild.id, role, JobKind.IMAGINE, 1)
    more = world.guild.create_role("One more")
    told = answer(await operator.slash(world.channel, "admin quotas", role=more, pictures=1))
    assert told.startswith(f"This server has limits for {MOST_ROLES} roles")
    assert "**Everybody**: 5 pictures" in answer(await operator.slash(world.channel, "admin quotas", pictures=5))


async def test_they_are_for_managers_alone(world: World) -> None:
    (command,) = [each for each in await world.bot.tree.fetch_commands() if each.name == "admin"]
    world.guild.set_command_permissions(command, {world.ada: True})
    told = answer(await world.ada.slash(world.channel, "admin quotas", pictures=5))
    assert told == "That is for those who may manage this server."


@given(st.data())
def test_discord_takes_the_card(data: st.DataObject) -> None:
    roles = data.draw(st.lists(st.integers(1, 2**64 - 1), unique=True, max_size=MOST_ROLES))
    per_day = st.integers(0, MOST_PICTURES)
    limits = [
        Limit(guild_id=1, role_id=role, kind=kind, per_day=data.draw(per_day))
        for role in (EVERYBODY, *roles)
        for kind in data.draw(st.sets(st.sampled_from(JobKind)))
    ]
    check_message(render(limits, {kind: data.draw(st.none() | per_day) for kind in JobKind}))


@pytest.mark.parametrize("usual", [None, 1])
def test_no_limit_is_said(usual: int | None) -> None:
    said = str(render([], dict.fromkeys(JobKind, usual)).to_components())  # type: ignore[no-untyped-call]
    assert ("any number of pictures (the usual)" in said) == (usual is None)
