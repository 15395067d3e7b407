"""`/admin takedown` and `restore`: a model that nobody may use."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import discord
from discord import app_commands
from discord.app_commands import Choice, Range

from bot.access import check_operates, operates
from bot.acknowledging import acknowledge
from bot.admin_text import MAX_WORDS, RESTORED, TAKEN_DOWN, TOLD
from bot.commands.admin.group import AnyCommand
from bot.language import _
from bot.markup import bold, cut
from bot.replies import reply
from bot.withdrawal import withdraw_model
from storage.takedowns import restore as give_back
from storage.takedowns import suggest_for_operators

if TYPE_CHECKING:
    from bot.app import Dreambot

    Interaction = discord.Interaction[Dreambot]

MAX_CHOICES, CHOICE_CHARS = 25, 100


@app_commands.command(description="Let nobody use a model any more; its owner is told why, and it can be given back")
@app_commands.describe(model="Anybody's, by its name", reason="Why; its owner reads it")
async def takedown(interaction: "Interaction", model: str, reason: Range[str, 1, MAX_WORDS]) -> None:
    check_operates(interaction)
    await acknowledge(interaction, ephemeral=True, thinking=True)
    client = interaction.client
    taken, told = await withdraw_model(client, client.services, model, interaction.user.id, reason)
    await reply(interaction, TAKEN_DOWN.format(name=bold(taken.name), owner=taken.owner_id, told=TOLD[told]))


@app_commands.command(description="Give a model back that was taken down")
@app_commands.describe(model="Which one")
async def restore(interaction: "Interaction", model: str) -> None:
    check_operates(interaction)
    async with interaction.client.services.database.write() as session:
        restored = await give_back(session, model)
    await reply(interaction, RESTORED.format(name=bold(restored.name), owner=restored.owner_id))


@takedown.autocomplete("model")
async def complete_model(interaction: "Interaction", typed: str) -> list[Choice[str]]:
    return await _choices(interaction, typed, taken_down=False)


@restore.autocomplete("model")
async def complete_taken_down(interaction: "Interaction", typed: str) -> list[Choice[str]]:
    return await _choices(interaction, typed, taken_down=True)


async def _choices(interaction: "Interaction", typed: str, *, taken_down: bool) -> list[Choice[str]]:
    """Offer operators everybody's models, and nobody else any."""
    if not operates(interaction):
        return []
    async with interaction.client.services.database.read() as session:
        found = await suggest_for_operators(session, typed.strip(), MAX_CHOICES, taken_down=taken_down)
    return [
        Choice(
            name=cut(
                _("{name} · {noun} · owner {owner}").format(
                    name=model.name, noun=model.class_noun, owner=model.owner_id
                ),
                CHOICE_CHARS,
            ),
            value=model.id,
        )
        for model in found
    ]


COMMANDS: Sequence[AnyCommand] = (takedown, restore)
