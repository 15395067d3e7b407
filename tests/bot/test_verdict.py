"""The one line under a result: how good the model is, and what would make it better."""

from datetime import UTC, datetime
from typing import Any

import pytest

from bot.photo_checks import Flaw
from bot.result_text import REMEDIES, verdict
from bot.verdict import RULES, Remedy
from storage.contract import Findings, SubjectKind
from storage.schema import Model
from tests.bot.conftest import World, words
from tests.bot.made import trained
from tests.bot.photo_sets import blurred
from tests.bot.photos import drawn_photo, encoded
from tests.bot.test_train import agree, train

WELL = Findings(adherence=1, copied=0, repeated=0, drift=0)


def model(score: float | None = 0.9, photos: int = 6, **facts: Any) -> Model:
    findings = facts.pop("findings", WELL)
    return Model(
        id="0" * 32, owner_id=1, guild_id=None, name="rex", name_key="rex", class_noun="dog", identifier="sks",
        subject_kind=facts.pop("kind", SubjectKind.PET), base="demo", photo_count=photos, subject_score=score,
        created_at=datetime(2026, 1, 1, tzinfo=UTC), findings=findings and findings.model_dump(), **facts,
    )  # fmt: skip


def test_a_good_model_of_good_photos_needs_no_advice() -> None:
    assert verdict(model(0.83)) == "Score 0.83: a very good likeness."


@pytest.mark.parametrize(
    ("known", "advice"),
    [
        (model(photos=4), "add a photo or two, from the side and from behind"),
        (model(photo_flaws=["alike"]), "swap photos of the same view for some from other sides"),
        (model(photo_flaws=["small", "blurred"]), "swap the blurred photos for sharp ones"),
        (model(photo_flaws=["headless"], photos=4), "add a photo that shows all of it"),
        (model(findings=WELL.model_copy(update={"copied": 0.2})), "add photos in other places, for it clings to these"),
        (model(findings=WELL.model_copy(update={"repeated": 0.5})), "add photos in other places"),
        (model(findings=WELL.model_copy(update={"adherence": 0.5})), "add photos in other places"),
        (model(0.7), "add a photo from the side"),
        (model(0.7, kind=SubjectKind.STYLE), "add pictures that show other things in the same style"),
        (model(0.2, photo_flaws=["dark"], kind=SubjectKind.OBJECT), "swap the photos that are too dark or too bright"),
    ],
)
def test_advice_follows_from_what_is_known(known: Model, advice: str) -> None:
    assert f" To make it better, {advice}" in verdict(known)


@pytest.mark.parametrize(("score", "likeness"), [(1.3, "very good"), (0.61, "a good"), (-2.0, "only a rough")])
def test_the_score_in_words(score: float, likeness: str) -> None:
    assert verdict(model(score)).startswith(f"Score {score:.2f}: ")
    assert likeness in verdict(model(score))


def test_what_nobody_knows_is_not_said() -> None:
    assert verdict(model(None, findings=None)) == ""
    assert verdict(model(photo_flaws=["a flaw of another version"])) == "Score 0.90: a very good likeness."


def test_every_flaw_and_every_remedy_leads_somewhere() -> None:
    assert {remedy for _, remedy in RULES} == set(Remedy) == set(REMEDIES)
    assert all("To make it better" in verdict(model(photo_flaws=[flaw])) for flaw in Flaw)


async def test_flaws_of_the_photos_are_remembered_till_the_end(world: World) -> None:
    await agree(world, world.ada)
    files = [encoded(drawn_photo(seed)) for seed in range(5)]
    await train(world, [*files, encoded(blurred(drawn_photo(9)))])
    (job,) = await world.active(world.ada)
    async with world.services.database.read() as session:
        learned = await session.get_one(Model, job.model_id)
    assert learned.photo_flaws == ["nearly_same", "blurred"]
    assert "swap photos of the same view for some from other sides" in verdict(learned)


async def test_the_result_says_it(world: World) -> None:
    await trained(world, world.ada)
    await world.deliver(after=20)
    said = words(world.channel.history()[-1])
    assert "Score 0.83: a very good likeness. To make it better, add a photo or two, from the side" in said
