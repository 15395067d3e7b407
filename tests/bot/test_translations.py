"""Whatever the bot says stands in the catalogue, and every catalogue says all of it as the English does."""

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from string import Formatter
from types import SimpleNamespace
from typing import Any, cast

import discord
import pytest
import simcord.interactions
from babel.messages import Catalog, Message
from discord.ext import commands

from bot import command_translations
from bot.app import Dreambot
from bot.command_list import _digest
from bot.command_translations import translate_commands
from bot.commands import register_all
from bot.language import LANGUAGES, listed, ngettext, number, spoken
from storage.contract import Stage, Started, Step
from tests.bot.conftest import World, answer, choose_model, shown, words
from tests.bot.made import trained
from tools.messages import catalogue_of, compiled, missing, of_commands, read, wanted

BOT = Path(__file__).parents[2] / "bot"
MARKS = {"_", "N_", "Plural", "ngettext", "pgettext"}

NOT_SAID: Mapping[str, str] = {
    "__main__.py": "said in the terminal, to whoever runs the bot",
    "playground": "the demo's own page and terminal",
    "settings.py": "names and notes of settings",
    "files.py": "said to a browser, of which no language is known",
    "datasets.py": "the page that goes with a data set, for other programs and their communities",
    "prompts.py": "read in prompts, which are in English",
    "subject_kinds.py": "read in class nouns, which are in English",
    "variety.py": "put into prompts, which are in English",
    "stories.py": "names of fonts",
    "refusals.py": "said in the log",
    "delivery.py": "said in the log",
    "outbox.py": "said in the log",
    "reconcile.py": "said in the log",
}
"""Files and folders whose texts nobody is told in Discord, and why."""
AS_THEY_ARE: Mapping[str, str] = {
    "a boat at sea": "a prompt",
    "as a stained-glass window": "a prompt",
    " wakes up\n": "a prompt",
    " at the beach": "a prompt",
}
"""Texts that stay as they are in every language, and why."""

WORDS = re.compile(r"[^\W\d_]{2,}[,.:;!?]? [^\W\d_]|^\W*[A-Z][a-z]+[^\w=]*$")
"""Two words in a row, or one with a capital letter."""
WORD_OF_SENTENCE = re.compile(r"(^|[\s·(])[^\W\d_]{2,}[,.;!?]?(\s|$)")
"""A word beside what a formatted string puts in: such a sentence cannot be translated as a whole."""


@cache
def template() -> Catalog:
    return wanted()


def messages(catalog: Catalog) -> Iterator[Message]:
    return (message for message in catalog if message.id)


def english(message: Message) -> tuple[str, ...]:
    return message.id if isinstance(message.id, tuple) else (str(message.id),)


def said(message: Message) -> tuple[str, ...]:
    return message.string if isinstance(message.string, tuple) else (str(message.string),)


# The catalogues.


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_catalogue_holds_what_the_bot_says_and_nothing_else(language: str) -> None:
    catalog = read(language)
    keys = {(message.context, english(message)) for message in messages(catalog)}
    assert keys == {(message.context, english(message)) for message in messages(template())}
    assert missing(catalog) == []
    assert not any(message.fuzzy for message in messages(catalog))
    assert catalogue_of(language).with_suffix(".mo").read_bytes() == compiled(catalog), "run `make messages`"


def placeholders(words: str) -> set[str]:
    """What stands for a value; alternatives of a prompt template are none."""
    return {name for _, name, _, _ in Formatter().parse(words) if name is not None and name.isidentifier()}


@pytest.mark.parametrize("language", LANGUAGES)
def test_translations_have_the_placeholders_of_the_english(language: str) -> None:
    for message in messages(read(language)):
        expected, (*singular, last) = placeholders(english(message)[-1]), said(message)
        assert placeholders(last) == expected, last
        for form in singular:  # which may say "a picture" for "1 picture"
            assert placeholders(form) | {"count"} == expected | {"count"}, form


# What is said stands in the code, marked.


def sources() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(BOT.rglob("*.py")):
        name = path.relative_to(BOT)
        if name.parts[0] not in NOT_SAID:
            yield str(name), ast.parse(path.read_text("utf-8"))


def exempt(node: ast.AST) -> bool:
    """Tell whether what stands below is marked, or said in the log, or no text at all."""
    match node:
        case ast.Call():
            name = ast.unparse(node.func)
            return name in MARKS | {"forever", "TypeVar"} or name.startswith(("log.", "re.", "app_commands."))
        case ast.ClassDef():  # what errors and enums hold is for us
            return any(ast.unparse(base).endswith(("Error", "Enum")) for base in node.bases)
        case ast.Expr():
            return isinstance(node.value, ast.Constant)  # a docstring
        case _:
            return isinstance(node, ast.Assert | ast.Raise)


NOT_TEXT = {"annotation", "returns", "decorator_list", "slice", "keys"}


def unmarked(node: ast.AST, *, formatted: bool = False) -> Iterator[str]:
    if exempt(node):
        return
    text = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
    if WORDS.search(text) or (formatted and WORD_OF_SENTENCE.search(text)):
        yield text
    for name, value in ast.iter_fields(node):
        if name not in NOT_TEXT and not (name == "keywords" and isinstance(node, ast.ClassDef)):
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from unmarked(child, formatted=isinstance(node, ast.JoinedStr))


def test_no_text_is_unmarked() -> None:
    by_commands = {text for _, text in of_commands()}  # translated from there
    found = [(name, text) for name, tree in sources() for text in unmarked(tree)]
    assert [(name, text) for name, text in found if text not in AS_THEY_ARE and text not in by_commands] == []


def test_an_unmarked_text_is_found() -> None:
    """So that the test above can fail."""
    said_badly = """
ui.Button(label="Press me")
ui.TextDisplay(f"**{name}** is here")
raise Gone
reply(interaction, "Nothing")
HINT = "look at this"
facts.append(f"by <@{owner}>")
"""
    assert list(unmarked(ast.parse(said_badly))) == ["Press me", "** is here", "Nothing", "look at this", "by <@"]
    said_well = '''
"""A docstring of some words."""
ui.Button(label=_("Press me"), custom_id="job:cancel")
ui.TextDisplay(_("**{name}** is here").format(name=name))
log.info("job %s is there", job)
HINT = N_("look at this")
'''
    assert list(unmarked(ast.parse(said_well))) == []


def test_what_stays_as_it_is_is_still_there() -> None:
    texts = {node.value for _, tree in sources() for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    assert set(AS_THEY_ARE) <= texts
    assert all((BOT / name).exists() for name in NOT_SAID)


TRANSLATE_DATA = {"language.py", "looks/__init__.py"}


def test_every_mark_is_seen() -> None:
    """Babel does not look into formatted strings, and takes nothing but literal texts."""
    known = {text for message in messages(template()) for text in english(message)}
    for name, tree in sources():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in MARKS and name not in TRANSLATE_DATA:
                count = {"ngettext": 2, "Plural": 2, "pgettext": 2}.get(ast.unparse(node.func), 1)
                for text in node.args[count - 1 : count]:
                    assert isinstance(text, ast.Constant), (name, ast.unparse(node))
                    assert text.value in known, (name, text.value)


# What fits into Discord, and what belongs together.

NAME = re.compile(r"[-_\w]{1,32}")
COMMAND = re.compile(r"(?<![\w<>/])/([a-z]+)(?: ([a-z]+))?")
"""As a text names one: `/admin quotas`."""


async def payload() -> list[dict[str, Any]]:
    bot = commands.Bot(command_prefix=commands.when_mentioned, intents=discord.Intents.none())
    vars(bot)["services"] = SimpleNamespace(base="demo")
    register_all(cast(Dreambot, bot))
    await translate_commands(bot.tree)
    assert bot.tree.translator is not None
    return [await each.get_translated_payload(bot.tree, bot.tree.translator) for each in bot.tree.get_commands()]


def with_options(part: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield part
    for option in part.get("options", ()):
        yield from with_options(option)


def in_language(part: dict[str, Any], field: str, language: str) -> str:
    english = part.get(field, "")
    return str(part.get(f"{field}_localizations", {}).get(language, english))


@pytest.mark.parametrize("language", LANGUAGES)
async def test_discord_takes_the_commands(language: str) -> None:
    roots = await payload()
    assert in_language(roots[0], "name", language) != roots[0]["name"]
    for root in roots:
        size = 0
        for part in with_options(root):
            name, description = in_language(part, "name", language), in_language(part, "description", language)
            assert NAME.fullmatch(name), name
            assert name == name.lower(), name
            assert 1 <= len(description) <= 100, description
            names = [in_language(option, "name", language) for option in part.get("options", ())]
            assert len(names) == len(set(names)), names
            choices = [in_language(choice, "name", language) for choice in part.get("choices", ())]
            assert all(1 <= len(choice) <= 100 for choice in choices)
            size += len(name) + len(description) + sum(map(len, choices))
        assert size <= 8000, root["name"]
    assert len({in_language(root, "name", language) for root in roots}) == len(roots)


async def test_every_option_is_translated() -> None:
    parts = [part for root in await payload() for part in with_options(root)]
    known = {(message.context, english(message)[0]) for message in messages(template())}
    for part in parts:
        assert ("option" if "required" in part else "command", part["name"]) in known


@pytest.mark.parametrize("language", LANGUAGES)
async def test_texts_call_commands_by_their_names(language: str) -> None:
    catalog = read(language)

    def name(kind: str, english: str) -> str:
        found = catalog.get(english, kind)
        return english if found is None else str(found.string)

    for message in messages(catalog):
        for plain, form in zip(reversed(english(message)), reversed(said(message)), strict=False):
            for command, sub in COMMAND.findall(plain):
                if catalog.get(command, "command") is not None:
                    full = f"/{name('command', command)}" + (f" {name('command', sub)}" if command == "admin" else "")
                    assert full in form, form


def limit(node: ast.Call, keyword: str) -> int | None:
    """How long a text may be where it stands alone in a component (Discord's component reference)."""
    kind = ast.unparse(node.func).split("[")[0].split(".")[-1]
    return {
        ("Button", "label"): 80,
        ("Select", "placeholder"): 150,
        ("UserSelect", "placeholder"): 150,
        ("RoleSelect", "placeholder"): 150,
        ("ChannelSelect", "placeholder"): 150,
        ("MentionableSelect", "placeholder"): 150,
        ("TextInput", "placeholder"): 100,
        ("SelectOption", "label"): 100,
        ("SelectOption", "description"): 100,
        ("Label", "text"): 45,
        ("Label", "description"): 100,
        ("__init__", "title"): 45,
    }.get((kind, keyword))


@pytest.mark.parametrize("language", LANGUAGES)
def test_texts_fit_where_they_stand(language: str) -> None:
    catalog, seen = read(language), 0
    for _, tree in sources():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            for keyword in node.keywords:
                most = limit(node, keyword.arg or "")
                if most is not None and called(keyword.value) == "_" and isinstance(keyword.value, ast.Call):
                    text = ast.literal_eval(keyword.value.args[0])
                    found = catalog.get(text)
                    assert found is not None
                    assert len(str(found.string)) <= most, found.string
                    seen += 1
    assert seen > 30


def called(node: ast.AST) -> str:
    return ast.unparse(node.func) if isinstance(node, ast.Call) else ""


# From the interaction to the card.


def speaking(monkeypatch: pytest.MonkeyPatch, person: str, server: str = "en-US") -> None:
    """Let everybody in the simulated Discord, which knows no languages, speak these."""
    build = simcord.interactions.base_payload

    def in_languages(*args: Any, **options: Any) -> Any:
        record, sent = build(*args, **options)
        return record, sent | {"locale": person} | ({"guild_locale": server} if "guild_id" in sent else {})

    monkeypatch.setattr(simcord.interactions, "base_payload", in_languages)


async def test_a_person_alone_is_answered_in_their_language(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    speaking(monkeypatch, "de")
    assert "Deine Aufträge der letzten 14 Tage" in answer(await world.ada.slash(world.channel, "jobs"))
    assert "Dieser Prompt ist leer." in answer(await world.ada.slash(world.channel, "imagine", prompt=" "))
    speaking(monkeypatch, "ja")
    assert "この14日間の依頼" in answer(await world.ada.slash(world.channel, "jobs"))
    speaking(monkeypatch, "fr")
    assert "Your jobs of the last 14 days" in answer(await world.ada.slash(world.channel, "jobs"))


async def test_a_card_keeps_the_language_of_its_server(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    speaking(monkeypatch, "ja", server="de")
    await world.ada.slash(world.channel, "imagine", prompt="a boat")
    (card,) = world.seen_by(world.ben)
    assert "Als Nächstes dran." in words(card)
    (job,) = await world.active(world.ada)
    await world.apply(Started, job.id, worker="w", steps=20)
    await world.apply(Step, job.id, stage=Stage.TRAINING, step=4, steps=20)
    await world.deliver(after=20)
    (card,) = world.seen_by(world.ben)
    assert "Wird gezeichnet: Schritt 4 von 20." in words(card)
    private = await world.ada.slash(world.channel, "imagine", prompt="a boat", private=True)
    assert "依頼" in answer(private)


async def test_a_form_and_its_answer_speak_alike(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    rex = await trained(world, world.ada)
    speaking(monkeypatch, "de")
    page = await choose_model(shown(await world.ada.slash(world.channel, "models")), world.ada, rex.id)
    asked = await world.ada.click(shown(page), label="Umbenennen")
    assert asked.modal is not None
    assert "rex umbenennen" in str(asked.modal)
    assert "Der Name ist zu kurz" in answer(await world.ada.submit_modal(asked, {"name": " x "}))


async def test_translations_are_sent_when_they_change(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    before = await _digest(world.bot, None)
    assert await _digest(world.bot, None) == before
    monkeypatch.setattr(command_translations, "catalogue", lambda _: None)
    assert await _digest(world.bot, None) != before


def test_the_language_ends_with_its_block() -> None:
    with spoken("de"):
        assert number(1234567.5, 1) == "1.234.567,5"
        assert listed(["a", "b", "c"]) == "a, b und c"
        with spoken("ja"):
            assert listed(["a", "b", "c"]) == "a、bとc"
        assert ngettext("{count} picture", "{count} pictures", 1) == "1 Bild"
    assert number(1234567.5, 1) == "1,234,567.5"
    assert listed(["a", "b", "c"]) == "a, b and c"
