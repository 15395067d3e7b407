"""The button by which an owner lets a model learn once more: from other photos, or for longer."""

import random
import re
from typing import TYPE_CHECKING, Any, Self

import discord
from discord import ui

from bot.access import own_model
from bot.channel_rules import check_channel
from bot.consent import ConsentText
from bot.drafts import keep_for_form
from bot.guest import check_at_home
from bot.language import _
from bot.replies import pressed
from bot.training import Wish, agreed_already, check_may_begin
from bot.views.train_form import TrainForm
from storage.contract import MAX_SEED, Quality, TrainingOptions
from storage.errors import ModelNotReady
from storage.schema import ModelStatus

if TYPE_CHECKING:
    from bot.app import Dreambot


class TrainAgainButton(ui.DynamicItem[ui.Button[Any]], template=r"model:(?P<model>[0-9a-f]{32}):train"):
    """Open the form for photos; what comes of them is another version."""

    def __init__(self, model_id: str) -> None:
        super().__init__(ui.Button(label=_("Train again"), custom_id=f"model:{model_id}:train"))
        self.model_id = model_id

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], _item: ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        return cls(match["model"])

    @pressed
    async def callback(self, interaction: "discord.Interaction[Dreambot]") -> None:
        from bot.commands.train import asker_of  # here, because that command registers this button

        check_at_home(interaction)
        await check_channel(interaction)
        services, asker = interaction.client.services, asker_of(interaction)
        async with services.database.write() as session:
            model = await own_model(session, self.model_id, interaction.user.id)
        if model.status is not ModelStatus.READY or model.base != services.base:
            raise ModelNotReady(model.name)
        wish = Wish(
            name=model.name,
            class_noun=model.class_noun,
            subject_kind=model.subject_kind,
            quality=Quality.GOOD,
            seed=random.randint(0, MAX_SEED),
            options=TrainingOptions(),
            model=model.id,
        )
        async with services.database.read() as session:
            await check_may_begin(session, services, asker, wish)
            agreed = await agreed_already(session, services, interaction.user.id)
        draft = await keep_for_form(services, wish, asker)
        await TrainForm(wish, draft, None if agreed else ConsentText.of(services.settings)).open(interaction)
