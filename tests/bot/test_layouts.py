"""Whatever the rows hold, Discord takes the layout: cards of pictures, pages of models, and their forms."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from io import BytesIO
from typing import Any
from uuid import UUID

import discord
import pytest
from discord import ui
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.language import LANGUAGES, speak
from bot.looks import Look, curated
from bot.prompts import read_negative, tidy
from bot.reworking import Begun
from bot.views import job_list, look_gallery, model_gallery, picture_card, settings_card
from bot.views.edit_form import EditForm
from bot.views.imagine_form import ImagineForm
from bot.views.job_list import PAGE_JOBS, Usage
from bot.views.look_forms import AddForm, TryForm
from bot.views.model_buttons import PageButton, Place
from bot.views.model_gallery import PAGE_MODELS, Options, Shown
from bot.views.model_offers import HeirMenu, PeopleMenu, RoleMenu, render_offer
from bot.views.picture_card import MAX_GALLERY, Around
from bot.views.picture_details import DrawnBy
from bot.views.picture_details import Facts as Details
from bot.views.picture_details import render as render_details
from bot.views.rename_form import RenameForm
from bot.views.report_form import ReportForm
from bot.views.rework_forms import AroundForm, PartForm
from bot.views.way_buttons import render_ways
from storage.bases import Shape
from storage.contract import MAX_PROMPT_CHARS, MAX_SEED, FailureReason, ImagineRequest, JobKind, SubjectKind, Variant
from storage.errors import InvalidName
from storage.gallery import Scope, Sort
from storage.history import Entry, Message
from storage.names import MAX_CHARS, name_key, validate_name
from storage.people import Defaults
from storage.schema import DeliveryProblem, Image, Job, JobState, Model, ModelStatus
from storage.variants import MOST_VERSIONS, Version
from tests.bot.payloads import check_message, check_modal

SPOKEN = st.sampled_from(["en-US", *LANGUAGES]).map(speak)
"""What is drawn after it is said in this language."""
SNOWFLAKES = st.integers(1, 2**64 - 1)
HEX = st.uuids(version=4).map(lambda uuid: uuid.hex)
TIMES = st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds are naive
PROMPTS = st.text(st.sampled_from("aß`*<@>#\\[]()|_~ \n\u202e太🐕"), max_size=MAX_PROMPT_CHARS)


@pytest.fixture(autouse=True)
def english_again() -> Iterator[None]:
    yield
    speak(None)


def usable_name(name: str) -> bool:
    try:
        validate_name(name)
    except InvalidName:
        return False
    return True


NAMES = st.text(st.characters(categories=["L", "M", "N"], include_characters=" _-'"), min_size=2, max_size=MAX_CHARS)


@st.composite
def models(draw: st.DrawFn) -> Model:
    name = validate_name(draw(NAMES.filter(usable_name)))
    return Model(
        id=draw(HEX),
        owner_id=draw(SNOWFLAKES),
        guild_id=draw(st.none() | SNOWFLAKES),
        name=name,
        name_key=name_key(name),
        class_noun=draw(st.text(st.sampled_from("dog' -é"), min_size=1, max_size=40)),
        subject_kind=draw(st.sampled_from(SubjectKind)),
        identifier="sks",
        base="demo",
        photo_count=draw(st.integers(3, 10)),
        created_at=draw(TIMES),
        status=draw(st.sampled_from(ModelStatus)),
        subject_score=draw(st.none() | st.floats(-2, 2)),
        variant=draw(st.sampled_from(Variant)),
        shared_guild_id=draw(st.none() | SNOWFLAKES),
        trained_at=draw(st.none() | TIMES),
    )


@st.composite
def jobs(draw: st.DrawFn) -> Job:
    job, prompt = draw(HEX), draw(PROMPTS)
    request = ImagineRequest(
        job=job,
        attempt=1,
        base="demo",
        prompt=tidy(prompt) or "x",
        negative_prompt=read_negative(draw(PROMPTS)),
        count=draw(st.integers(1, 4)),
        seed=draw(st.integers(0, MAX_SEED)),
        steps=draw(st.none() | st.integers(1, 150)),
        guidance_scale=draw(st.none() | st.floats(1, 30)),
    )
    return Job(
        id=job,
        kind=JobKind.IMAGINE,
        owner_id=draw(SNOWFLAKES),
        guild_id=None,
        channel_id=draw(SNOWFLAKES),
        model_id=draw(st.none() | HEX),
        interaction_id=draw(SNOWFLAKES),
        base="demo",
        request=request.model_dump(mode="json"),
        created_at=draw(TIMES),
        prompt_shown=draw(st.none() | st.just(prompt)),
        state=draw(st.sampled_from(JobState)),
        failure=draw(st.none() | st.sampled_from(FailureReason)),
        step=draw(st.integers(0, 10_000)),
        steps=draw(st.none() | st.integers(1, 10_000)),
        cancel_requested_at=draw(st.none() | TIMES),
        spoiler=draw(st.booleans()),
    )


def file(name: str) -> discord.File:
    return discord.File(BytesIO(b"png"), f"{name}.png")


def drawn(job: Job, seeds: Sequence[int]) -> list[Image]:
    return [
        Image(
            id=UUID(int=position).hex,
            job_id=job.id,
            model_id=None,
            owner_id=job.owner_id,
            key=f"pictures/{job.id}/1/{position}.png",
            seed=seed,
            width=64,
            height=64,
            position=position,
            created_at=job.created_at,
        )
        for position, seed in enumerate(seeds)
    ]


@settings(max_examples=40)
@given(
    jobs(),
    st.none() | models(),
    st.lists(st.integers(0, MAX_SEED), max_size=4),
    st.integers(0, 10**6),
    st.booleans(),
    SPOKEN,
)
def test_any_picture_card(
    job: Job, model: Model | None, seeds: list[int], place: int, alive: bool, spoken: None
) -> None:
    images = drawn(job, seeds if job.state is JobState.SUCCEEDED else [])
    files = [file(f"picture-{image.position}") for image in images]

    card = picture_card.render(job, model, images, files, place=place, worker_alive=alive)

    parts = check_message(card.view)
    shown = [item["media"]["url"] for part in parts for item in part.get("items", [])]
    assert shown == [f"attachment://{each.filename}" for each in card.files]


@settings(max_examples=30)
@given(st.data(), st.lists(jobs(), min_size=2, max_size=8), st.lists(models(), min_size=1, max_size=8), PROMPTS, SPOKEN)
def test_any_card_of_a_set(data: st.DataObject, rows: list[Job], known: list[Model], words: str, spoken: None) -> None:
    for job, model in zip(rows, known, strict=False):
        job.model_id = model.id
    images = [image for job in rows if job.state is JobState.SUCCEEDED for image in drawn(job, [1, 2])][:MAX_GALLERY]
    files = [file(f"picture-{number}") for number in range(len(images))]
    parent = data.draw(st.none() | st.just("https://discord.com/channels/1/2/3"))
    around = Around(jobs=rows, models={model.id: model for model in known}, words=words, parent=parent)
    for job in rows:
        job.model_id = job.model_id if job.model_id in around.models else None

    check_message(picture_card.render(rows[0], known[0], images, files, around=around).view)

    models_of = [DrawnBy(each, (10**6, Variant.BEST)) for each in known]
    where = Message(guild_id=1, channel_id=2, message_id=3)
    check_message(render_details(Details(jobs=rows, models=models_of, images=images, words=words, parent=where)))


@settings(max_examples=40)
@given(st.lists(models(), max_size=PAGE_MODELS), SNOWFLAKES, st.sampled_from(Scope), st.data(), SPOKEN)
def test_any_page_of_models(rows: list[Model], viewer: int, scope: Scope, data: st.DataObject, spoken: None) -> None:
    total = data.draw(st.integers(len(rows), 600_000))
    page = data.draw(st.integers(0, model_gallery.page_count(total) - 1))
    shown = [Shown(model, data.draw(st.none() | st.builds(file, st.just(model.id)))) for model in rows]

    options = Options(scopes=list(Scope), deleted=data.draw(st.lists(models(), max_size=25, unique_by=lambda m: m.id)))
    place = Place(viewer, scope, page, data.draw(st.sampled_from(Sort)))
    rendered = model_gallery.render_page(shown, total, place, data.draw(st.none() | SNOWFLAKES), options)

    check_message(rendered.view)
    assert len(rendered.files) == sum(each.cover is not None for each in shown)


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    job = draw(jobs())
    if draw(st.booleans()):
        job.kind, job.model_id = JobKind.TRAIN, job.model_id or job.id
    others = draw(st.lists(jobs(), max_size=3)) if job.kind is JobKind.IMAGINE else []
    place = st.builds(Message, guild_id=st.none() | SNOWFLAKES, channel_id=SNOWFLAKES, message_id=SNOWFLAKES)
    return Entry(
        job=job,
        model=draw(models()) if job.model_id else None,
        place=draw(st.integers(0, 10**6)),
        pictures=draw(st.integers(0, 4)),
        jobs=[job, *others],
        words=draw(st.none() | PROMPTS),
        message=draw(st.none() | place),
        direct=draw(st.booleans()),
        problem=draw(st.none() | st.sampled_from(DeliveryProblem)),
        refunded=draw(st.booleans()),
    )


@settings(max_examples=40)
@given(st.lists(entries(), max_size=PAGE_JOBS, unique_by=lambda entry: entry.job.id), st.booleans(), st.data(), SPOKEN)
def test_any_page_of_jobs(rows: list[Entry], alive: bool, data: st.DataObject, spoken: None) -> None:
    total = data.draw(st.integers(len(rows), 5 * 10**6))
    page = data.draw(st.integers(0, job_list.page_count(total) - 1))
    usage = {kind: Usage(used=10**6, limit=data.draw(st.none() | st.integers(0, 10**6))) for kind in JobKind}

    check_message(job_list.render(rows, total, page, usage, worker_alive=alive).view)


@pytest.mark.parametrize("allowed", [True, False])
async def test_the_settings(allowed: bool) -> None:
    defaults = Defaults(count=4, shape=Shape.WIDE, look="royal", negative_prompt="`" * 1000, private=True)
    looks = [*curated().values()]
    check_message(settings_card.render(direct_messages=allowed, defaults=defaults, looks=looks))
    check_modal(settings_card.DefaultsForm(defaults, looks, "sd-1.5"))


@pytest.mark.parametrize("own", [0, 25])
@pytest.mark.parametrize("page", range(8))
async def test_every_page_of_looks(own: int, page: int) -> None:
    servers = [
        Look(id=f"{n:032x}", name="W" * 32, words="{prompt}" + "`" * 292, negative="x" * 300, of_server=True)
        for n in range(own)
    ]
    rendered = look_gallery.render([*curated().values(), *servers], page, may_keep=True)
    check_message(rendered.view)
    check_modal(TryForm(servers[0] if servers else curated()["royal"]))
    check_modal(AddForm())


@settings(max_examples=40)
@given(models(), SNOWFLAKES, st.sampled_from(Scope), st.integers(0, 10**6 - 1), st.booleans(), st.data(), SPOKEN)
def test_any_model(
    model: Model, viewer: int, scope: Scope, page: int, own: bool, data: st.DataObject, spoken: None
) -> None:
    place = Place(model.owner_id if own else viewer, scope, page)
    guild = data.draw(st.none() | st.just(model.shared_guild_id) | SNOWFLAKES)

    choices = list(Variant)[: data.draw(st.integers(0, 3))]
    samples, uses = [file(f"sample-{n}") for n in range(9)], (10**9, 10**6)
    kept = [
        Version(number=10**6 - n, score=0.5, steps=10_000, photos=10, made_at=model.created_at)
        for n in range(data.draw(st.integers(0, MOST_VERSIONS)))
    ]
    shown = Shown(model, file("cover"), choices, kept, samples, uses, people=25, roles=25)
    check_message(model_gallery.render_model(shown, place, guild, may_publish=data.draw(st.booleans())).view)
    check_message(render_offer(model, viewer))
    for menu in (PeopleMenu(model.id, [viewer]), RoleMenu(model.id, [viewer]), HeirMenu(model.id)):
        view = ui.LayoutView()
        view.add_item(ui.ActionRow(menu))
        check_message(view)
    check_message(model_gallery.render_question(model, place).view)


@given(models(), SNOWFLAKES, st.sampled_from(Scope), st.integers(0, 10**6 - 1), SPOKEN)
def test_any_form(model: Model, viewer: int, scope: Scope, page: int, spoken: None) -> None:
    check_modal(ImagineForm(model))
    check_modal(RenameForm(model, Place(viewer, scope, page)))


@settings(max_examples=40)
@given(jobs(), st.none() | models(), SPOKEN)
def test_any_form_about_a_picture(job: Job, model: Model | None, spoken: None) -> None:
    check_modal(EditForm(job, model, tidy(job.prompt_shown or "x"), job.request["negative_prompt"]))
    check_modal(ReportForm(job.id))
    (image,) = drawn(job, [1])
    new: Any = None  # what it would draw has no part in the forms
    begun = Begun(image, job, None, [] if model is None else [model], new)
    check_modal(PartForm(job.id, 9, begun))
    check_modal(AroundForm(job.id, 9, begun))
    check_message(render_ways(job, image, 9, [file("picture")]).view)


@given(SNOWFLAKES, st.sampled_from(Scope), st.integers(0, 10**6 - 1), st.sampled_from(Sort))
def test_a_place_is_read_back_from_its_button(viewer: int, scope: Scope, page: int, sort: Sort) -> None:
    place = Place(viewer, scope, page, sort)
    button = PageButton(place, "Next")

    match = button.template.fullmatch(button.custom_id)

    assert match is not None
    assert Place.read(match) == place
