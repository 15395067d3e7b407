"""What the bot says to those who look after it, and about what they decided."""

from discord.utils import format_dt

from bot.text import bold, plain
from storage.schema import Pause

MAX_WORDS = 300

PAUSED = (
    "Paused. Nothing new is taken in; what was asked for before goes on. `/admin resume` ends it, a restart does not."
)
DRAINED = (
    "Draining. Nothing new is taken in, and nothing that waits is begun; what a worker has in hand goes on. When "
    "`/admin status` shows nothing under way, the worker can go. `/admin resume` ends it, a restart does not."
)
RESUMED = "Going on: requests are taken in again, and what waits begins."
NOT_PAUSED = "Nothing was paused. Requests are taken in."
WHERE = {True: "anywhere", False: "in this server"}
BLOCKED = (
    "<@{person}> may make nothing {where} any more; requests stopped: {stopped}. They can still see and delete what is "
    "theirs. `/admin unblock` ends it."
)
UNBLOCKED = "<@{person}> may use me again {where}."
WAS_NOT_BLOCKED = "<@{person}> was not blocked {where}."
NOT_BLOCKABLE = "Bots, those who run me, and you yourself cannot be blocked. Choose somebody else."
TAKEN_DOWN = (
    "{name}, of <@{owner}>, is taken down: nobody can use it or find it, and what was under way with it is stopped. "
    "{told} `/admin restore` gives it back."
)
TOLD = {
    True: "Its owner has a direct message with your reason.",
    False: "Its owner takes no direct messages; `/models` tells them your reason.",
}
RESTORED = "{name}, of <@{owner}>, can be used again as before."


def standing_of_pause(pause: Pause) -> str:
    """Say since when nothing is taken in, by whom, and what people are told."""
    what = "Draining: nothing is taken in or begun" if pause.drains else "Paused: nothing new is taken in"
    words = f"\n> {plain(pause.words)}" if pause.words.strip() else ""
    return f"**{what}**, since {format_dt(pause.at, 'R')}, by <@{pause.operator_id}>{words}"


def taken_down_notice(name: str, words: str) -> str:
    return (
        f"Those who run this bot have taken down your model {bold(name)}: nobody can draw with it for now.\n"
        f"> {plain(words)}\nYou find it under `/models`, where you can delete it. If you think that this is a mistake, "
        "ask whoever runs the bot."
    )
