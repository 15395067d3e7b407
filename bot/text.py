"""What the bot says that is longer than a label: every error in words, and people's own words made harmless."""

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from discord.utils import format_dt

from bot.access import NotAManager, NotAnOperator, NotForYou, NotYourDataset, NotYourModel, NotYourPicture
from bot.cancellation import NothingUnderWay, SeveralUnderWay
from bot.datasets import NoSubject, NothingToKeep
from bot.decode import MAX_PIXELS, MIN_SIDE, Problem
from bot.drafts import DraftGone, FormGone
from bot.estimates import Estimate
from bot.intake import PhotosRefused, TooFewPhotos, TooManyPhotos
from bot.looks import MayNotKeepLooks, NoPlaceForPrompt
from bot.masks import MaskUnclear, PaintRefused
from bot.photo_checks import Advice, Flaw
from bot.prompts import AmbiguousName, DifferentBases, EmptyPrompt, InvalidSeed, PromptTooLong, SeveralSubjects, tidy
from bot.rework_text import MASK_PROBLEMS, PAINT_PROBLEMS
from bot.standing import State
from bot.stories import NoScenes
from bot.templates import MAX_DEPTH, MAX_OPTIONS, MAX_TEMPLATE_CHARS, InvalidTemplate, TemplateProblem
from bot.train_options import MOST_VIEWS, InvalidOption, OptionProblem
from bot.training import ChildAsSubject, InvalidClass
from storage.bases import Shape, training_sides, usual_rates
from storage.contract import MAX_PHOTOS, MAX_SEED, MIN_PHOTOS, FailureReason, JobKind
from storage.errors import (
    AboveTheUsual,
    Blocked,
    InvalidName,
    JobAlreadyEnded,
    LookNotFound,
    ModelNotFound,
    ModelNotReady,
    ModelTakenDown,
    NameProblem,
    NameTaken,
    NoRoom,
    NotYourJob,
    Paused,
    PicturesGone,
    PromptGone,
    QuestionClosed,
    QuotaUsedUp,
    ReportSettled,
    TooManyJobs,
    TooManyLimits,
    TooManyLooks,
    TrainingActive,
    UserError,
    WrongChannel,
)
from storage.gallery import Scope, Sort
from storage.names import MAX_CHARS
from storage.reports import Reason
from storage.schema import Job, JobState

MARKUP = re.compile(r"([\\*_~|`<>#\-+\[\]()@:/])")
JOINERS = "\u200c\u200d"
"""Invisible, but parts of emoji and of several scripts."""

NAME_PROBLEMS = {
    NameProblem.EMPTY: "is missing",
    NameProblem.TOO_SHORT: "is too short: it needs at least two characters",
    NameProblem.TOO_LONG: "is too long",
    NameProblem.CHARACTERS: "has characters that I cannot use: letters, digits, spaces, `_`, `-` and `'` are fine",
}
PHOTO_PROBLEMS = {
    Problem.NOT_A_PHOTO: "is not a picture that I can read. Send JPEG, PNG, WebP, HEIC or AVIF.",
    Problem.MOVING: "moves. Send a still picture, not a GIF or an animation.",
    Problem.TOO_MANY_PIXELS: f"has too many pixels. Shrink it below {MAX_PIXELS // 10**6} megapixels.",
    Problem.TOO_SMALL: f"is too small to learn from. Both sides need at least {MIN_SIDE} pixels.",
    Problem.DAMAGED: "is damaged or cut off. Save or export it again.",
    Problem.TOO_LARGE: "is too large a file. Save it smaller; JPEG is fine.",
    Problem.GONE: "could not be fetched from Discord. Attach it once more.",
}
PHOTO_ADVICE = {
    Flaw.ALIKE: "{Photos} show nearly the same view: add some from other sides or in another place.",
    Flaw.NEARLY_SAME: "{Photos} are nearly the same: {keep} for another angle.",
    Flaw.HEADLESS: "{Photos} {cuts} off the head: leave some room above it.",
    Flaw.CUT_OFF: "In {photos} the subject runs out of the picture: step back, so that some photos show all of it.",
    Flaw.DARK: "{Photos} {is} very dark: take {it} again in daylight or with a lamp on.",
    Flaw.BLOWN_OUT: "{Photos} {is} too bright to show details: turn away from the sun or the lamp.",
    Flaw.BLURRED: "{Photos} {is} blurred: hold still, tap on the subject to focus, and take {it} again.",
    Flaw.SMALL: "{Photos} {has} few pixels: send the original, not a preview or a screenshot.",
}
KINDS_OF_JOBS = {JobKind.TRAIN: "Trainings", JobKind.IMAGINE: "Pictures"}
NOTHING_OF = {JobKind.TRAIN: "trainings", JobKind.IMAGINE: "pictures"}
NO_WORKERS = "No worker is there: nothing is drawn or trained until one starts."
WORKERS_UNKNOWN = "The queue (Redis) does not answer, so I cannot tell how the workers stand."
WORKER_STARTS = "loads its base model"
ONE = {"is": "is", "it": "it", "has": "has", "cuts": "cuts"}
SEVERAL = {"is": "are", "it": "them", "has": "have", "cuts": "cut"}
FAILURES = {
    FailureReason.PHOTOS_MISSING: "The photos were no longer there. Please run `/train` with them again.",
    FailureReason.MODEL_MISSING: "The model's file is no longer there. Please train it again.",
    FailureReason.MODEL_CORRUPT: "The model's file is damaged. Please train it again.",
    FailureReason.PICTURE_MISSING: "The picture to work on is no longer there. Please draw it again first.",
    FailureReason.OUT_OF_MEMORY: "It did not fit into the graphics card's memory. A smaller size or batch may fit.",
    FailureReason.DIVERGED: "Training ran out of hand twice. Try again with a lower learning rate or other photos.",
    FailureReason.UNSAFE: "The pictures did not pass the safety check, so they are not shown. Try another prompt.",
    FailureReason.UPGRADE: "The worker is of another version than I am. Please tell whoever runs this bot.",
    FailureReason.ENGINE_DIED: "The worker broke down over it. Please try again.",
    FailureReason.GAVE_UP: "Several workers tried and none came to an end. Please try again later.",
    FailureReason.CLASS_DOUBTFUL: "The photos seem to show something else than the class says, so nothing was trained.",
}

OPTION_PROBLEMS = {
    OptionProblem.RATE_TOO_HIGH: "That learning rate is too high for {base}: the model would forget how to draw. "
    "Stay at or below {most:g}, or leave it to me.",
    OptionProblem.RATE_TOO_LOW: "That learning rate is so low for {base} that nothing would be learned. "
    "Take at least {least:g}, or leave it to me.",
    OptionProblem.RESOLUTION: "{base} can be trained at {sides} pixels a side; the largest is what it draws at.",
    OptionProblem.TOO_LONG: "So many steps of so many photos would take days: "
    f"steps times batch size can be {MOST_VIEWS:,} at the most.",
    OptionProblem.NO_WEIGHT: "With a prior weight of 0 nothing is compared with ordinary examples, so neither their "
    "number nor a class prompt changes anything. Leave those out, or raise the weight.",
    OptionProblem.NO_IMAGES: "Without class images neither a prior weight nor a class prompt changes anything. "
    "Leave those out, or ask for some class images.",
    OptionProblem.CLASS_PROMPT: "The class prompt needs words: say what other members of the class are called, such as "
    "`a photo of a corgi`.",
    OptionProblem.CHILD: "A class prompt may not speak of children. Pets, things, styles and adults are fine.",
}
TEMPLATE_PROBLEMS = {
    TemplateProblem.UNCLOSED: "That prompt opens a choice and never closes it: `{beach|moon}` needs both its braces.",
    TemplateProblem.TOO_DEEP: f"Those choices are nested too deeply: {MAX_DEPTH} levels fit into one another.",
    TemplateProblem.TOO_MANY_OPTIONS: f"That prompt has too many choices: {MAX_OPTIONS} fit into one.",
    TemplateProblem.TOO_LONG: f"That template is too long: {MAX_TEMPLATE_CHARS:,} characters fit.",
    TemplateProblem.BOUNDS: "That asks for more choices than there are: `{2-3$$hat|scarf|boots}` takes two or three of "
    "the three.",
    TemplateProblem.NO_WEIGHT: "In that choice everything has the weight 0, so nothing can be chosen.",
}
REPORT_REASONS = {
    Reason.PERSON: "It shows somebody who did not agree",
    Reason.SEXUAL: "It is sexual",
    Reason.MINOR: "It shows a child in a harmful way",
    Reason.HATE: "It is hateful or cruel",
    Reason.OTHER: "Something else",
}
REPORTED = "Thank you. Those who run this bot will look at it. A moderator here can delete it at once by its button."
REPORTED_BEFORE = "You have reported this one already, and it is noted. Thank you."
LOOKS_INTRODUCED = 'A look puts your prompt into words of its own: `/imagine prompt:"rex" look:…`, or choose one below.'
DEFAULTS_INTRODUCED = "**What `/imagine` takes by itself**, where you say nothing else:"
NO_DEFAULTS = "- one square picture, for everybody in the channel to see"
WHEN_DIRECT = "When the channel where you asked is gone or closed to me, or a job outlasts its private reply,"
DIRECT_MESSAGES = {
    True: f"**Direct messages: on.** {WHEN_DIRECT} I send you what I made directly. Beside that I write only "
    "if a model of yours is taken down.",
    False: f"**Direct messages: off.** {WHEN_DIRECT} what I made waits for you in `/jobs`.",
}
SHAPES = {
    Shape.SQUARE: "Square 1:1",
    Shape.PORTRAIT: "Portrait 2:3",
    Shape.LANDSCAPE: "Landscape 3:2",
    Shape.UPRIGHT: "Upright photo 3:4",
    Shape.PHOTO: "Photo 4:3",
    Shape.PHONE: "Phone 9:16",
    Shape.WIDE: "Wide 16:9",
}
SCOPES = {
    Scope.MINE: "Your models",
    Scope.SERVER: "Models shared with this server",
    Scope.GIVEN: "Models that others share with you",
    Scope.PUBLIC: "Models for everybody",
}
SORTS = {Sort.NEWEST: "The newest first", Sort.NAME: "By name", Sort.SCORE: "The best likeness first"}
NO_MODELS = {
    Scope.MINE: (
        "You have none yet. Type `/train`, give your subject a name and a class such as dog, "
        "and add three to ten photos; then draw it anywhere with `/imagine`."
    ),
    Scope.SERVER: "There are none yet. Open one of yours with `/models`, and press Share.",
    Scope.GIVEN: "There are none yet. Who has a model opens it with `/models`, and presses Share with people.",
    Scope.PUBLIC: "There are none yet. Open one of yours with `/models`, and press Share with everybody.",
}
WHAT_GOES = (
    "The model goes, and with it its photos and every picture of it that I keep. Once it is deleted for good, nobody "
    "can bring it back. Pictures that stand in channels stay there."
)
HELD = {
    "models": ("model", "models"),
    "photos": ("photo that a model learns from", "photos that models learn from"),
    "pictures": ("picture", "pictures"),
    "prompts": ("prompt", "prompts"),
    "drafts": ("training that waits for your word", "trainings that wait for your word"),
    "consents": ("note that you agreed to a training's terms", "notes that you agreed to a training's terms"),
}
"""What is kept of a person, one and many."""
NOTHING_HELD = "Nothing but that you once asked me for something, if you did."
EVERYTHING_GOES = (
    "### Delete everything?\nYour models go, with their photos and every picture that anybody drew with them; so do "
    "your other pictures, your prompts, your settings and your consent. What is under way stops. Nobody can bring any "
    "of it back. Copies that you downloaded stay yours."
)
EVERYTHING_GONE = (
    "Everything is deleted. Cards in channels lose their pictures in the next minutes. What stays are lines without "
    "content, so that the buttons on old messages know that it is gone, and reports that you made."
)
YOUR_DATA = "All that I keep of you: `data.json`, your pictures, and your models as files for other programs."
YOUR_DATA_LINKED = "[All that I keep of you](<{}>): a link for a day. Whoever has it can open it."
LEFT_OUT = (
    "{} of the files were too large to come along. `/models` hands you each model, and pictures stand on their cards."
)
TAKEN_DOWN = "Those who run this bot took it down, so nobody can draw with it for now. You can delete it. They say:"
WHO_MAY_DRAW = "Who may draw with {}, in any server and in direct messages? Choose nobody to end it."
SHARED_WITH_PEOPLE = "{} may draw with {} from now on: `/models` shows it to them."
SHARED_WITH_NOBODY = "Nobody may draw with {} by name any more."
WHO_GETS_IT = "Who shall have {}? They are asked here, and nothing happens before they say yes."
OFFER = (
    "<@{heir}>, <@{owner}> would like to give you the model {name}, a {noun}. If you take it, it is yours alone, "
    "and you answer for what it draws."
)
OFFER_TAKEN = "{name} belongs to <@{heir}> now, a gift of <@{owner}>."
OFFER_DECLINED = "<@{heir}> left {name} with <@{owner}>."
OFFER_TAKEN_BACK = "<@{owner}> keeps {name}."
NOT_TO_A_BOT = "A model can only go to a person. Choose somebody else; it cannot be you or a bot."
GOOD_PHOTOS = (
    "**Three to ten photos of one subject make a model.** Good ones are sharp and bright, show it whole or close up, "
    "from several sides and in several places, and nothing else of its kind. The picture shows what helps and what "
    "does not."
)
HELP_TRAIN = (
    "{train} `name:rex class:dog` with the photos attached; without any it opens a form. I show you what I see in them "
    "and what it will cost before anything begins."
)
HELP_NEXT = {
    State.NOTHING: "### Let's teach me something of yours\n{good}\n{train}",
    State.LEARNING: "### I am learning {name}\nThe card in the channel shows how far I am, and {jobs} too. Meanwhile "
    "{imagine} draws anything that needs no model: `a boat at sea`.",
    State.FAILED: "### Learning {name} did not work out\n{good}\n{train}",
    State.GUEST: "### You can draw {name}\n{imagine} `prompt:{name} on the moon` draws it; others share it with you. "
    "To teach me something of your own:\n{train}",
    State.OWNER: "### Draw {name} anywhere\n{imagine} `prompt:{name} on the moon` draws it. Braces such as "
    "`{{beach|moon|forest}}` take something else for each picture, and {styles} shows looks to put it into. {models} "
    "shares it, renames it, and lets you download it.",
}
COMMANDS = {
    "train": "learn a subject from photos",
    "imagine": "draw a picture, with or without a model",
    "storybook": "a story in pictures of one subject, scene by scene",
    "dataset": "many pictures of one subject, to train something else with",
    "styles": "looks for your pictures",
    "models": "your models, and those shared with you",
    "jobs": "what you asked for, and what came of it",
    "usage": "what you have used, and what is left today",
    "cancel": "stop something that is under way",
    "settings": "what /imagine takes by itself, and direct messages",
    "privacy": "what I keep of you, a copy of it, or its deletion",
}
WELCOME = (
    "### Hello! I learn what something looks like from a few photos, and then draw it anywhere\n"
    "- {train} teaches me a pet, a thing, a style, or an adult who agrees. I learn from nothing else: I read no "
    "messages here.\n- {imagine} draws it, or anything else.\n- {help} says how to begin.\n"
    "A model is its owner's alone until they share it. Every picture can be deleted by who asked for it and by your "
    "moderators, and anybody can report it."
)
PERMISSIONS_FINE = "I may do here all that I need."
PERMISSIONS_MISSING = (
    "In this channel I miss: {}. Without that I cannot show what I made. Give it to my role, or to me in this channel, "
    "then press Check again."
)
PERMISSIONS = {
    "view_channel": "View Channel",
    "send_messages": "Send Messages",
    "attach_files": "Attach Files",
    "embed_links": "Embed Links",
    "read_message_history": "Read Message History",
    "send_messages_in_threads": "Send Messages in Threads",
}
FREE = "What fails through no fault of yours costs nothing, and neither does what you cancel in time."
WHICH_COVER = "Which of these shall stand for the model in `/models`?"
COVER_SET = "That picture stands for {} from now on."
RESTARTING = "I am about to restart. Please ask again in a minute; what you asked for before goes on."
BROKEN_OFF = "I had to restart before I was done with this, so nothing was begun. Please ask for it again in a minute."

ENDINGS = {JobState.SUCCEEDED: "finished", JobState.FAILED: "failed", JobState.CANCELLED: "been cancelled"}


def plain(words: str, limit: int = 300) -> str:
    """Show a person's words as they are: one line, no markup, no mention, no link, nothing invisible."""
    visible = "".join(
        character
        for character in " ".join(words.split())
        if character in JOINERS or unicodedata.category(character)[0] != "C"
    )
    shown = visible if len(visible) <= limit else visible[: limit - 1].rstrip() + "…"
    return MARKUP.sub(r"\\\1", shown)


def quote(words: str, limit: int = 300) -> str:
    """Show a prompt word for word: inside a code span neither mentions nor markup come alive."""
    return f"`{cut(tidy(words).replace('`', 'ˋ'), limit)}`"


def cut(words: str, limit: int) -> str:
    return words if len(words) <= limit else words[: limit - 1].rstrip() + "…"


def bold(name: str) -> str:
    return f"**{plain(name)}**"


def listed(names: Sequence[str]) -> str:
    """Join names as a sentence does: a, b and c."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def our_fault(reference: str) -> str:
    return (
        "Something broke on our side, and nothing was lost. "
        f"If it happens again, tell us this reference: `{reference}`."
    )


def storage_fails(reference: str) -> str:
    return (
        "My storage is full or cannot be written right now, so I did not begin this. Please try again later; "
        f"whoever runs this bot finds the cause under the reference `{reference}`."
    )


def in_line(place: int, *, worker_alive: bool) -> str:
    """Say how a job waits; `place` counts from 1."""
    line = "Next in line." if place <= 1 else f"Number {place} in line."
    return line if worker_alive else f"{line} No worker is running right now; I keep your place."


def too_late(job: Job) -> str:
    """Say of a job that is done, where it is so, that its owner wanted it stopped."""
    return "" if job.cancel_requested_at is None else " It was done before the worker heard that you wanted it stopped."


def why_failed(reason: FailureReason | None) -> str:
    return FAILURES[reason or FailureReason.GAVE_UP]


def report_notice(job: Job, reporter_id: int, reason: Reason, note: str, address: str | None) -> str:
    """Tell operators what was reported, with nothing in it that could ping or mislead."""
    where = "a private reply" if address is None else f"[this card]({address})"
    lines = [
        f"### Reported: {REPORT_REASONS[reason].lower()}",
        f"<@{reporter_id}> about {where}, which <@{job.owner_id}> asked for.",
        f"Prompt: {quote(job.prompt_shown or '–')}",
    ]
    return "\n".join([*lines, *([f"They say: {quote(note)}"] if note.strip() else []), f"-# Job `{job.id}`"])


def explain(error: UserError) -> str:
    """Say what is wrong and what to do about it."""
    return EXPLANATIONS[type(error)](error)


def copies_left_out(copies: Sequence[tuple[int, int]]) -> str:
    """Say which photos, by position, are the same picture as an earlier one."""
    same = [f"photo {copy} is the same picture as photo {original}" for copy, original in copies]
    words = listed(same)
    return f"{words[0].upper()}{words[1:]}, so I use it once."


def advice(found: Advice) -> str:
    """Say what to do better, in a line."""
    several = len(found.photos) > 1
    photos = f"photo{'s' if several else ''} {listed([str(number) for number in found.photos])}"
    return PHOTO_ADVICE[found.flaw].format(
        photos=photos,
        Photos=photos.capitalize(),
        keep="swap one" if len(found.photos) == 2 else "keep one and swap the others",
        **(SEVERAL if several else ONE),
    )


def duration(seconds: float) -> str:
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def money(gpu_seconds: float, price_per_hour: float, currency: str) -> str:
    """Say what GPU time costs; nothing where the operator named no price."""
    if not price_per_hour:
        return ""
    cost = gpu_seconds / 3600 * price_per_hour
    return f"less than 0.01 {plain(currency)}" if cost < 0.01 else f"about {cost:,.2f} {plain(currency)}"


def gpu_time(gpu_seconds: float, price_per_hour: float = 0, currency: str = "") -> str:
    """Say what a job takes of the GPU, with its price where there is one."""
    cost = money(gpu_seconds, price_per_hour, currency)
    return f"{max(1, round(gpu_seconds)):,} GPU seconds{f' ({cost})' if cost else ''}"


def estimated(estimate: Estimate, price_per_hour: float = 0, currency: str = "") -> str:
    """Say how long a training will take, and what it will cost."""
    gpu = gpu_time(estimate.gpu_seconds, price_per_hour, currency)
    guess = "" if estimate.measured else " That is a first guess; I know better once a training has ended here."
    if not estimate.ahead:
        return f"It takes about {duration(estimate.seconds)}, {gpu}.{guess}"
    first = "One training comes" if estimate.ahead == 1 else f"{estimate.ahead} trainings come"
    return f"{first} first: all in all about {duration(estimate.seconds)}, {gpu} of them for yours.{guess}"


def _said(who: str, words: str) -> str:
    """Add what an operator or a moderator wrote, made harmless."""
    return f"\n{who}:\n> {plain(words)}" if words.strip() else ""


def dataset_cost(count: int, picture_seconds: float | None, price_per_hour: float = 0, currency: str = "") -> str:
    """Say what so many pictures will take; nothing is known before there was one."""
    if picture_seconds is None:
        return "What they take I know once a picture was drawn here."
    seconds = count * picture_seconds
    return f"They take about {duration(seconds)}, {gpu_time(seconds, price_per_hour, currency)}."


def dataset_packed(name: str, kept: int, weak: int, same: int) -> str:
    """Say what a data set's zip holds, and what was left out."""
    out = [
        *([f"{weak} that {'looks' if weak == 1 else 'look'} too little like {plain(name)}"] if weak else []),
        *([f"{same} nearly the same as {'another' if same == 1 else 'others'}"] if same else []),
    ]
    left_out = f" Left out: {listed(out)}." if out else ""
    pictures = "picture" if kept == 1 else "pictures"
    return (
        f"{kept} {pictures} of {bold(name)}, with captions, seeds and scores in `metadata.jsonl`: "
        f"Hugging Face's `imagefolder`.{left_out}"
    )


def _invalid_option(error: InvalidOption) -> str:
    least, most = usual_rates(error.base)
    *smaller, largest = map(str, training_sides(error.base))
    facts = {"base": plain(error.base), "least": least, "most": most, "sides": f"{', '.join(smaller)} or {largest}"}
    return OPTION_PROBLEMS[error.problem].format(**facts)


def _too_few(error: TooFewPhotos) -> str:
    copies = f", {error.same} of them a copy of another" if error.same else ""
    return (
        f"I need at least {MIN_PHOTOS} different photos, and these are {error.count}{copies}. "
        "Run `/train` again with more; different angles, places and light are best."
    )


def _refused(error: PhotosRefused) -> str:
    lines = [f"Photo {position} {PHOTO_PROBLEMS[problem]}" for position, problem in error.problems]
    return "\n".join([*lines, "Then run `/train` again with all the photos; I kept none of these."])


def _used_up(error: QuotaUsedUp) -> str:
    """Say what the limit is, and when it frees up."""
    if not error.limit:
        return f"You can ask for no {NOTHING_OF[error.kind]} in this server. Those who manage it can change that."
    when = None if error.free_at is None else f"{format_dt(error.free_at, 'R')}, at {format_dt(error.free_at, 't')}"
    if error.kind is JobKind.TRAIN:
        return f"You have had your {error.limit} trainings of the last 24 hours. You can start the next one {when}."
    if not error.left:
        return f"You have had your {error.limit} pictures of the last 24 hours. There will be more {when}."
    wait = "" if when is None else f" So many will fit {when}."
    return f"You have {error.left} of your {error.limit} pictures in 24 hours left: ask for fewer at once.{wait}"


EXPLANATIONS: Mapping[type[UserError], Callable[[Any], str]] = {
    # names and models
    InvalidName: lambda error: (
        f"The name {NAME_PROBLEMS[error.problem]}. Two to {MAX_CHARS} characters, such as `rex`."
    ),
    NameTaken: lambda error: (
        f"You have a model called {bold(error.name)} already. Choose another name, or rename that one in `/models`."
    ),
    ModelNotFound: lambda _: (
        "There is no such model for you here. `/models` shows yours and those shared with this server."
    ),
    ModelNotReady: lambda error: (
        f"{bold(error.name)} is not ready: it is still training, or its training failed. `/models` tells which."
    ),
    ModelTakenDown: lambda error: (
        f"{bold(error.name)} was taken down by those who run this bot, so nobody can draw with it for now. `/models` "
        "tells its owner why."
    ),
    NotForYou: lambda error: f"That is between <@{error.owner_id}> and <@{error.heir_id}>.",
    NotYourModel: lambda error: f"That is <@{error.owner_id}>'s model, so only they can do this.",
    # training
    InvalidClass: lambda error: (
        f"The class {NAME_PROBLEMS[error.problem]}. Say in one or two words what the photos show: `dog`, `red teapot`."
    ),
    InvalidOption: _invalid_option,
    ChildAsSubject: lambda _: "I learn people only when they are adults. Pets, things and styles are always fine.",
    TooFewPhotos: _too_few,
    TooManyPhotos: lambda error: (
        f"I learn from at most {MAX_PHOTOS} photos, and these are {error.count}. Choose the best ones."
    ),
    PhotosRefused: _refused,
    DraftGone: lambda _: "These photos are deleted, for they waited too long. Please run `/train` with them again.",
    QuestionClosed: lambda _: (
        "That is answered already, or the photos waited too long and are deleted. `/jobs` shows what is under way."
    ),
    TrainingActive: lambda _: "You have a training under way. Wait for its end, or stop it with `/cancel`.",
    FormGone: lambda _: "I do not know this form any more. Please open it once more; nothing was begun.",
    # prompts and pictures
    EmptyPrompt: lambda _: "That prompt is empty. Say what to draw, for example `rex on the moon`.",
    PromptTooLong: lambda error: (
        f"That prompt is too long: {error.length:,} characters, with each name written out as the model knows it, "
        f"and {error.limit:,} fit. Shorten it a little."
    ),
    NoScenes: lambda error: (
        f"A story needs one to {error.most} scenes, a line for each, of at most {error.chars} characters: "
        "`rex wakes up in a room`, then `rex at the beach`."
    ),
    NoSubject: lambda error: (
        f"{bold(error.name)} is a style, and a data set shows one subject. `/imagine` draws anything in that style."
    ),
    NothingToKeep: lambda _: (
        "None of these pictures looks enough like its subject to learn from. Train the model longer or with better "
        "photos, then ask for the set again."
    ),
    InvalidTemplate: lambda error: TEMPLATE_PROBLEMS[error.problem],
    InvalidSeed: lambda _: f"A seed is a whole number from 0 to {MAX_SEED:,}. Leave it empty for a new one.",
    LookNotFound: lambda _: "There is no such look here. `/styles` shows those that there are.",
    NoPlaceForPrompt: lambda _: (
        "A look needs `{prompt}` where a person's own words go, for example `{prompt} as a stained-glass window`."
    ),
    MayNotKeepLooks: lambda _: (
        "A server's looks are kept by those who may keep its emoji (Create or Manage Expressions). Ask one of them."
    ),
    TooManyLooks: lambda error: (
        f"This server has {error.limit} looks of its own, and that is as many as fit. Remove one in `/styles` first."
    ),
    MaskUnclear: lambda error: str(MASK_PROBLEMS[error.problem]),
    PaintRefused: lambda error: str(PAINT_PROBLEMS[error.problem]),
    PicturesGone: lambda _: "That picture is no longer there.",
    SeveralSubjects: lambda error: (
        f"Two subjects fit into a picture, and I found {listed([bold(name) for name in error.names])}. "
        "Take one out, or pick the one you mean with the `model` option: every other name is then a plain word."
    ),
    DifferentBases: lambda error: (
        f"{listed([bold(name) for name in error.names])} were trained on different base models and cannot be drawn "
        "together. Name one of them, or train the other again."
    ),
    AmbiguousName: lambda error: (
        f"Several people share a model called {bold(error.name)} here. Pick the one you mean with the `model` option."
    ),
    TooManyJobs: lambda error: (
        f"You have {error.limit} requests for pictures under way already. "
        "Ask again when one of them is done, or stop one with `/cancel`."
    ),
    QuotaUsedUp: _used_up,
    NotAManager: lambda _: "That is for those who may manage this server.",
    TooManyLimits: lambda error: (
        f"This server has limits for {error.most} roles, and that is as many as fit. Take one away first: "
        "`/admin quotas` with that role and `usual`."
    ),
    AboveTheUsual: lambda error: (
        f"A server can allow its members up to {error.most:,} {NOTHING_OF[error.kind]} in 24 hours. Only those who run "
        "this bot can allow more: ask them."
    ),
    WrongChannel: lambda error: (
        f"This server keeps me to {listed([f'<#{channel}>' for channel in error.channels])}. Ask me again there."
    ),
    NotAnOperator: lambda _: (
        "That is for those who run this bot. Its settings name them: `OPERATORS`, with the ids of their accounts."
    ),
    Paused: lambda error: (
        "I take in nothing new right now; what you asked for before goes on. Please try again later."
        + _said("Those who run this bot say", error.words)
    ),
    Blocked: lambda error: (
        f"You cannot use me {'any more' if error.everywhere else 'in this server any more'}. You can still see and "
        "delete what is yours: `/models`, `/jobs` and `/settings` are open to you."
        + _said("The reason that was given", error.words)
    ),
    ReportSettled: lambda error: f"<@{error.by_id}> has decided about that already: {error.verdict}.",
    NotYourDataset: lambda error: (
        f"<@{error.owner_id}> asked for this data set, so it goes to them alone. `/dataset` draws one for you."
    ),
    NotYourPicture: lambda error: (
        f"<@{error.owner_id}> asked for that picture, so only they or a moderator can delete it."
    ),
    NoRoom: lambda _: (
        "My disk is nearly full, so I take in nothing new right now; what you asked for before goes on. "
        "Please tell whoever runs this bot, and try again later."
    ),
    # jobs
    NotYourJob: lambda _: "There is no such job of yours; only whoever started one can stop it.",
    PromptGone: lambda _: "The words of that request are deleted. Ask for it anew with `/imagine`.",
    NothingUnderWay: lambda _: "You have nothing under way that could be cancelled.",
    SeveralUnderWay: lambda error: f"You have {error.count} requests under way. Choose one with the `job` option.",
    JobAlreadyEnded: lambda error: f"It is too late to stop that: it has already {ENDINGS[error.state]}.",
}
