"""Why something cannot be done, and what to do about it: every error in words."""

from collections.abc import Callable, Mapping
from typing import Any

from bot.access import NotAManager, NotAnOperator, NotForYou, NotYourDataset, NotYourModel, NotYourPicture
from bot.brought import NothingToChange, PictureRefused
from bot.cancellation import NothingUnderWay, SeveralUnderWay
from bot.datasets import NoSubject, NothingToKeep
from bot.drafts import DraftGone, FormGone
from bot.guest import OnlyAGuest
from bot.intake import PhotosRefused, TooFewPhotos, TooManyPhotos
from bot.job_text import TOO_LATE_TO_STOP
from bot.language import N_, Number, _, listed, number
from bot.looks import MayNotKeepLooks, NoPlaceForPrompt
from bot.markup import bold, plain
from bot.masks import MaskUnclear
from bot.photo_text import photos_refused, too_few
from bot.problem_text import CLASS_PROBLEMS, NAME_PROBLEMS, TEMPLATE_PROBLEMS, invalid_option
from bot.prompts import AmbiguousName, DifferentBases, EmptyPrompt, InvalidSeed, PromptTooLong, SeveralSubjects
from bot.quota_text import AMOUNTS, used_up
from bot.report_text import SETTLED
from bot.rework_text import MASK_PROBLEMS, SENT_PROBLEMS
from bot.stories import NoScenes
from bot.templates import InvalidTemplate
from bot.train_options import InvalidOption
from bot.training import ChildAsSubject, InvalidClass
from storage.contract import MAX_PHOTOS, MAX_SEED
from storage.errors import (
    AboveTheUsual,
    Blocked,
    InvalidName,
    JobAlreadyEnded,
    LookNotFound,
    ModelNotFound,
    ModelNotReady,
    ModelTakenDown,
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
from storage.names import MAX_CHARS
from storage.reports import Verdict

RESTARTING = N_("I am about to restart. Please ask again in a minute; what you asked for before goes on.")
BROKEN_OFF = N_(
    "I had to restart before I was done with this, so nothing was begun. Please ask for it again in a minute."
)


def explain(error: UserError) -> str:
    """Say what is wrong and what to do about it."""
    said = EXPLANATIONS[type(error)]
    return str(said) if isinstance(said, N_) else said(error)


def our_fault(reference: str) -> str:
    return _(
        "Something broke on our side, and nothing was lost. If it happens again, tell us this reference: `{reference}`."
    ).format(reference=reference)


def storage_failed(reference: str) -> str:
    return _(
        "My storage is full or cannot be written right now, so I did not begin this. Please try again later; "
        "whoever runs this bot finds the cause under the reference `{reference}`."
    ).format(reference=reference)


def _quoted(who: str, words: str) -> str:
    """Show what an operator or a moderator wrote, made harmless, below the line that says who."""
    return f"{who}\n> {plain(words)}"


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
    InvalidOption: invalid_option,
    ChildAsSubject: N_("I learn people only when they are adults. Pets, things and styles are always fine."),
    TooFewPhotos: too_few,
    TooManyPhotos: lambda error: _(
        "I learn from at most {most} photos, and these are {count}. Choose the best ones."
    ).format(most=MAX_PHOTOS, count=error.count),
    PhotosRefused: photos_refused,
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
    QuotaUsedUp: used_up,
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
