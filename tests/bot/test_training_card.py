"""Whatever the rows hold, the card and the result fit into what Discord takes, and show people's words as words."""

import io
from datetime import UTC, datetime
from typing import Any

import discord
import pytest
from discord import ui
from hypothesis import given
from hypothesis import strategies as st

from bot.consent import ConsentText
from bot.cost_text import duration
from bot.estimates import Estimate
from bot.intake import TakenIn
from bot.markup import plain
from bot.photo_checks import Advice, Flaw
from bot.settings import BotSettings
from bot.training import check_wish
from bot.views import contact_sheet, training_card
from bot.views.download import DownloadButton
from bot.views.imagine_form import ImagineButton
from bot.views.share_button import ShareButton
from bot.views.train_form import TrainForm
from bot.views.variant_button import variant_row
from storage.contract import FailureReason, JobKind, Quality, Stage, SubjectKind, TrainingOptions, Variant, photo_key
from storage.schema import ENDED, Job, JobState, Model
from storage.trainings import NewPhoto, NewTraining
from tests.bot.payloads import check_message, check_modal

AT = datetime(2026, 1, 1, tzinfo=UTC)
ID = "0123456789abcdef" * 2
PEOPLE = st.integers(min_value=1, max_value=2**63 - 1)
ANY_FLOAT = st.floats(allow_nan=False, allow_infinity=False)
NAMES = st.text(min_size=1, max_size=32)


@st.composite
def models(draw: st.DrawFn) -> Model:
    return Model(
        id=ID,
        owner_id=draw(PEOPLE),
        guild_id=None,
        name=draw(NAMES),
        name_key="x",
        class_noun=draw(st.text(min_size=1, max_size=64)),
        subject_kind=draw(st.sampled_from(SubjectKind)),
        identifier="sks",
        base="demo",
        photo_count=draw(st.integers(min_value=3, max_value=10)),
        created_at=AT,
        subject_score=draw(st.none() | st.floats(min_value=-5, max_value=5)),
        variant=draw(st.sampled_from(Variant)),
    )


@st.composite
def jobs(draw: st.DrawFn) -> Job:
    state = draw(st.sampled_from(JobState))
    return Job(
        id=ID,
        kind=JobKind.TRAIN,
        owner_id=draw(PEOPLE),
        guild_id=draw(st.none() | PEOPLE),
        channel_id=1,
        model_id=ID,
        interaction_id=1,
        base="demo",
        request={"quality": draw(st.sampled_from(Quality)).value},
        created_at=AT,
        state=state,
        attempt=draw(st.integers(min_value=1, max_value=3)),
        stage=draw(st.none() | st.sampled_from(Stage)),
        step=draw(st.integers(min_value=0, max_value=10**9)),
        steps=draw(st.none() | st.integers(min_value=1, max_value=10**9)),
        losses=draw(st.lists(ANY_FLOAT, max_size=60)),
        seconds_left=draw(st.none() | st.floats(min_value=0, max_value=1e9)),
        failure=draw(st.sampled_from(FailureReason)) if state is JobState.FAILED else None,
        cancel_requested_at=draw(st.none() | st.just(AT)),
        seconds=draw(st.none() | st.floats(min_value=0, max_value=1e9)),
    )


def files(count: int) -> list[discord.File]:
    return [discord.File(io.BytesIO(b"png"), f"sample-{number}.png") for number in range(count)]


@given(jobs(), models(), st.integers(min_value=0, max_value=10**6), st.booleans(), st.booleans())
def test_the_card_fits(job: Job, model: Model, place: int, alive: bool, sampled: bool) -> None:
    sample = files(1)[0] if sampled else None
    card = training_card.render(job, model, place=place, worker_alive=alive, sample=sample)
    found = check_message(card.view)
    buttons = [part.get("label") for part in found if part["type"] == discord.ComponentType.button.value]
    assert buttons == ([] if job.state in ENDED or job.cancel_requested_at else ["Cancel"])
    assert bool(card.files) == (sampled and job.state not in ENDED)
    assert all(part.get("items", [{}])[0].get("description", "x") for part in found)


@given(jobs(), models(), st.integers(min_value=0, max_value=10))
def test_the_result_fits(job: Job, model: Model, samples: int) -> None:
    buttons: ui.ActionRow[Any] = ui.ActionRow(ImagineButton(ID), DownloadButton(ID), ShareButton(ID))
    rows = [buttons, variant_row(model, list(Variant))]
    result = training_card.render_result(job, model, files(samples), [row for row in rows if row])
    found = check_message(result.view)
    texts = "\n".join(part.get("content", "") for part in found)
    assert texts.count(f"<@{job.owner_id}>") == 1
    pictures = [item for part in found for item in part.get("items", [])]
    assert all(1 <= len(item["description"]) <= 256 for item in pictures)


@given(st.text(max_size=2000))
def test_peoples_words_stay_words(words: str) -> None:
    shown = plain(words)
    assert "\n" not in shown
    assert len(shown) <= 2 * 300
    bare = shown.replace("\\\\", "")
    for sign in "*_~|`<>#[]()@:/-+":
        assert bare.count(sign) == bare.count(f"\\{sign}")


@given(st.text(min_size=1, max_size=32), st.integers(min_value=3, max_value=10))
def test_the_contact_sheet_fits(name: str, count: int) -> None:
    photos = tuple(NewPhoto(key=photo_key(ID, n), sha256="0" * 64, width=9, height=9) for n in range(count))
    training = NewTraining(
        job=ID, model=ID, interaction_id=1, owner_id=1, guild_id=None, channel_id=1, name=name, class_noun="dog",
        subject_kind=SubjectKind.PET, quality=Quality.GOOD, photos=photos, base="demo", seed=1,
    )  # fmt: skip
    taken = TakenIn(
        photos=photos,
        copies=tuple((position, 1) for position in range(2, 11)),
        advice=tuple(Advice(flaw, tuple(range(1, 11))) for flaw in Flaw),
        sheet=b"jpeg",
    )
    words = ConsentText.of(settings())
    for asks in (None, words):
        estimate = Estimate(gpu_seconds=1e6, ahead=10**6, measured=False)
        check_message(
            contact_sheet.render(contact_sheet.Offer(training=training, taken=taken, estimate=estimate, asks=asks)).view
        )
    check_message(contact_sheet.render_question(training, words))


@pytest.mark.parametrize("asks", [True, False])
@pytest.mark.parametrize("name", ["rex", "x" * 32, "Ω" * 32])
async def test_the_form_fits(name: str, asks: bool) -> None:
    wish = check_wish(name, "dog", None, Quality.GOOD, 1, TrainingOptions())
    check_modal(TrainForm(wish, "0" * 32, ConsentText.of(settings()) if asks else None))


def settings() -> BotSettings:
    return BotSettings(_env_file=None)


@pytest.mark.parametrize(
    ("losses", "curve"),
    [([0.5, 0.5], "▁▁"), ([1.0, 0.0], "█▁"), ([3.0, 2.0, 1.0, 0.0], "█▆▃▁"), ([1e308, -1e308], "█▁")],
)
def test_the_sparkline(losses: list[float], curve: str) -> None:
    assert training_card.sparkline(losses) == curve


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "1 s"), (59, "59 s"), (90, "2 min"), (3600, "1 h 0 min"), (9000, "2 h 30 min")]
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words
