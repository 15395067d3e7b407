"""`/admin statistics`: what was made, day by day; a server's manager sees their own server alone."""

import io
from datetime import date, timedelta

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Picture
from simcord.actors import MemberActor

from bot.usage_chart import BAR, draw_chart
from bot.views.statistics_card import render
from storage.contract import Failed, FailureReason
from storage.statistics import DAYS, Day, Figures
from tests.bot.conftest import World, answer, shown
from tests.bot.made import drawn, trained
from tests.bot.payloads import check_message

NONE = Figures(pictures=0, trainings=0, people=0, gpu_seconds=0, failures=0)


async def test_figures_of_all_servers_and_of_one(world: World, operator: MemberActor, manager: MemberActor) -> None:
    await trained(world, world.ada)
    world.clock.advance(DAYS * 86_400)  # so long ago does not count
    other = world.env.create_guild("Another server")
    there = other.add_member(world.ben)  # type: ignore[arg-type]  # the same person
    await there.slash(other.create_text_channel("studio"), "imagine", prompt="a boat", count=3)
    (boat,) = await world.active(world.ben)
    await drawn(world, boat)
    world.clock.advance(86_400)
    await trained(world, world.ada, "luna")
    await world.ben.slash(world.channel, "imagine", prompt="a boat")
    (failed,) = await world.active(world.ben)
    await world.apply(Failed, failed.id, reason=FailureReason.ENGINE_DIED)

    everywhere = await operator.slash(world.channel, "admin statistics")
    told = answer(everywhere)
    assert everywhere.ephemeral
    assert "### The last 14 days, everywhere" in told
    assert "- 3 pictures and 1 training; 2 people asked\n- 92 GPU seconds\n- 1 failure" in told
    assert f"Pictures {'0, ' * 12}3, 0." in told
    (chart,) = shown(everywhere).attachments
    assert chart.filename == "statistics.png"
    one = "in this server\n- no pictures and 1 training; 2 people asked\n- 90 GPU seconds\n- 1 failure"
    assert one in answer(await manager.slash(world.channel, "admin statistics"))
    assert one in answer(await operator.slash(world.channel, "admin statistics", here=True))


async def test_they_are_for_managers_alone(world: World) -> None:
    (command,) = [each for each in await world.bot.tree.fetch_commands() if each.name == "admin"]
    world.guild.set_command_permissions(command, {world.ada: True})
    told = answer(await world.ada.slash(world.channel, "admin statistics"))
    assert told == "That is for those who may manage this server."


def of_days(figures: list[Figures]) -> list[Day]:
    return [Day(date(2026, 1, 1) + timedelta(days=number), each) for number, each in enumerate(figures)]


def test_what_there_is_can_be_seen_however_little() -> None:
    few = [NONE] * (DAYS - 2) + [Figures(pictures=1, trainings=0, people=0, gpu_seconds=0, failures=0)]
    many = Figures(pictures=10**6, trainings=0, people=0, gpu_seconds=0, failures=0)
    none, some, more = (
        int((np.asarray(Picture.open(io.BytesIO(draw_chart(of_days(days))))) == BAR).all(axis=2).sum())
        for days in ([NONE] * DAYS, [*few, NONE], [*few, many])
    )
    assert none == 0 < some
    assert more > some


FIGURES = st.builds(
    Figures,
    pictures=st.integers(0, 10**9),
    trainings=st.integers(0, 10**9),
    people=st.integers(0, 10**9),
    gpu_seconds=st.floats(0, 1e12),
    failures=st.integers(0, 10**9),
)


@settings(max_examples=4)
@given(st.lists(FIGURES, min_size=DAYS, max_size=DAYS), FIGURES)
def test_discord_takes_the_card(days: list[Figures], together: Figures) -> None:
    check_message(render(of_days(days), together, everywhere=True, price_per_hour=1, currency="€").view)
