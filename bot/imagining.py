"""From a prompt to a promise: what a person asks for, read into what each job draws."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from uuid import uuid4

import discord
from PIL import Image
from sqlalchemy.ext.asyncio import AsyncSession

from bot.brought import NothingToChange, take_in
from bot.guest import is_guest
from bot.looks import NO_LOOK, Look, find_look, looks_for
from bot.named_models import models_meant, read_for
from bot.promising import open_reply, promise, promise_with, who_asks
from bot.prompts import read_negative, tidy
from bot.replies import withdraw
from bot.runs import any_seed, drawn_words, story_words
from storage.bases import Shape, picture_size, shape_near, shapes
from storage.contract import MAX_SEED, Quality, Source, Tool, reference_key
from storage.errors import UserError
from storage.imaginings import NewImagining, NewSubject
from storage.people import Defaults, defaults_of
from storage.schema import SetKind

if TYPE_CHECKING:
    from bot.app import Dreambot

USUAL_CHANGE = 0.6
"""Of a picture that is sent to draw from: its composition stays, and the subject takes the place of what it shows."""


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What a person asks for, in their own words; `None` leaves it to their defaults, or to me."""

    prompt: str
    model: str | None = None
    """A model's id or name; `None` leaves it to the prompt."""
    count: int | None = None
    seed: int | None = None
    quality: Quality | None = None
    """Fast or best."""
    steps: int | None = None
    guidance_scale: float | None = None
    negative_prompt: str | None = None
    shape: Shape | None = None
    look: str | None = None
    """A look's id or name, or `NO_LOOK`."""
    reference: discord.Attachment | None = None
    """A picture to draw from."""
    change: float | None = None
    """How much of it may change, up to 1."""
    private: bool | None = None
    spoiler: bool = False
    lossless: bool = False
    """As PNG, whatever the size."""
    parent: str | None = None
    """The job whose card this is asked for from."""
    scenes: Sequence[str] = ()
    """Of a story or a data set whose title is the prompt: each is a picture of its own."""
    kind: SetKind = SetKind.STORYBOOK
    """What the scenes make."""
    asked_by: int | None = None
    """The interaction that asked, where a later one agrees to it: however often, it is the same request."""


async def imagine(interaction: "discord.Interaction[Dreambot]", wish: Wish) -> None:
    """Answer a wish with a waiting card.

    Raises `EmptyPrompt`, `PromptTooLong`, `InvalidTemplate`, `LookNotFound`, `SeveralSubjects`, `DifferentBases`,
    `AmbiguousName`, `ModelNotFound`, `ModelNotReady`, `NothingToChange`, `PictureRefused`, `WrongChannel`,
    `TooManyJobs` and `QuotaUsedUp`.
    """
    services = interaction.client.services
    async with services.database.read() as session:
        defaults = await defaults_of(session, interaction.user.id)
        look = await _look(session, services.base, wish, defaults, interaction.guild_id)
        seed = any_seed() if wish.seed is None else wish.seed
        count = wish.count or (look.count if look is not None else None) or defaults.count
        scenes, prompt = wish.scenes, wish.prompt
        pictures = story_words(scenes, look, wish.kind) if scenes else drawn_words(prompt, look, seed, count)
        models = await models_meant(session, wish.model, [run.words for run in pictures.runs], interaction)
    if wish.change is not None and wish.reference is None:
        raise NothingToChange
    private = is_guest(interaction) or (defaults.private if wish.private is None else wish.private)
    negative = defaults.negative_prompt if wish.negative_prompt is None else wish.negative_prompt
    shape = wish.shape or (defaults.shape if defaults.shape in shapes(services.base) else Shape.SQUARE)
    asker = who_asks(interaction, wish.asked_by, private=private)
    asked = []
    for run in pictures.runs:
        reading = read_for(run.words, wish.model, models, interaction.user.id)
        base = reading.models[0].base if reading.models else services.base
        width, height = picture_size(base, shape)
        asked.append(
            NewImagining(
                **asker,
                job=uuid4().hex,
                model=reading.model,
                subjects=tuple(NewSubject(named.model, named.words) for named in reading.subjects),
                prompt=reading.words,
                prompt_shown=run.shown,
                negative_prompt=read_negative(", ".join(filter(None, (negative, look.negative if look else "")))),
                count=run.number,
                seed=(seed + run.first) % (MAX_SEED + 1),
                quality=wish.quality,
                steps=wish.steps,
                guidance_scale=wish.guidance_scale,
                width=width,
                height=height,
                base=base,
                private=private,
                spoiler=wish.spoiler,
                webhook_token=interaction.token if private else None,
                parent=wish.parent,
                look=None if look is None else look.name,
                lossless=wish.lossless,
                scored=pictures.kind in {SetKind.STORYBOOK, SetKind.DATASET},
            )
        )
    set_of_them = (pictures.kind or SetKind.TEMPLATE, tidy(wish.prompt))
    together = set_of_them if pictures.kind is not None or len(asked) > 1 else None
    if wish.reference is None:
        await promise(interaction, asked, together)
    else:
        await _draw_from(interaction, wish.reference, wish, asked, together)


async def _draw_from(
    interaction: "discord.Interaction[Dreambot]",
    reference: discord.Attachment,
    wish: Wish,
    asked: Sequence[NewImagining],
    together: tuple[SetKind, str] | None,
) -> None:
    """Promise pictures that begin with one that was sent; without another wish they are of the shape nearest to its.

    Each job keeps a copy, for each is deleted by itself. Raises `PictureRefused` and what `promise` raises.
    """
    await open_reply(interaction, private=asked[0].private)
    try:
        picture = await take_in(interaction.client.services, reference)
    except UserError:
        await withdraw(interaction)
        raise
    width, height = Image.open(io.BytesIO(picture)).size
    change = USUAL_CHANGE if wish.change is None else wish.change
    files, sized = {}, []
    for new in asked:
        key, shape = reference_key(new.job), wish.shape or shape_near(new.base, width, height)
        files[key] = picture
        source = Source(tool=Tool.VARY, key=key, strength=change)
        across, down = picture_size(new.base, shape)
        sized.append(replace(new, source=source, width=across, height=down))
    await promise_with(interaction, sized, together, files)


async def _look(session: AsyncSession, base: str, wish: Wish, defaults: Defaults, guild_id: int | None) -> Look | None:
    """Return the look that is wished for, or else the person's usual one; that may not be known in this server."""
    if wish.look == NO_LOOK or (wish.look is None and defaults.look is None):
        return None
    if wish.look is not None:
        return await find_look(session, wish.look, base, guild_id)
    return next((look for look in await looks_for(session, base, guild_id) if look.id == defaults.look), None)
