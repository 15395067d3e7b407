"""/dataset: many varied pictures of one subject to train with, as a zip with captions."""

from typing import TYPE_CHECKING

import discord
from discord import app_commands
from discord.app_commands import Range

from bot.commands.imagine import choose_model
from bot.datasets import MAX_PICTURES, MIN_PICTURES, NoSubject
from bot.estimates import usual_picture_seconds
from bot.limits import all_per_day
from bot.named_models import pick_model
from bot.views.dataset_card import ZipButton
from bot.views.dataset_offer import DeclineButton, DrawButton, Offer, render
from storage.contract import JobKind, SubjectKind
from storage.people import defaults_of
from storage.quotas import used

if TYPE_CHECKING:
    from bot.app import Dreambot

USUAL_PICTURES = 40


def register(bot: "Dreambot") -> None:
    bot.tree.add_command(dataset)
    bot.add_dynamic_items(DrawButton, DeclineButton, ZipButton)


@app_commands.command(description="Draw many varied pictures of one of your models, to train something else with")
@app_commands.describe(
    model="Whom they show",
    count="How many pictures",
    private="Show them to you alone",
)
@app_commands.autocomplete(model=choose_model)
async def dataset(
    interaction: "discord.Interaction[Dreambot]",
    model: str,
    count: Range[int, MIN_PICTURES, MAX_PICTURES] = USUAL_PICTURES,
    private: bool | None = None,
) -> None:
    services, person = interaction.client.services, interaction.user.id
    async with services.database.read() as session:
        subject = await pick_model(session, model, interaction)
        if subject.subject_kind is SubjectKind.STYLE:
            raise NoSubject(subject.name)
        defaults = await defaults_of(session, person)
        offer = Offer(
            model=subject,
            count=count,
            private=defaults.private if private is None else private,
            asked_by=interaction.id,
            picture_seconds=await usual_picture_seconds(session, subject.base),
            used=await used(session, person, JobKind.IMAGINE, services.clock()),
            per_day=(await all_per_day(session, services.settings, interaction))[JobKind.IMAGINE],
            price_per_hour=services.settings.gpu_price_per_hour,
            currency=services.settings.currency,
        )
    await interaction.response.send_message(view=render(offer), ephemeral=True)
