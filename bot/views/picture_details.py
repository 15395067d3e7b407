"""All that is known of how pictures were made: to make them again elsewhere, or to learn from them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import discord
from discord import ui

from bot.cost_text import duration
from bot.language import _, listed, ngettext
from bot.looks import title_of
from bot.markup import cut, plain, quote
from storage.contract import ImagineRequest, Variant, reference_key
from storage.history import Message
from storage.schema import Image, Job, Model

PROMPT_CHARS = 700
MOST_PROMPTS = 8
SEEDS_CHARS = 400


@dataclass(frozen=True)
class DrawnBy:
    """A model, and which version and variant of it."""

    model: Model
    which: tuple[int, Variant] | None
    """None when that version is gone."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    jobs: Sequence[Job]
    models: Sequence["DrawnBy"]
    """Each once."""
    images: Sequence[Image]
    words: str | None
    """The template that the prompts were drawn from."""
    parent: Message | None


def render(facts: Facts) -> ui.LayoutView:
    card = ui.Container[ui.LayoutView](accent_colour=discord.Colour.blurple())
    card.add_item(ui.TextDisplay(cut("\n".join(_lines(facts)), 3900)))
    view = ui.LayoutView(timeout=None)
    view.add_item(card)
    return view


def _lines(facts: Facts) -> Iterator[str]:
    first = facts.jobs[0]
    request = ImagineRequest.model_validate(first.request)
    yield _("### How it was made")
    if facts.words is not None:
        yield _("**Template** {words}").format(words=quote(facts.words, PROMPT_CHARS))
    yield from _prompts(facts.jobs)
    if request.negative_prompt:
        yield _("**Kept out** {words}").format(words=quote(request.negative_prompt, PROMPT_CHARS))
    if first.look is not None:
        yield _("**Look** {name}").format(name=plain(title_of(first.look)))
    yield _("**Drawn by** {models}").format(models=_drawn_by(facts.models, first.base))
    if facts.images:
        seeds = cut(", ".join(str(image.seed) for image in facts.images), SEEDS_CHARS)
        yield _("**Seeds** {seeds}").format(seeds=seeds)
        sizes = dict.fromkeys(f"{image.width} × {image.height}" for image in facts.images)
        yield _("**Size** {sizes} pixels").format(sizes=listed(list(sizes)))
    if (source := request.source) is not None and source.key == reference_key(first.id):
        yield _("**Drawn from** a picture that was sent; {share} % of it may change").format(
            share=round(100 * source.strength)
        )
    usual, scale = _("as the base model is used to"), request.guidance_scale
    yield _("**Steps** {steps}").format(steps=request.steps or first.steps or usual)
    yield _("**Guidance** {scale}").format(scale=usual if scale is None else f"{scale:g}")
    if seconds := sum(job.seconds or 0 for job in facts.jobs):
        yield _("**Took** {time} of the worker's time").format(time=duration(seconds))
    when = discord.utils.format_dt(first.created_at, "f")
    yield _("**Asked for** by <@{person}> {when}").format(person=first.owner_id, when=when)
    if facts.parent is not None:
        yield _("**From** [this card]({address})").format(address=facts.parent.address)
    yield _("-# AI-made · reference `{reference}`").format(reference=first.id[:12])


def _prompts(jobs: Sequence[Job]) -> Iterator[str]:
    """Show each prompt as it was typed, and as the model reads it where that is different."""
    chars = PROMPT_CHARS if len(jobs) == 1 else PROMPT_CHARS // len(jobs[:MOST_PROMPTS])
    for job in jobs[:MOST_PROMPTS]:
        read = ImagineRequest.model_validate(job.request).prompt
        yield _("**Prompt** {words}").format(words=quote(job.prompt_shown or "–", chars))
        if read != job.prompt_shown:
            yield _("-# as the model reads it: {words}").format(words=quote(read, chars))
    if len(jobs) > MOST_PROMPTS:
        more = len(jobs) - MOST_PROMPTS
        yield ngettext("-# and {count} prompt more", "-# and {count} prompts more", more)


def _drawn_by(models: Sequence[DrawnBy], base: str) -> str:
    names = [_named(each) for each in models]
    if not names:
        return _("the base model {base}").format(base=quote(base, 100))
    return _("{models}, on the base model {base}").format(
        models=listed(list(dict.fromkeys(names))[:5]), base=quote(base, 100)
    )


def _named(drawn: DrawnBy) -> str:
    name = plain(drawn.model.name)
    if drawn.which is None:
        return _("{name} (a version that is gone)").format(name=name)
    version, variant = drawn.which
    return _("{name} (version {version}, {variant})").format(name=name, version=version, variant=variant)
