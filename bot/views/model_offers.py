"""Sharing a model with people by name, and giving it away: the menus, and the offer that its heir takes or declines.

An offer keeps nothing: who offers what to whom stands in its buttons, and it holds while the model is the giver's.
"""

import re
from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

import discord
from discord import ui

from bot.access import NotForYou, own_model
from bot.language import N_, _, either, listed, locale_of_card, spoken
from bot.markup import bold, plain
from bot.model_text import (
    NOT_TO_A_BOT,
    OFFER,
    OFFER_DECLINED,
    OFFER_TAKEN,
    OFFER_TAKEN_BACK,
    SHARED_WITH_NO_ROLE,
    SHARED_WITH_NOBODY,
    SHARED_WITH_PEOPLE,
    SHARED_WITH_ROLES,
)
from bot.replies import pressed, reply
from storage.errors import ModelNotFound
from storage.models import find_own_model
from storage.schema import Model
from storage.sharing import share_with_people, share_with_roles, transfer_model

if TYPE_CHECKING:
    from bot.app import Dreambot

MOST_PEOPLE = 25


class PeopleMenu(ui.DynamicItem[ui.UserSelect[Any]], template=r"model:(?P<model>[0-9a-f]{32}):people"):
    """Choose who may draw with a model; those who may already are chosen to begin with."""

    def __init__(self, model_id: str, people: Sequence[int] = ()) -> None:
        super().__init__(
            ui.UserSelect(
                placeholder=_("Nobody by name"),
                min_values=0,
                max_values=MOST_PEOPLE,
                default_values=[
                    discord.SelectDefaultValue(id=person, type=discord.SelectDefaultValueType.user)
                    for person in people[:MOST_PEOPLE]
                ],
                custom_id=f"model:{model_id}:people",
            )
        )
        self.model_id = model_id

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], _item: ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        return cls(match["model"])

    @pressed
    async def callback(self, interaction: "discord.Interaction[Dreambot]") -> None:
        chosen = [person.id for person in self.item.values if not person.bot and person.id != interaction.user.id]
        async with interaction.client.services.database.write() as session:
            model = await own_model(session, self.model_id, interaction.user.id)
            await share_with_people(session, model.id, model.owner_id, chosen)
        if chosen:
            people = listed([f"<@{person}>" for person in chosen])
            await reply(interaction, SHARED_WITH_PEOPLE.format(people=people, name=bold(model.name)))
        else:
            await reply(interaction, SHARED_WITH_NOBODY.format(name=bold(model.name)))


class RoleMenu(ui.DynamicItem[ui.RoleSelect[Any]], template=r"model:(?P<model>[0-9a-f]{32}):roles"):
    """Choose the roles of this server that may draw with a model; those that may already are chosen to begin with."""

    def __init__(self, model_id: str, roles: Sequence[int] = ()) -> None:
        super().__init__(
            ui.RoleSelect(
                placeholder=_("No role"),
                min_values=0,
                max_values=MOST_PEOPLE,
                default_values=[
                    discord.SelectDefaultValue(id=role, type=discord.SelectDefaultValueType.role)
                    for role in roles[:MOST_PEOPLE]
                ],
                custom_id=f"model:{model_id}:roles",
            )
        )
        self.model_id = model_id

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], _item: ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        return cls(match["model"])

    @pressed
    async def callback(self, interaction: "discord.Interaction[Dreambot]") -> None:
        if interaction.guild_id is None:  # there is no such menu outside a server
            raise ModelNotFound
        chosen = [role.id for role in self.item.values]
        async with interaction.client.services.database.write() as session:
            model = await own_model(session, self.model_id, interaction.user.id)
            await share_with_roles(session, model.id, model.owner_id, interaction.guild_id, chosen)
        if chosen:
            roles = either([f"<@&{role}>" for role in chosen])
            await reply(interaction, SHARED_WITH_ROLES.format(roles=roles, name=bold(model.name)))
        else:
            await reply(interaction, SHARED_WITH_NO_ROLE.format(name=bold(model.name)))


class HeirMenu(ui.DynamicItem[ui.UserSelect[Any]], template=r"model:(?P<model>[0-9a-f]{32}):heir"):
    """Choose who is offered a model."""

    def __init__(self, model_id: str) -> None:
        super().__init__(ui.UserSelect(placeholder=_("Choose a person"), custom_id=f"model:{model_id}:heir"))
        self.model_id = model_id

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], _item: ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        return cls(match["model"])

    @pressed
    async def callback(self, interaction: "discord.Interaction[Dreambot]") -> None:
        (heir,) = self.item.values
        async with interaction.client.services.database.write() as session:
            model = await own_model(session, self.model_id, interaction.user.id)
        if heir.bot or heir.id == interaction.user.id:
            await reply(interaction, str(NOT_TO_A_BOT))
            return
        with spoken(locale_of_card(interaction)):
            offer = render_offer(model, heir.id)
        await interaction.response.send_message(
            view=offer,
            allowed_mentions=discord.AllowedMentions(users=[discord.Object(heir.id)]),
        )


def render_offer(model: Model, heir_id: int) -> ui.LayoutView:
    words = OFFER.format(heir=heir_id, owner=model.owner_id, name=bold(model.name), noun=plain(model.class_noun))
    card = ui.Container[ui.LayoutView](accent_colour=discord.Colour.gold())
    card.add_item(ui.TextDisplay(words))
    card.add_item(ui.ActionRow(*(OfferButton(model.id, model.owner_id, heir_id, answer) for answer in Answer)))
    return _layout(card)


def _layout(card: ui.Container[ui.LayoutView]) -> ui.LayoutView:
    view = ui.LayoutView(timeout=None)
    view.add_item(card)
    return view


class Answer(StrEnum):
    TAKE = "take"
    DECLINE = "decline"
    KEEP = "keep"
    """The giver takes the offer back."""


ANSWERS = {
    Answer.TAKE: (N_("Take it"), discord.ButtonStyle.success, OFFER_TAKEN),
    Answer.DECLINE: (N_("No, thank you"), discord.ButtonStyle.secondary, OFFER_DECLINED),
    Answer.KEEP: (N_("Take the offer back"), discord.ButtonStyle.secondary, OFFER_TAKEN_BACK),
}


class OfferButton(
    ui.DynamicItem[ui.Button[Any]],
    template=rf"offer:(?P<model>[0-9a-f]{{32}}):(?P<owner>[0-9]{{1,20}}):(?P<heir>[0-9]{{1,20}}):"
    rf"(?P<answer>{'|'.join(Answer)})",
):
    def __init__(self, model_id: str, owner_id: int, heir_id: int, answer: Answer) -> None:
        label, style, _said = ANSWERS[answer]
        super().__init__(
            ui.Button(label=str(label), style=style, custom_id=f"offer:{model_id}:{owner_id}:{heir_id}:{answer}")
        )
        self.model_id, self.owner_id, self.heir_id, self.answer = model_id, owner_id, heir_id, answer

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], _item: ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        return cls(match["model"], int(match["owner"]), int(match["heir"]), Answer(match["answer"]))

    @pressed
    async def callback(self, interaction: "discord.Interaction[Dreambot]") -> None:
        allowed = self.owner_id if self.answer is Answer.KEEP else self.heir_id
        if interaction.user.id != allowed:
            raise NotForYou(self.owner_id, self.heir_id)
        services = interaction.client.services
        async with services.database.write() as session:
            model = await find_own_model(session, self.model_id, self.owner_id)
            if self.answer is Answer.TAKE:
                await transfer_model(session, model.id, self.owner_id, self.heir_id, services.clock())
        with spoken(locale_of_card(interaction)):
            said = ANSWERS[self.answer][2].format(heir=self.heir_id, owner=self.owner_id, name=bold(model.name))
        card = ui.Container[ui.LayoutView](ui.TextDisplay(said), accent_colour=discord.Colour.light_grey())
        await interaction.response.edit_message(view=_layout(card), allowed_mentions=discord.AllowedMentions.none())
