"""/imagine: draw a prompt, with the model that it names or with the plain base."""

from typing import TYPE_CHECKING

import discord
from discord import app_commands
from discord.app_commands import Choice, Range

from bot.imagine_text import SHAPES
from bot.imagining import Wish, imagine
from bot.language import _
from bot.limits import roles_of
from bot.looks import NO_LOOK, looks_for
from bot.markup import cut
from bot.prompts import fold
from bot.views.imagine_form import ImagineButton
from bot.views.picture_buttons import CoverMenu, PictureButton
from bot.views.way_buttons import PictureMenu, WayButton
from storage.bases import Shape, shapes
from storage.contract import MAX_COUNT, MAX_SEED, Quality
from storage.models import suggest_models
from storage.schema import Model

if TYPE_CHECKING:
    from bot.app import Dreambot

MAX_CHOICES = 25
CHOICE_CHARS = 100


def register(bot: "Dreambot") -> None:
    offered = [Choice(name=str(SHAPES[shape]), value=shape.value) for shape in shapes(bot.services.base)]
    qualities = [Choice(name=each.value, value=each.value) for each in (Quality.FAST, Quality.BEST)]
    command = app_commands.choices(size=offered, quality=qualities)(draw)
    bot.tree.command(name="imagine", description="Draw a picture: one of your models anywhere, or anything else")(
        command
    )
    bot.add_dynamic_items(PictureButton, CoverMenu, WayButton, PictureMenu, ImagineButton)


async def choose_model(interaction: "discord.Interaction[Dreambot]", typed: str) -> list[Choice[str]]:
    """Offer the models that the person may use here and whose names hold what they typed."""
    async with interaction.client.services.database.read() as session:
        part, asker, guild = fold(typed.strip()), interaction.user.id, interaction.guild_id
        found = await suggest_models(session, part, asker, guild, MAX_CHOICES, roles_of(interaction))
    if typed.strip():
        for model in found[:1]:
            interaction.client.services.expect(model)
    return [_choice(model, interaction.user.id) for model in found]


async def choose_look(interaction: "discord.Interaction[Dreambot]", typed: str) -> list[Choice[str]]:
    """Offer the looks that there are here, and to do without one."""
    services = interaction.client.services
    async with services.database.read() as session:
        looks = await looks_for(session, services.base, interaction.guild_id)
    choices = [Choice(name=_("None"), value=NO_LOOK)]
    choices += [
        Choice(name=cut(" · ".join(filter(None, (look.title, look.line))), CHOICE_CHARS), value=look.id)
        for look in looks
    ]
    part = fold(typed.strip())
    return [choice for choice in choices if part in fold(choice.name)][:MAX_CHOICES]


def _choice(model: Model, asker_id: int) -> Choice[str]:
    facts = [model.name, model.class_noun]
    if model.owner_id != asker_id:
        facts.append(_("shared, of {day}").format(day=f"{model.created_at:%Y-%m-%d}"))
    return Choice(name=cut(" · ".join(facts), CHOICE_CHARS), value=model.id)


@app_commands.describe(
    prompt="What to draw, such as: rex on the moon; {beach|moon|forest} takes one of them for each picture",
    model="Whom to draw, if the prompt does not name them",
    look="A look that your prompt is put into; /styles shows them",
    count="How many pictures",
    seed="Begin from the same noise again, for the same picture",
    quality="Fast takes few steps, where the worker can; best takes all of them",
    steps="Denoising steps: more are slower and finer",
    guidance="How closely to follow the prompt; 7 is usual",
    negative="What to keep out of the picture",
    reference="A picture to draw from: its composition stays",
    change="How much of the reference may change, in percent; 60 is usual",
    size="The shape of the picture",
    private="Show it to you alone",
    spoiler="Hide it until it is clicked",
    png="As PNG: every pixel as it was drawn, in a larger file",
)
@app_commands.autocomplete(model=choose_model, look=choose_look)
async def draw(
    interaction: "discord.Interaction[Dreambot]",
    prompt: str,
    model: str | None = None,
    look: str | None = None,
    count: Range[int, 1, MAX_COUNT] | None = None,
    seed: Range[int, 0, MAX_SEED] | None = None,
    quality: str | None = None,
    steps: Range[int, 1, 150] | None = None,
    guidance: Range[float, 1, 30] | None = None,
    negative: str | None = None,
    reference: discord.Attachment | None = None,
    change: Range[int, 1, 100] | None = None,
    size: str | None = None,
    private: bool | None = None,
    spoiler: bool = False,
    png: bool = False,
) -> None:
    wish = Wish(
        prompt=prompt,
        model=model,
        look=look,
        count=count,
        seed=seed,
        quality=None if quality is None else Quality(quality),
        steps=steps,
        guidance_scale=guidance,
        negative_prompt=negative,
        reference=reference,
        change=None if change is None else change / 100,
        shape=None if size is None else Shape(size),
        private=private,
        spoiler=spoiler,
        lossless=png,
    )
    await imagine(interaction, wish)
