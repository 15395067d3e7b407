"""The form that begins with what a card was asked for: change a word, keep the seed, draw again."""

import re
from typing import TYPE_CHECKING, Self

import discord
from discord import ui

from bot.forms import Form
from bot.imagine_text import SHAPES
from bot.imagining import Wish, imagine
from bot.language import _
from bot.looks import NO_LOOK, looks_for
from bot.prompts import InvalidSeed, find_names, fold, tidy
from bot.replies import pressed
from bot.templates import MAX_TEMPLATE_CHARS
from storage.bases import Shape, shape_of, shapes
from storage.contract import MAX_COUNT, MAX_PROMPT_CHARS, MAX_SEED, ImagineRequest
from storage.errors import NotYourJob, PromptGone
from storage.jobs import find_job
from storage.models import model_of
from storage.schema import Job, Model
from storage.sets import set_of

if TYPE_CHECKING:
    from bot.app import Dreambot


class EditForm(Form, template=r"edit:(?P<job>[0-9a-f]{32})"):
    def __init__(self, job: Job, model: Model | None, words: str, negative: str) -> None:
        """`words` and `negative` are what the form begins with."""
        super().__init__(title=_("Draw it differently"), custom_id=f"edit:{job.id}")
        self.job, self.model = job, model
        request = ImagineRequest.model_validate(job.request)
        self.prompt = ui.TextInput[Self](
            style=discord.TextStyle.paragraph, default=words, max_length=MAX_TEMPLATE_CHARS, custom_id="prompt"
        )
        self.negative = ui.TextInput[Self](
            required=False, default=negative or None, max_length=MAX_PROMPT_CHARS, custom_id="negative"
        )
        self.seed = ui.TextInput[Self](
            required=False, default=str(request.seed), max_length=len(str(MAX_SEED)), custom_id="seed"
        )
        self.count = ui.Select[Self](
            options=[discord.SelectOption(label=str(n), default=n == request.count) for n in range(1, MAX_COUNT + 1)],
            custom_id="count",
        )
        shape = shape_of(request.base, request.width, request.height)
        self.shape = ui.Select[Self](
            options=[
                discord.SelectOption(label=str(SHAPES[each]), value=each, default=each is shape)
                for each in shapes(request.base)
            ],
            custom_id="shape",
        )
        self.add_item(ui.Label(text=_("Prompt"), component=self.prompt))
        self.add_item(ui.Label(text=_("Keep out"), component=self.negative))
        self.add_item(
            ui.Label(
                text=_("Seed"), description=_("The same keeps the composition; empty is another."), component=self.seed
            )
        )
        self.add_item(ui.Label(text=_("Pictures"), component=self.count))
        if len(shapes(request.base)) > 1:
            self.add_item(ui.Label(text=_("Shape"), component=self.shape))

    @classmethod
    async def of(cls, interaction: "discord.Interaction[Dreambot]", job_id: str) -> Self:
        """Raises `NotYourJob`, `PromptGone`."""
        services = interaction.client.services
        async with services.database.read() as session:
            job = await find_job(session, job_id)
            if job is None:
                raise NotYourJob
            if job.prompt_shown is None:
                raise PromptGone
            together, model = await set_of(session, job_id), await model_of(session, job)
            looks = await looks_for(session, services.base, job.guild_id)
        negative = ImagineRequest.model_validate(job.request).negative_prompt
        for look in looks:
            if look.name == job.look:  # what comes from the look comes again
                negative = negative.removesuffix(look.negative).removesuffix(", ")
        words = job.prompt_shown if together is None or together.words is None else together.words
        return cls(job, model, words, negative)

    @classmethod
    async def reopen(cls, interaction: "discord.Interaction[Dreambot]", match: re.Match[str]) -> Self:
        return await cls.of(interaction, match["job"])

    @pressed
    async def on_submit(self, interaction: "discord.Interaction[Dreambot]") -> None:
        request = ImagineRequest.model_validate(self.job.request)
        wish = Wish(
            prompt=self.prompt.value,
            model=self._chosen(),
            count=int(self.count.values[0]),
            seed=_seed(self.seed.value),
            quality=request.quality,
            steps=request.steps,
            guidance_scale=request.guidance_scale,
            negative_prompt=self.negative.value,
            shape=Shape(self.shape.values[0]) if self.shape.values else None,
            look=self.job.look or NO_LOOK,
            private=self.job.private,
            spoiler=self.job.spoiler,
            lossless=request.lossless,
            parent=self.job.id,
        )
        await imagine(interaction, wish)

    def _chosen(self) -> str | None:
        """Keep a model that the words never named; one that they named is looked for in them anew."""
        if self.model is None or any(find_names(tidy(self.job.prompt_shown or ""), {fold(self.model.name)})):
            return None
        return self.model.id


def _seed(typed: str) -> int | None:
    typed = typed.strip()
    if not typed:
        return None
    if not (typed.isascii() and typed.isdigit()) or int(typed) > MAX_SEED:
        raise InvalidSeed
    return int(typed)
