"""What the bot says that is longer than a label: every error in words, and people's own words made harmless."""

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from discord.utils import format_dt

from bot.access import NotAManager, NotAnOperator, NotForYou, NotYourDataset, NotYourModel, NotYourPicture
from bot.brought import NothingToChange, PictureRefused
from bot.cancellation import NothingUnderWay, SeveralUnderWay
from bot.datasets import NoSubject, NothingToKeep
from bot.decode import MAX_PIXELS, MIN_SIDE, Problem
from bot.drafts import DraftGone, FormGone
from bot.estimates import Estimate
from bot.guest import OnlyAGuest
from bot.intake import PhotosRefused, TooFewPhotos, TooManyPhotos
from bot.language import N_, Number, Plural, _, either, listed, ngettext, number
from bot.looks import MayNotKeepLooks, NoPlaceForPrompt
from bot.masks import MaskUnclear
from bot.photo_checks import Advice, Flaw
from bot.prompts import AmbiguousName, DifferentBases, EmptyPrompt, InvalidSeed, PromptTooLong, SeveralSubjects, tidy
from bot.rework_text import MASK_PROBLEMS, SENT_PROBLEMS
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
from storage.reports import Reason, Verdict
from storage.schema import Job, JobState

MARKUP = re.compile(r"([\\*_~|`<>#\-+\[\]()@:/])")
JOINERS = "\u200c\u200d"
"""Invisible, but parts of emoji and of several scripts."""

NAME_PROBLEMS = {
    NameProblem.EMPTY: N_("The name is missing."),
    NameProblem.TOO_SHORT: N_("The name is too short: it needs at least two characters."),
    NameProblem.TOO_LONG: N_("The name is too long."),
    NameProblem.CHARACTERS: N_(
        "The name has characters that I cannot use: letters, digits, spaces, `_`, `-` and `'` are fine."
    ),
}
CLASS_PROBLEMS = {
    NameProblem.EMPTY: N_("The class is missing."),
    NameProblem.TOO_SHORT: N_("The class is too short: it needs at least two characters."),
    NameProblem.TOO_LONG: N_("The class is too long."),
    NameProblem.CHARACTERS: N_(
        "The class has characters that I cannot use: letters, digits, spaces, `-` and `'` are fine."
    ),
}
PHOTO_PROBLEMS = {
    Problem.NOT_A_PHOTO: N_("Photo {number} is not a picture that I can read. Send JPEG, PNG, WebP, HEIC or AVIF."),
    Problem.MOVING: N_("Photo {number} moves. Send a still picture, not a GIF or an animation."),
    Problem.TOO_MANY_PIXELS: N_(
        "Photo {number} has too many pixels. Shrink it below {most} megapixels.", most=MAX_PIXELS // 10**6
    ),
    Problem.TOO_SMALL: N_(
        "Photo {number} is too small to learn from. Both sides need at least {least} pixels.", least=MIN_SIDE
    ),
    Problem.DAMAGED: N_("Photo {number} is damaged or cut off. Save or export it again."),
    Problem.TOO_LARGE: N_("Photo {number} is too large a file. Save it smaller; JPEG is fine."),
    Problem.GONE: N_("Photo {number} could not be fetched from Discord. Attach it once more."),
}
PHOTO_ADVICE = {
    Flaw.ALIKE: Plural(
        "Photo {photos} shows nearly the same view: add some from other sides or in another place.",
        "Photos {photos} show nearly the same view: add some from other sides or in another place.",
    ),
    Flaw.NEARLY_SAME: Plural(
        "Photo {photos} is nearly the same: keep one and swap the others for another angle.",
        "Photos {photos} are nearly the same: keep one and swap the others for another angle.",
    ),
    Flaw.HEADLESS: Plural(
        "Photo {photos} cuts off the head: leave some room above it.",
        "Photos {photos} cut off the head: leave some room above it.",
    ),
    Flaw.CUT_OFF: Plural(
        "In photo {photos} the subject runs out of the picture: step back, so that some photos show all of it.",
        "In photos {photos} the subject runs out of the picture: step back, so that some photos show all of it.",
    ),
    Flaw.DARK: Plural(
        "Photo {photos} is very dark: take it again in daylight or with a lamp on.",
        "Photos {photos} are very dark: take them again in daylight or with a lamp on.",
    ),
    Flaw.BLOWN_OUT: Plural(
        "Photo {photos} is too bright to show details: turn away from the sun or the lamp.",
        "Photos {photos} are too bright to show details: turn away from the sun or the lamp.",
    ),
    Flaw.BLURRED: Plural(
        "Photo {photos} is blurred: hold still, tap on the subject to focus, and take it again.",
        "Photos {photos} are blurred: hold still, tap on the subject to focus, and take them again.",
    ),
    Flaw.SMALL: Plural(
        "Photo {photos} has few pixels: send the original, not a preview or a screenshot.",
        "Photos {photos} have few pixels: send the original, not a preview or a screenshot.",
    ),
}
TWO_NEARLY_SAME = N_("Photos {photos} are nearly the same: swap one for another angle.")
AMOUNTS = {
    JobKind.TRAIN: Plural("{count} training", "{count} trainings"),
    JobKind.IMAGINE: Plural("{count} picture", "{count} pictures"),
}
NO_WORKERS = N_("No worker is there: nothing is drawn or trained until one starts.")
WORKERS_UNKNOWN = N_("The queue (Redis) does not answer, so I cannot tell how the workers stand.")
WORKER_STARTS = N_("loads its base model")
FAILURES = {
    FailureReason.PHOTOS_MISSING: N_("The photos were no longer there. Please run `/train` with them again."),
    FailureReason.MODEL_MISSING: N_("The model's file is no longer there. Please train it again."),
    FailureReason.MODEL_CORRUPT: N_("The model's file is damaged. Please train it again."),
    FailureReason.PICTURE_MISSING: N_("The picture to work on is no longer there. Please draw it again first."),
    FailureReason.OUT_OF_MEMORY: N_("It did not fit into the graphics card's memory. A smaller size or batch may fit."),
    FailureReason.DIVERGED: N_("Training ran out of hand twice. Try again with a lower learning rate or other photos."),
    FailureReason.UNSAFE: N_("The pictures did not pass the safety check, so they are not shown. Try another prompt."),
    FailureReason.UPGRADE: N_("The worker is of another version than I am. Please tell whoever runs this bot."),
    FailureReason.ENGINE_DIED: N_("The worker broke down over it. Please try again."),
    FailureReason.GAVE_UP: N_("Several workers tried and none came to an end. Please try again later."),
    FailureReason.CLASS_DOUBTFUL: N_(
        "The photos seem to show something else than the class says, so nothing was trained."
    ),
}

OPTION_PROBLEMS = {
    OptionProblem.RATE_TOO_HIGH: N_(
        "That learning rate is too high for {base}: the model would forget how to draw. "
        "Stay at or below {most}, or leave it to me."
    ),
    OptionProblem.RATE_TOO_LOW: N_(
        "That learning rate is so low for {base} that nothing would be learned. "
        "Take at least {least}, or leave it to me."
    ),
    OptionProblem.RESOLUTION: N_("{base} can be trained at {sides} pixels a side; the largest is what it draws at."),
    OptionProblem.TOO_LONG: N_(
        "So many steps of so many photos would take days: steps times batch size can be {views} at the most."
    ),
    OptionProblem.NO_WEIGHT: N_(
        "With a prior weight of 0 nothing is compared with ordinary examples, so neither their "
        "number nor a class prompt changes anything. Leave those out, or raise the weight."
    ),
    OptionProblem.NO_IMAGES: N_(
        "Without class images neither a prior weight nor a class prompt changes anything. "
        "Leave those out, or ask for some class images."
    ),
    OptionProblem.CLASS_PROMPT: N_(
        "The class prompt needs words: say what other members of the class are called, such as `a photo of a corgi`."
    ),
    OptionProblem.CHILD: N_("A class prompt may not speak of children. Pets, things, styles and adults are fine."),
}
TEMPLATE_PROBLEMS = {
    TemplateProblem.UNCLOSED: N_(
        "That prompt opens a choice and never closes it: `{beach|moon}` needs both its braces."
    ),
    TemplateProblem.TOO_DEEP: N_(
        "Those choices are nested too deeply: {most} levels fit into one another.", most=MAX_DEPTH
    ),
    TemplateProblem.TOO_MANY_OPTIONS: N_("That prompt has too many choices: {most} fit into one.", most=MAX_OPTIONS),
    TemplateProblem.TOO_LONG: N_("That template is too long: {most} characters fit.", most=Number(MAX_TEMPLATE_CHARS)),
    TemplateProblem.BOUNDS: N_(
        "That asks for more choices than there are: `{2-3$$hat|scarf|boots}` takes two or three of the three."
    ),
    TemplateProblem.NO_WEIGHT: N_("In that choice everything has the weight 0, so nothing can be chosen."),
}
REPORT_REASONS = {
    Reason.PERSON: N_("It shows somebody who did not agree"),
    Reason.SEXUAL: N_("It is sexual"),
    Reason.MINOR: N_("It shows a child in a harmful way"),
    Reason.HATE: N_("It is hateful or cruel"),
    Reason.OTHER: N_("Something else"),
}
REPORTED = N_(
    "Thank you. Those who run this bot will look at it. A moderator here can delete it at once by its button."
)
REPORTED_BEFORE = N_("You have reported this one already, and it is noted. Thank you.")
LOOKS_INTRODUCED = N_(
    'A look puts your prompt into words of its own: `/imagine prompt:"rex" look:…`, or choose one below.'
)
DEFAULTS_INTRODUCED = N_("**What `/imagine` takes by itself**, where you say nothing else:")
NO_DEFAULTS = N_("- one square picture, for everybody in the channel to see")
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
SHAPES = {
    Shape.SQUARE: N_("Square 1:1"),
    Shape.PORTRAIT: N_("Portrait 2:3"),
    Shape.LANDSCAPE: N_("Landscape 3:2"),
    Shape.UPRIGHT: N_("Upright photo 3:4"),
    Shape.PHOTO: N_("Photo 4:3"),
    Shape.PHONE: N_("Phone 9:16"),
    Shape.WIDE: N_("Wide 16:9"),
}
SCOPES = {
    Scope.MINE: N_("Your models"),
    Scope.SERVER: N_("Models shared with this server"),
    Scope.GIVEN: N_("Models that others share with you"),
    Scope.PUBLIC: N_("Models for everybody"),
}
SORTS = {Sort.NEWEST: N_("The newest first"), Sort.NAME: N_("By name"), Sort.SCORE: N_("The best likeness first")}
NO_MODELS = {
    Scope.MINE: (
        N_(
            "You have none yet. Type `/train`, give your subject a name and a class such as dog, "
            "and add three to ten photos; then draw it anywhere with `/imagine`."
        )
    ),
    Scope.SERVER: N_("There are none yet. Open one of yours with `/models`, and press Share."),
    Scope.GIVEN: N_(
        "There are none yet. Who has a model opens it with `/models`, and presses Share with people or roles."
    ),
    Scope.PUBLIC: N_("There are none yet. Open one of yours with `/models`, and press Share with everybody."),
}
WHAT_GOES = N_(
    "The model goes, and with it its photos and every picture of it that I keep. Once it is deleted for good, nobody "
    "can bring it back. Pictures that stand in channels stay there."
)
HELD = {
    "models": Plural("{count} model", "{count} models"),
    "photos": Plural("{count} photo that a model learns from", "{count} photos that models learn from"),
    "pictures": Plural("{count} picture", "{count} pictures"),
    "prompts": Plural("{count} prompt", "{count} prompts"),
    "drafts": Plural("{count} training that waits for your word", "{count} trainings that wait for your word"),
    "consents": Plural(
        "{count} note that you agreed to a training's terms", "{count} notes that you agreed to a training's terms"
    ),
}
"""What is kept of a person."""
NOTHING_HELD = N_("Nothing but that you once asked me for something, if you did.")
EVERYTHING_GOES = N_(
    "### Delete everything?\nYour models go, with their photos and every picture that anybody drew with them; so do "
    "your other pictures, your prompts, your settings and your consent. What is under way stops. Nobody can bring any "
    "of it back. Copies that you downloaded stay yours."
)
EVERYTHING_GONE = N_(
    "Everything is deleted. Cards in channels lose their pictures in the next minutes. What stays are lines without "
    "content, so that the buttons on old messages know that it is gone, and reports that you made."
)
YOUR_DATA = N_("All that I keep of you: `data.json`, your pictures, and your models as files for other programs.")
YOUR_DATA_LINKED = N_("[All that I keep of you](<{link}>): a link for a day. Whoever has it can open it.")
LEFT_OUT = Plural(
    "{count} of the files was too large to come along. `/models` hands you each model, and pictures stand on their "
    "cards.",
    "{count} of the files were too large to come along. `/models` hands you each model, and pictures stand on their "
    "cards.",
)
TAKEN_DOWN = N_("Those who run this bot took it down, so nobody can draw with it for now. You can delete it. They say:")
WHO_MAY_DRAW = N_("Who may draw with {name}, in any server and in direct messages? Choose nobody to end it.")
WHOSE_ROLE_MAY = N_("And in this server, whoever has one of these roles:")
SHARED_WITH_ROLES = N_(
    "Whoever has {roles} may draw with {name} here: `/models` shows it to them, under what is shared."
)
SHARED_WITH_NO_ROLE = N_("Nobody here may draw with {name} by a role any more.")
SHARED_WITH_PEOPLE = N_("{people} may draw with {name} from now on: `/models` shows it to them.")
SHARED_WITH_NOBODY = N_("Nobody may draw with {name} by name any more.")
WHO_GETS_IT = N_("Who shall have {name}? They are asked here, and nothing happens before they say yes.")
OFFER = N_(
    "<@{heir}>, <@{owner}> would like to give you the model {name}, a {noun}. If you take it, it is yours alone, "
    "and you answer for what it draws."
)
OFFER_TAKEN = N_("{name} belongs to <@{heir}> now, a gift of <@{owner}>.")
OFFER_DECLINED = N_("<@{heir}> left {name} with <@{owner}>.")
OFFER_TAKEN_BACK = N_("<@{owner}> keeps {name}.")
NOT_TO_A_BOT = N_("A model can only go to a person. Choose somebody else; it cannot be you or a bot.")
GOOD_PHOTOS = N_(
    "**Three to ten photos of one subject make a model.** Good ones are sharp and bright, show it whole or close up, "
    "from several sides and in several places, and nothing else of its kind. The picture shows what helps and what "
    "does not."
)
HELP_TRAIN = N_(
    "{train} `name:rex class:dog` with the photos attached; without any it opens a form. I show you what I see in them "
    "and what it will cost before anything begins."
)
HELP_NEXT = {
    State.NOTHING: N_("### Let's teach me something of yours\n{good}\n{train}"),
    State.LEARNING: N_(
        "### I am learning {name}\nThe card in the channel shows how far I am, and {jobs} too. Meanwhile "
        "{imagine} draws anything that needs no model: `a boat at sea`."
    ),
    State.FAILED: N_("### Learning {name} did not work out\n{good}\n{train}"),
    State.GUEST: N_(
        "### You can draw {name}\n{imagine} `prompt:{name} on the moon` draws it; others share it with you. "
        "To teach me something of your own:\n{train}"
    ),
    State.OWNER: N_(
        "### Draw {name} anywhere\n{imagine} `prompt:{name} on the moon` draws it. Braces such as "
        "`{{beach|moon|forest}}` take something else for each picture, and {styles} shows looks to put it into. "
        "{models} shares it, renames it, and lets you download it."
    ),
}
COMMANDS = {
    "train": N_("learn a subject from photos"),
    "imagine": N_("draw a picture, with or without a model"),
    "storybook": N_("a story in pictures of one subject, scene by scene"),
    "dataset": N_("many pictures of one subject, to train something else with"),
    "styles": N_("looks for your pictures"),
    "models": N_("your models, and those shared with you"),
    "jobs": N_("what you asked for, and what came of it"),
    "usage": N_("what you have used, and what is left today"),
    "cancel": N_("stop something that is under way"),
    "settings": N_("what /imagine takes by itself, and direct messages"),
    "privacy": N_("what I keep of you, a copy of it, or its deletion"),
}
WELCOME = N_(
    "### Hello! I learn what something looks like from a few photos, and then draw it anywhere\n"
    "- {train} teaches me a pet, a thing, a style, or an adult who agrees. I learn from nothing else: I read no "
    "messages here.\n- {imagine} draws it, or anything else.\n- {help} says how to begin.\n"
    "A model is its owner's alone until they share it. Every picture can be deleted by who asked for it and by your "
    "moderators, and anybody can report it."
)
PERMISSIONS_FINE = N_("I may do here all that I need.")
PERMISSIONS_MISSING = N_(
    "In this channel I miss: {permissions}. Without that I cannot show what I made. Give it to my role, or to me in "
    "this channel, then press Check again."
)
PERMISSIONS = {
    "view_channel": N_("View Channel"),
    "send_messages": N_("Send Messages"),
    "attach_files": N_("Attach Files"),
    "embed_links": N_("Embed Links"),
    "read_message_history": N_("Read Message History"),
    "send_messages_in_threads": N_("Send Messages in Threads"),
}
FREE = N_("What fails through no fault of yours costs nothing, and neither does what you cancel in time.")
WHICH_COVER = N_("Which of these shall stand for the model in `/models`?")
COVER_SET = N_("That picture stands for {name} from now on.")
RESTARTING = N_("I am about to restart. Please ask again in a minute; what you asked for before goes on.")
BROKEN_OFF = N_(
    "I had to restart before I was done with this, so nothing was begun. Please ask for it again in a minute."
)

SETTLED = {
    Verdict.DISMISSED: N_("<@{operator}> has decided about that already: dismissed."),
    Verdict.REMOVED: N_("<@{operator}> has decided about that already: removed."),
    Verdict.TAKEN_DOWN: N_("<@{operator}> has decided about that already: taken down."),
    Verdict.BLOCKED: N_("<@{operator}> has decided about that already: blocked."),
}
TOO_LATE_TO_STOP = {
    JobState.SUCCEEDED: N_("It is too late to stop that: it has already finished."),
    JobState.FAILED: N_("It is too late to stop that: it has already failed."),
    JobState.CANCELLED: N_("It is too late to stop that: it has already been cancelled."),
}


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


def our_fault(reference: str) -> str:
    return _(
        "Something broke on our side, and nothing was lost. If it happens again, tell us this reference: `{reference}`."
    ).format(reference=reference)


def storage_fails(reference: str) -> str:
    return _(
        "My storage is full or cannot be written right now, so I did not begin this. Please try again later; "
        "whoever runs this bot finds the cause under the reference `{reference}`."
    ).format(reference=reference)


def in_line(place: int, *, worker_alive: bool) -> str:
    """Say how a job waits; `place` counts from 1."""
    line = _("Next in line.") if place <= 1 else _("Number {place} in line.").format(place=place)
    return line if worker_alive else " ".join([line, _("No worker is running right now; I keep your place.")])


def too_late(job: Job) -> str:
    """Say of a job that is done, where it is so, that its owner wanted it stopped."""
    if job.cancel_requested_at is None:
        return ""
    return " " + _("It was done before the worker heard that you wanted it stopped.")


def why_failed(reason: FailureReason | None) -> str:
    return str(FAILURES[reason or FailureReason.GAVE_UP])


def report_notice(job: Job, reporter_id: int, reason: Reason, note: str, address: str | None) -> str:
    """Tell operators what was reported, with nothing in it that could ping or mislead."""
    people = {"reporter": reporter_id, "asker": job.owner_id}
    if address is None:
        where = _("<@{reporter}> about a private reply, which <@{asker}> asked for.").format(**people)
    else:
        where = _("<@{reporter}> about [this card]({address}), which <@{asker}> asked for.").format(
            **people, address=address
        )
    lines = [
        _("### Reported: {reason}").format(reason=REPORT_REASONS[reason]),
        where,
        _("Prompt: {prompt}").format(prompt=quote(job.prompt_shown or "–")),
    ]
    if note.strip():
        lines.append(_("They say: {note}").format(note=quote(note)))
    return "\n".join([*lines, _("-# Job `{job}`").format(job=job.id)])


def explain(error: UserError) -> str:
    """Say what is wrong and what to do about it."""
    said = EXPLANATIONS[type(error)]
    return str(said) if isinstance(said, N_) else said(error)


def copies_left_out(copies: Sequence[tuple[int, int]]) -> str:
    """Say which photos, by position, are the same picture as an earlier one."""
    return " ".join(
        _("Photo {copy} is the same picture as photo {original}, so I use it once.").format(
            copy=copy, original=original
        )
        for copy, original in copies
    )


def advice(found: Advice) -> str:
    """Say what to do better, in a line."""
    photos = listed([str(number) for number in found.photos])
    if found.flaw is Flaw.NEARLY_SAME and len(found.photos) == 2:
        return TWO_NEARLY_SAME.format(photos=photos)
    return PHOTO_ADVICE[found.flaw].format(len(found.photos), photos=photos)


def duration(seconds: float) -> str:
    if seconds < 60:
        return _("{seconds} s").format(seconds=max(1, round(seconds)))
    minutes = round(seconds / 60)
    if minutes < 60:
        return _("{minutes} min").format(minutes=minutes)
    return _("{hours} h {minutes} min").format(hours=minutes // 60, minutes=minutes % 60)


def money(gpu_seconds: float, price_per_hour: float, currency: str) -> str:
    """Say what GPU time costs; nothing where the operator named no price."""
    if not price_per_hour:
        return ""
    cost = gpu_seconds / 3600 * price_per_hour
    if cost < 0.01:
        return _("less than {cost}").format(cost=f"{number(0.01, 2)} {plain(currency)}")
    return _("about {cost}").format(cost=f"{number(cost, 2)} {plain(currency)}")


def gpu_time(gpu_seconds: float, price_per_hour: float = 0, currency: str = "") -> str:
    """Say what a job takes of the GPU, with its price where there is one."""
    cost, seconds = money(gpu_seconds, price_per_hour, currency), max(1, round(gpu_seconds))
    said = ngettext("{count} GPU second", "{count} GPU seconds", seconds)
    return _("{time} ({cost})").format(time=said, cost=cost) if cost else said


def estimated(estimate: Estimate, price_per_hour: float = 0, currency: str = "") -> str:
    """Say how long a training will take, and what it will cost."""
    facts = {"time": duration(estimate.seconds), "gpu": gpu_time(estimate.gpu_seconds, price_per_hour, currency)}
    if not estimate.ahead:
        said = _("It takes about {time}, {gpu}.").format(**facts)
    else:
        said = ngettext(
            "One training comes first: all in all about {time}, {gpu} of them for yours.",
            "{count} trainings come first: all in all about {time}, {gpu} of them for yours.",
            estimate.ahead,
        ).format(**facts)
    if estimate.measured:
        return said
    return " ".join([said, _("That is a first guess; I know better once a training has ended here.")])


def _quoted(who: str, words: str) -> str:
    """Show what an operator or a moderator wrote, made harmless, below the line that says who."""
    return f"{who}\n> {plain(words)}"


def dataset_cost(count: int, picture_seconds: float | None, price_per_hour: float = 0, currency: str = "") -> str:
    """Say what so many pictures will take; nothing is known before there was one."""
    if picture_seconds is None:
        return _("What they take I know once a picture was drawn here.")
    seconds = count * picture_seconds
    return _("They take about {time}, {gpu}.").format(
        time=duration(seconds), gpu=gpu_time(seconds, price_per_hour, currency)
    )


def dataset_packed(name: str, kept: int, weak: int, same: int) -> str:
    """Say what a data set's zip holds, and what was left out."""
    said = [
        ngettext(
            "{count} picture of {name}, with captions, seeds and scores in `metadata.jsonl`: Hugging Face's "
            "`imagefolder`.",
            "{count} pictures of {name}, with captions, seeds and scores in `metadata.jsonl`: Hugging Face's "
            "`imagefolder`.",
            kept,
        ).format(name=bold(name))
    ]
    looks = ngettext(
        "{count} that looks too little like {name}", "{count} that look too little like {name}", weak
    ).format(name=plain(name))
    alike = ngettext("{count} nearly the same as another", "{count} nearly the same as others", same)
    out = [*([looks] if weak else []), *([alike] if same else [])]
    if out:
        said.append(_("Left out: {pictures}.").format(pictures=listed(out)))
    return " ".join(said)


def _invalid_option(error: InvalidOption) -> str:
    least, most = usual_rates(error.base)
    sides = either([str(side) for side in training_sides(error.base)])
    facts = {"base": plain(error.base), "least": f"{least:g}", "most": f"{most:g}", "sides": sides}
    return OPTION_PROBLEMS[error.problem].format(**facts, views=number(MOST_VIEWS))


def _too_few(error: TooFewPhotos) -> str:
    if error.same:
        lacking = ngettext(
            "I need at least {least} different photos, and of these {photos} one is a copy of another.",
            "I need at least {least} different photos, and of these {photos} {count} are copies of others.",
            error.same,
        )
    else:
        lacking = _("I need at least {least} different photos, and these are {photos}.")
    again = _("Run `/train` again with more; different angles, places and light are best.")
    return f"{lacking.format(least=MIN_PHOTOS, photos=error.count)} {again}"


def _refused(error: PhotosRefused) -> str:
    lines = [PHOTO_PROBLEMS[problem].format(number=position) for position, problem in error.problems]
    return "\n".join([*lines, _("Then run `/train` again with all the photos; I kept none of these.")])


NOTHING_ALLOWED = {
    JobKind.TRAIN: N_("You can ask for no trainings in this server. Those who manage it can change that."),
    JobKind.IMAGINE: N_("You can ask for no pictures in this server. Those who manage it can change that."),
}


def _used_up(error: QuotaUsedUp) -> str:
    """Say what the limit is, and when it frees up."""
    if not error.limit:
        return str(NOTHING_ALLOWED[error.kind])
    when = ""
    if error.free_at is not None:
        when = _("{how_long}, at {when}").format(
            how_long=format_dt(error.free_at, "R"), when=format_dt(error.free_at, "t")
        )
    if error.kind is JobKind.TRAIN:
        return ngettext(
            "You have had your {count} training of the last 24 hours. You can start the next one {when}.",
            "You have had your {count} trainings of the last 24 hours. You can start the next one {when}.",
            error.limit,
        ).format(when=when)
    if not error.left:
        return ngettext(
            "You have had your {count} picture of the last 24 hours. There will be more {when}.",
            "You have had your {count} pictures of the last 24 hours. There will be more {when}.",
            error.limit,
        ).format(when=when)
    said = _("You have {left} of your {limit} pictures in 24 hours left: ask for fewer at once.").format(
        left=error.left, limit=error.limit
    )
    return " ".join([said, _("So many will fit {when}.").format(when=when)]) if when else said


def _paused(error: Paused) -> str:
    said = _("I take in nothing new right now; what you asked for before goes on. Please try again later.")
    if not error.words.strip():
        return said
    return "\n".join([said, _quoted(_("Those who run this bot say:"), error.words)])


def _blocked(error: Blocked) -> str:
    lost = _("You cannot use me any more.") if error.everywhere else _("You cannot use me in this server any more.")
    kept = _("You can still see and delete what is yours: `/models`, `/jobs` and `/settings` are open to you.")
    said = f"{lost} {kept}"
    if not error.words.strip():
        return said
    return "\n".join([said, _quoted(_("The reason that was given:"), error.words)])


EXPLANATIONS: Mapping[type[UserError], N_ | Callable[[Any], str]] = {
    # names and models
    InvalidName: lambda error: " ".join(
        [str(NAME_PROBLEMS[error.problem]), _("Two to {most} characters, such as `rex`.").format(most=MAX_CHARS)]
    ),
    NameTaken: lambda error: _(
        "You have a model called {name} already. Choose another name, or rename that one in `/models`; with the class "
        "that it has, `/train` makes another version of it."
    ).format(name=bold(error.name)),
    ModelNotFound: N_("There is no such model for you here. `/models` shows yours and those shared with this server."),
    ModelNotReady: lambda error: _(
        "{name} is not ready: it is still training, or its training failed. `/models` tells which."
    ).format(name=bold(error.name)),
    ModelTakenDown: lambda error: _(
        "{name} was taken down by those who run this bot, so nobody can draw with it for now. `/models` "
        "tells its owner why."
    ).format(name=bold(error.name)),
    NotForYou: lambda error: _("That is between <@{owner}> and <@{heir}>.").format(
        owner=error.owner_id, heir=error.heir_id
    ),
    NotYourModel: lambda error: _("That is <@{owner}>'s model, so only they can do this.").format(owner=error.owner_id),
    # training
    InvalidClass: lambda error: " ".join(
        [
            str(CLASS_PROBLEMS[error.problem]),
            _("Say in one or two words what the photos show: `dog`, `red teapot`."),
        ]
    ),
    InvalidOption: _invalid_option,
    ChildAsSubject: N_("I learn people only when they are adults. Pets, things and styles are always fine."),
    TooFewPhotos: _too_few,
    TooManyPhotos: lambda error: _(
        "I learn from at most {most} photos, and these are {count}. Choose the best ones."
    ).format(most=MAX_PHOTOS, count=error.count),
    PhotosRefused: _refused,
    DraftGone: N_("These photos are deleted, for they waited too long. Please run `/train` with them again."),
    QuestionClosed: N_(
        "That is answered already, or the photos waited too long and are deleted. `/jobs` shows what is under way."
    ),
    TrainingActive: N_("You have a training under way. Wait for its end, or stop it with `/cancel`."),
    FormGone: N_("I do not know this form any more. Please open it once more; nothing was begun."),
    # prompts and pictures
    EmptyPrompt: N_("That prompt is empty. Say what to draw, for example `rex on the moon`."),
    PromptTooLong: lambda error: _(
        "That prompt is too long: {length} characters, with each name written out as the model knows it, "
        "and {limit} fit. Shorten it a little."
    ).format(length=number(error.length), limit=number(error.limit)),
    NoScenes: lambda error: _(
        "A story needs one to {most} scenes, a line for each, of at most {chars} characters: "
        "`rex wakes up in a room`, then `rex at the beach`."
    ).format(most=error.most, chars=error.chars),
    NoSubject: lambda error: _(
        "{name} is a style, and a data set shows one subject. `/imagine` draws anything in that style."
    ).format(name=bold(error.name)),
    NothingToKeep: N_(
        "None of these pictures looks enough like its subject to learn from. Train the model longer or with better "
        "photos, then ask for the set again."
    ),
    InvalidTemplate: lambda error: str(TEMPLATE_PROBLEMS[error.problem]),
    InvalidSeed: N_("A seed is a whole number from 0 to {most}. Leave it empty for a new one.", most=Number(MAX_SEED)),
    LookNotFound: N_("There is no such look here. `/styles` shows those that there are."),
    NoPlaceForPrompt: N_(
        "A look needs `{prompt}` where a person's own words go, for example `{prompt} as a stained-glass window`."
    ),
    MayNotKeepLooks: N_(
        "A server's looks are kept by those who may keep its emoji (Create or Manage Expressions). Ask one of them."
    ),
    TooManyLooks: lambda error: _(
        "This server has {limit} looks of its own, and that is as many as fit. Remove one in `/styles` first."
    ).format(limit=error.limit),
    MaskUnclear: lambda error: str(MASK_PROBLEMS[error.problem]),
    OnlyAGuest: N_(
        "I am only a guest here, and cannot show how a training goes on. Send me `/train` in a direct message, or in a "
        "server that has added me."
    ),
    NothingToChange: N_(
        "`change` says how much of a `reference` may change, and there is none: send a picture along, or leave it out."
    ),
    PictureRefused: lambda error: str(SENT_PROBLEMS[error.problem]),
    PicturesGone: N_("That picture is no longer there."),
    SeveralSubjects: lambda error: _(
        "Two subjects fit into a picture, and I found {names}. "
        "Take one out, or pick the one you mean with the `model` option: every other name is then a plain word."
    ).format(names=listed([bold(name) for name in error.names])),
    DifferentBases: lambda error: _(
        "{names} were trained on different base models and cannot be drawn "
        "together. Name one of them, or train the other again."
    ).format(names=listed([bold(name) for name in error.names])),
    AmbiguousName: lambda error: _(
        "Several people share a model called {name} here. Pick the one you mean with the `model` option."
    ).format(name=bold(error.name)),
    TooManyJobs: lambda error: _(
        "You have {limit} requests for pictures under way already. "
        "Ask again when one of them is done, or stop one with `/cancel`."
    ).format(limit=error.limit),
    QuotaUsedUp: _used_up,
    NotAManager: N_("That is for those who may manage this server."),
    TooManyLimits: lambda error: _(
        "This server has limits for {most} roles, and that is as many as fit. Take one away first: "
        "`/admin quotas` with that role and `usual`."
    ).format(most=error.most),
    AboveTheUsual: lambda error: _(
        "A server can allow its members up to {amount} in 24 hours. Only those who run this bot can allow more: ask "
        "them."
    ).format(amount=AMOUNTS[error.kind].format(error.most)),
    WrongChannel: lambda error: _("This server keeps me to {channels}. Ask me again there.").format(
        channels=listed([f"<#{channel}>" for channel in error.channels])
    ),
    NotAnOperator: N_(
        "That is for those who run this bot. Its settings name them: `OPERATORS`, with the ids of their accounts."
    ),
    Paused: _paused,
    Blocked: _blocked,
    ReportSettled: lambda error: SETTLED[Verdict(error.verdict)].format(operator=error.by_id),
    NotYourDataset: lambda error: _(
        "<@{owner}> asked for this data set, so it goes to them alone. `/dataset` draws one for you."
    ).format(owner=error.owner_id),
    NotYourPicture: lambda error: _(
        "<@{owner}> asked for that picture, so only they or a moderator can delete it."
    ).format(owner=error.owner_id),
    NoRoom: N_(
        "My disk is nearly full, so I take in nothing new right now; what you asked for before goes on. "
        "Please tell whoever runs this bot, and try again later."
    ),
    # jobs
    NotYourJob: N_("There is no such job of yours; only whoever started one can stop it."),
    PromptGone: N_("The words of that request are deleted. Ask for it anew with `/imagine`."),
    NothingUnderWay: N_("You have nothing under way that could be cancelled."),
    SeveralUnderWay: lambda error: _("You have {count} requests under way. Choose one with the `job` option.").format(
        count=error.count
    ),
    JobAlreadyEnded: lambda error: str(TOO_LATE_TO_STOP[error.state]),
}
