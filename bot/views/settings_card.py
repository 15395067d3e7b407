"""What a person may set for themselves, the buttons that set it, and the form for what `/imagine` takes by itself."""

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Self

import discord
from discord import ui

from bot.forms import Form
from bot.imagine_text import DEFAULTS_INTRODUCED, NO_DEFAULTS, SHAPES
from bot.language import N_, _, ngettext
from bot.looks import NO_LOOK, Look, looks_for
from bot.markup import cut, plain, quote
from bot.prompts import read_negative
from bot.replies import pressed
from storage.bases import Shape, shapes
from storage.contract import MAX_COUNT, MAX_PROMPT_CHARS
from storage.people import Defaults, defaults_of, set_defaults, set_direct_messages, wants_direct_messages

if TYPE_CHECKING:
    from bot.app import Dreambot

    Interaction = discord.Interaction[Dreambot]

DIRECT_MESSAGES = {
    True: N_(
        "**Direct messages: on.** When the channel where you asked is gone or closed to me, or a job outlasts its "
        "private reply, I send you what I made directly. Beside that I write only if a model of yours is taken down."
    ),
    False: N_(
        "**Direct messages: off.** When the channel where you asked is gone or closed to me, or a job outlasts its "
        "private reply, what I made waits for you in `/jobs`."
    ),
}
LABELS = {True: N_("Allow direct messages"), False: N_("No direct messages")}
MOST_LOOKS = 24
"""With "none" as many as a menu holds."""
OPTION_CHARS = 100
VISIBLE, PRIVATE = "visible", "private"


async def load(interaction: "Interaction") -> ui.LayoutView:
    """Return the card as the asker's rows stand."""
    services = interaction.client.services
    async with services.database.read() as session:
        direct = await wants_direct_messages(session, interaction.user.id)
        defaults = await defaults_of(session, interaction.user.id)
        looks = await looks_for(session, services.base, interaction.guild_id)
    return render(direct_messages=direct, defaults=defaults, looks=looks)


def render(*, direct_messages: bool, defaults: Defaults, looks: Sequence[Look]) -> ui.LayoutView:
    """`looks` are those that can be chosen here."""
    card = ui.Container[ui.LayoutView](accent_colour=discord.Colour.blurple())
    facts = list(_facts(defaults, looks))
    usual = "\n".join(f"- {fact}" for fact in facts) or str(NO_DEFAULTS)
    title = _("### Your settings")
    card.add_item(ui.TextDisplay(f"{title}\n{DIRECT_MESSAGES[direct_messages]}"))
    card.add_item(ui.ActionRow(DirectMessagesButton(wanted=not direct_messages)))
    card.add_item(ui.Separator())
    card.add_item(ui.TextDisplay(f"{DEFAULTS_INTRODUCED}\n{usual}"))
    card.add_item(ui.ActionRow(DefaultsButton(), *([ForgetButton()] if facts else [])))
    view = ui.LayoutView(timeout=None)
    view.add_item(card)
    return view


def _facts(defaults: Defaults, looks: Sequence[Look]) -> Iterator[str]:
    if defaults.count > 1:
        yield ngettext("{count} picture at once", "{count} pictures at once", defaults.count)
    if defaults.shape is not Shape.SQUARE:
        yield str(SHAPES[defaults.shape])
    if defaults.look is not None:
        name = next((look.title for look in looks if look.id == defaults.look), None)
        if name is None:
            yield _("a look of another server, which I leave out here")
        else:
            yield _("the look {name}").format(name=plain(name))
    if defaults.negative_prompt:
        yield _("without {words}").format(words=quote(defaults.negative_prompt))
    if defaults.private:
        yield _("for your eyes only")


class DefaultsForm(Form, template=r"settings:defaults"):
    def __init__(self, defaults: Defaults, looks: Sequence[Look], base: str) -> None:
        super().__init__(title=_("What /imagine takes by itself"), custom_id="settings:defaults")
        self.count = ui.Select[Self](
            options=[discord.SelectOption(label=str(n), default=n == defaults.count) for n in range(1, MAX_COUNT + 1)],
            custom_id="count",
        )
        self.shape = ui.Select[Self](
            options=[
                discord.SelectOption(label=str(SHAPES[shape]), value=shape, default=shape is defaults.shape)
                for shape in shapes(base)
            ],
            custom_id="shape",
        )
        known = any(look.id == defaults.look for look in looks[:MOST_LOOKS])
        self.look = ui.Select[Self](
            options=[
                discord.SelectOption(label=_("None"), value=NO_LOOK, default=not known),
                *(
                    discord.SelectOption(
                        label=cut(look.title, OPTION_CHARS), value=look.id, default=look.id == defaults.look
                    )
                    for look in looks[:MOST_LOOKS]
                ),
            ],
            custom_id="look",
        )
        self.negative = ui.TextInput[Self](
            required=False, default=defaults.negative_prompt or None, max_length=MAX_PROMPT_CHARS, custom_id="negative"
        )
        self.private = ui.Select[Self](
            options=[
                discord.SelectOption(label=_("Everybody in the channel"), value=VISIBLE, default=not defaults.private),
                discord.SelectOption(label=_("Only you"), value=PRIVATE, default=defaults.private),
            ],
            custom_id="private",
        )
        self.add_item(ui.Label(text=_("Pictures at once"), component=self.count))
        if len(shapes(base)) > 1:
            self.add_item(ui.Label(text=_("Shape"), component=self.shape))
        self.add_item(ui.Label(text=_("Look"), component=self.look))
        self.add_item(ui.Label(text=_("Keep out"), component=self.negative))
        self.add_item(ui.Label(text=_("Who sees the pictures"), component=self.private))

    @classmethod
    async def of(cls, interaction: "Interaction") -> Self:
        services = interaction.client.services
        async with services.database.read() as session:
            defaults = await defaults_of(session, interaction.user.id)
            looks = await looks_for(session, services.base, interaction.guild_id)
        return cls(defaults, looks, services.base)

    @classmethod
    async def reopen(cls, interaction: "Interaction", _match: re.Match[str]) -> Self:
        return await cls.of(interaction)

    @pressed
    async def on_submit(self, interaction: "Interaction") -> None:
        services, look = interaction.client.services, self.look.values[0]
        wanted = Defaults(
            count=int(self.count.values[0]),
            shape=Shape(self.shape.values[0]) if self.shape.values else Shape.SQUARE,
            look=None if look == NO_LOOK else look,
            negative_prompt=read_negative(self.negative.value),
            private=self.private.values[0] == PRIVATE,
        )
        async with services.database.write() as session:
            await set_defaults(session, interaction.user.id, wanted, services.clock())
        await interaction.response.edit_message(view=await load(interaction))


class DirectMessagesButton(ui.DynamicItem[ui.Button[Any]], template=r"settings:direct:(?P<wanted>on|off)"):
    """Set it for the presser."""

    def __init__(self, *, wanted: bool) -> None:
        super().__init__(ui.Button(label=str(LABELS[wanted]), custom_id=f"settings:direct:{'on' if wanted else 'off'}"))
        self.wanted = wanted

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], _item: ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        return cls(wanted=match["wanted"] == "on")

    @pressed
    async def callback(self, interaction: "Interaction") -> None:
        services = interaction.client.services
        async with services.database.write() as session:
            await set_direct_messages(session, interaction.user.id, self.wanted, services.clock())
        await interaction.response.edit_message(view=await load(interaction))


class DefaultsButton(ui.DynamicItem[ui.Button[Any]], template=r"settings:usual"):
    """Open the form with the presser's own."""

    def __init__(self) -> None:
        super().__init__(ui.Button(label=_("Choose"), custom_id="settings:usual"))

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], _item: ui.Item[Any], _match: re.Match[str], /
    ) -> Self:
        return cls()

    @pressed
    async def callback(self, interaction: "Interaction") -> None:
        await (await DefaultsForm.of(interaction)).open(interaction)


class ForgetButton(ui.DynamicItem[ui.Button[Any]], template=r"settings:forget"):
    """Go back to what everybody gets."""

    def __init__(self) -> None:
        super().__init__(ui.Button(label=_("As for everybody"), custom_id="settings:forget"))

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], _item: ui.Item[Any], _match: re.Match[str], /
    ) -> Self:
        return cls()

    @pressed
    async def callback(self, interaction: "Interaction") -> None:
        services = interaction.client.services
        async with services.database.write() as session:
            await set_defaults(session, interaction.user.id, Defaults(), services.clock())
        await interaction.response.edit_message(view=await load(interaction))
