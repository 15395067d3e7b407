"""All that is known of how pictures were made: to make them again elsewhere, or to learn from them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import discord
from discord import ui

from bot.language import listed
from bot.text import cut, duration, plain, quote
from storage.contract import ImagineRequest
from storage.history import Message
from storage.schema import Image, Job, Model

PROMPT_CHARS = 700
MOST_PROMPTS = 8
SEEDS_CHARS = 400


@dataclass(frozen=True, kw_only=True)
class Facts:
    jobs: Sequence[Job]
    models: Sequence[Model | None]
    """One for each job."""
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
    yield "### How it was made"
    if facts.words is not None:
        yield f"**Template** {quote(facts.words, PROMPT_CHARS)}"
    yield from _prompts(facts.jobs)
    if request.negative_prompt:
        yield f"**Kept out** {quote(request.negative_prompt, PROMPT_CHARS)}"
    if first.look is not None:
        yield f"**Look** {plain(first.look)}"
    yield f"**Drawn by** {_drawn_by(facts.models, first.base)}"
    if facts.images:
        yield f"**Seeds** {cut(', '.join(str(image.seed) for image in facts.images), SEEDS_CHARS)}"
        sizes = dict.fromkeys(f"{image.width} × {image.height}" for image in facts.images)
        yield f"**Size** {listed(list(sizes))} pixels"
    yield f"**Steps** {request.steps or first.steps or 'as the base model is used to'}"
    scale = request.guidance_scale
    yield f"**Guidance** {'as the base model is used to' if scale is None else f'{scale:g}'}"
    if seconds := sum(job.seconds or 0 for job in facts.jobs):
        yield f"**Took** {duration(seconds)} of the worker's time"
    yield f"**Asked for** by <@{first.owner_id}> {discord.utils.format_dt(first.created_at, 'f')}"
    if facts.parent is not None:
        yield f"**From** [this card]({facts.parent.address})"
    yield f"-# AI-made · reference `{first.id[:12]}`"


def _prompts(jobs: Sequence[Job]) -> Iterator[str]:
    """Show each prompt as it was typed, and as the model reads it where that is different."""
    chars = PROMPT_CHARS if len(jobs) == 1 else PROMPT_CHARS // len(jobs[:MOST_PROMPTS])
    for job in jobs[:MOST_PROMPTS]:
        read = ImagineRequest.model_validate(job.request).prompt
        yield f"**Prompt** {quote(job.prompt_shown or '–', chars)}"
        if read != job.prompt_shown:
            yield f"-# as the model reads it: {quote(read, chars)}"
    if len(jobs) > MOST_PROMPTS:
        yield f"-# and {len(jobs) - MOST_PROMPTS} prompts more"


def _drawn_by(models: Sequence[Model | None], base: str) -> str:
    names = [f"{plain(model.name)} (version {model.version}, {model.variant})" for model in models if model is not None]
    on = f"the base model {quote(base, 100)}"
    return f"{listed(list(dict.fromkeys(names))[:5])}, on {on}" if names else on
