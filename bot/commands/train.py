"""`/train`: learn a subject from a few photos.

The way from here: `learn` below -> `bot.views.contact_sheet` -> `bot.drafts.accept_draft` ->
`storage.trainings.accept_training` -> `bot.outbox` -> `gpu_worker.tasks` -> `gpu_worker.engine.training`.
"""

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import discord
from discord import app_commands
from discord.app_commands import Choice, Range

from bot.acknowledging import acknowledge
from bot.channel_rules import check_channel
from bot.consent import ConsentText
from bot.drafts import keep, keep_for_form
from bot.estimates import estimate
from bot.guest import check_at_home
from bot.language import locale_of_card
from bot.limits import roles_of
from bot.train_options import check_options
from bot.training import (
    MAX_CLASS_CHARS,
    Asker,
    Wish,
    agreed_already,
    check_may_begin,
    check_wish,
    take_in_photos,
)
from bot.views import contact_sheet
from bot.views.class_buttons import ClassButton
from bot.views.contact_sheet import Offer
from bot.views.share_button import ShareButton
from bot.views.train_again import TrainAgainButton
from bot.views.train_form import KIND_LABELS, QUALITY_LABELS, TrainForm
from storage.contract import MAX_CLASS_PROMPT_CHARS, MAX_SEED, Quality, SubjectKind, TrainingOptions
from storage.model_names import find_to_train_again
from storage.names import MAX_CHARS
from storage.variants import next_version, versions

if TYPE_CHECKING:
    from bot.app import Dreambot

Interaction = discord.Interaction["Dreambot"]
Photo = discord.Attachment


def register(bot: "Dreambot") -> None:
    bot.tree.add_command(train)
    bot.add_dynamic_items(contact_sheet.TrainButton, contact_sheet.SwapButton, contact_sheet.CancelButton)
    bot.add_dynamic_items(ClassButton, ShareButton, TrainAgainButton)


@app_commands.command(description="Teach me what something looks like from 3 to 10 photos, and draw it anywhere")
@app_commands.rename(class_noun="class")
@app_commands.describe(
    name="What you will call it in prompts, such as rex",
    class_noun="What it is in one or two words, such as dog",
    photo1="3 to 10 photos from different sides; leave them out and a form opens",
    kind="What the photos show; I guess it from the class",
    quality="How much time to take",
    steps="For experts: training steps",
    learning_rate="For experts: the optimiser's step size",
    rank="For experts: how much the model can learn",
    batch_size="For experts: photos a step",
    prior_weight="For experts: how firmly to keep what the class looks like",
    class_images="For experts: how many ordinary examples to compare with",
    class_prompt='For experts: what those are called, in place of "a photo of a dog"',
    resolution="For experts: the side in pixels to train at; less is quicker and shows less detail",
    seed="The same seed and photos give the same model",
)
@app_commands.choices(
    kind=[Choice(name=str(label), value=kind.value) for kind, label in KIND_LABELS.items()],
    quality=[Choice(name=str(label), value=quality.value) for quality, label in QUALITY_LABELS.items()],
)
async def train(
    interaction: Interaction,
    name: Range[str, 1, MAX_CHARS],
    class_noun: Range[str, 1, MAX_CLASS_CHARS],
    photo1: Photo | None = None,
    photo2: Photo | None = None,
    photo3: Photo | None = None,
    photo4: Photo | None = None,
    photo5: Photo | None = None,
    photo6: Photo | None = None,
    photo7: Photo | None = None,
    photo8: Photo | None = None,
    photo9: Photo | None = None,
    photo10: Photo | None = None,
    kind: str | None = None,
    quality: str = Quality.GOOD,
    steps: Range[int, 10, 10_000] | None = None,
    learning_rate: Range[float, 0.000001, 0.1] | None = None,
    rank: Range[int, 1, 128] | None = None,
    batch_size: Range[int, 1, 32] | None = None,
    prior_weight: Range[float, 0, 10] | None = None,
    class_images: Range[int, 0, 1000] | None = None,
    class_prompt: Range[str, 1, MAX_CLASS_PROMPT_CHARS] | None = None,
    resolution: Range[int, 16, 1024] | None = None,
    seed: Range[int, 0, MAX_SEED] | None = None,
) -> None:
    check_at_home(interaction)
    await check_channel(interaction)
    services = interaction.client.services
    options = check_options(
        TrainingOptions.model_construct(
            steps=steps,
            learning_rate=learning_rate,
            rank=rank,
            batch_size=batch_size,
            prior_weight=prior_weight,
            class_images=class_images,
            class_prompt=class_prompt,
            resolution=resolution,
        ),
        services.base,
    )
    wish = check_wish(
        name,
        class_noun,
        SubjectKind(kind) if kind else None,
        Quality(quality),
        random.randint(0, MAX_SEED) if seed is None else seed,
        options,
    )
    async with services.database.read() as session:
        known = await find_to_train_again(session, interaction.user.id, wish.name, wish.class_noun, services.base)
        if known is not None:
            wish = replace(wish, model=known.id, name=known.name)
        await check_may_begin(session, services, asker_of(interaction), wish)
        agreed = await agreed_already(session, services, interaction.user.id)
    slots = (photo1, photo2, photo3, photo4, photo5, photo6, photo7, photo8, photo9, photo10)
    photos = [photo for photo in slots if photo is not None]
    if photos:
        await learn(interaction, wish, photos)
    else:
        draft = await keep_for_form(services, wish, asker_of(interaction))
        await TrainForm(wish, draft, None if agreed else ConsentText.of(services.settings)).open(interaction)


async def learn(
    interaction: Interaction,
    wish: Wish,
    photos: Sequence[Photo],
    *,
    agrees: bool = False,
    in_place_of: str | None = None,
) -> None:
    """Take the photos in, and show their owner what would be trained on.

    They take the place of an earlier draft, where there is one; `agrees` means to the present words, by this very
    interaction.
    """
    services = interaction.client.services
    # The form was opened by a card that only this person sees: it is shown anew.
    swaps = interaction.message is not None and interaction.message.flags.ephemeral
    await acknowledge(interaction, thinking=not swaps, ephemeral=True)
    async with interaction.client.under_way.remembered(interaction):
        training, taken = await take_in_photos(services, wish, asker_of(interaction), photos)
        await keep(services, training, agrees=agrees, in_place_of=in_place_of)
        async with services.database.read() as session:
            agreed = await agreed_already(session, services, interaction.user.id)
            estimated = await estimate(session, training)
            version = next_version(await versions(session, training.model))
        asks = None if agreed else ConsentText.of(services.settings)
        price, currency = services.settings.gpu_price_per_hour, services.settings.currency
        offer = Offer(
            training=training,
            version=version,
            taken=taken,
            estimate=estimated,
            asks=asks,
            price_per_hour=price,
            currency=currency,
        )
        card = contact_sheet.render(offer)
        await interaction.edit_original_response(view=card.view, attachments=card.files)


def asker_of(interaction: Interaction) -> Asker:
    assert interaction.channel_id is not None  # noqa: S101 -- commands are given in channels
    return Asker(
        id=interaction.user.id,
        guild_id=interaction.guild_id,
        channel_id=interaction.channel_id,
        interaction_id=interaction.id,
        roles=roles_of(interaction),
        locale=locale_of_card(interaction),
    )
