"""Hand an owner their model as a file that other programs load."""

import io
import re
import unicodedata
from typing import TYPE_CHECKING, Any, Self

import discord
from discord import ui

from bot.access import own_model
from bot.acknowledging import acknowledge
from bot.language import N_, _, number
from bot.markup import bold
from bot.replies import pressed
from bot.result_text import variant_used
from bot.services import Services
from bot.uploads import FILE_BYTES
from storage.contract import variant_name
from storage.errors import ModelNotReady
from storage.models import check_up
from storage.schema import Model

if TYPE_CHECKING:
    from bot.app import Dreambot

NOT_HERE = N_(
    "The file has {size} MB, more than Discord takes here, and this bot has no download address. "
    "Ask whoever runs it to set PUBLIC_URL."
)


def file_name(model: Model) -> str:
    """Make a file name of the model's name and variant."""
    return f"{variant_name(slug(model), model.variant)}-lora.safetensors"


def slug(model: Model) -> str:
    """Write the model's name in characters that every system takes in a file's name."""
    ascii_name = unicodedata.normalize("NFKD", model.name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", ascii_name).strip("-") or f"model-{model.id[:8]}"


class DownloadButton(ui.DynamicItem[ui.Button[Any]], template=r"model:(?P<model>[0-9a-f]{32}):download"):
    """Give the owner the model in the kohya layout."""

    def __init__(self, model_id: str) -> None:
        super().__init__(ui.Button(label=_("Download"), custom_id=f"model:{model_id}:download"))
        self.model_id = model_id

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], _item: ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        return cls(match["model"])

    @pressed
    async def callback(self, interaction: "discord.Interaction[Dreambot]") -> None:
        services = interaction.client.services
        async with services.database.write() as session:
            model = await own_model(session, self.model_id, interaction.user.id)
        check_up(model)
        if model.download_key is None:
            raise ModelNotReady(model.name)
        await acknowledge(interaction, ephemeral=True, thinking=True)
        await _send(interaction, services, model, model.download_key)


async def _send(interaction: "discord.Interaction[Dreambot]", services: Services, model: Model, key: str) -> None:
    """Attach the file, or link to it when Discord does not take one so large."""
    name, blob = file_name(model), await services.blobs.open_stream(key)
    said = _(
        "{name} for diffusers, AUTOMATIC1111, Forge, ComfyUI and InvokeAI, trained on `{base}`. Call it `{words}` in "
        "prompts."
    ).format(name=bold(model.name), base=model.base, words=f"{model.identifier} {model.class_noun}")
    about = f"{said} {variant_used(model.variant, model.name)}".strip()
    if blob.size <= upload_limit(interaction):
        data = b"".join([chunk async for chunk in blob.chunks])
        await interaction.edit_original_response(content=about, attachments=[discord.File(io.BytesIO(data), name)])
    elif link := services.link(key, name):
        opens = _("[{file}](<{link}>) opens for a day.").format(file=name, link=link)
        await interaction.edit_original_response(content=f"{about}\n{opens}")
    else:
        await interaction.edit_original_response(content=f"{about}\n{NOT_HERE.format(size=number(blob.size / 2**20))}")


def upload_limit(interaction: discord.Interaction[Any]) -> int:
    """Return how many bytes a file may have here, to be on the safe side of everything that Discord says about it."""
    limits = [interaction.filesize_limit, *([interaction.guild.filesize_limit] if interaction.guild else [])]
    return max(FILE_BYTES, min(limits))
