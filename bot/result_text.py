"""What is said of a trained model: how good it is, what would make it better, and what choosing a variant changes."""

import math

from bot.language import N_, _, number
from bot.markup import plain
from bot.prompts import tidy
from bot.verdict import FAIR_LIKENESS, GOOD_LIKENESS, Facts, Remedy, remedy
from storage import class_questions
from storage.contract import SubjectKind, Variant
from storage.schema import Model

QUESTION_CLOSED = N_("You have answered it, or the photos waited too long and are deleted.")
LIKENESS = (
    (GOOD_LIKENESS, N_("Score {score}: a very good likeness.")),
    (FAIR_LIKENESS, N_("Score {score}: a good likeness.")),
    (-math.inf, N_("Score {score}: only a rough likeness.")),
)
"""From this score on: 0 is another individual of the class, 1 as alike as the photos are to each other."""
REMEDIES = {
    Remedy.OTHER_SIDES: N_("To make it better, swap photos of the same view for some from other sides."),
    Remedy.SHARPER: N_("To make it better, swap the blurred photos for sharp ones."),
    Remedy.BETTER_LIGHT: N_("To make it better, swap the photos that are too dark or too bright."),
    Remedy.LARGER: N_("To make it better, send the original photos, not previews or screenshots."),
    Remedy.WHOLE: N_("To make it better, add a photo that shows all of it."),
    Remedy.OTHER_PLACES: N_("To make it better, add photos in other places, for it clings to these."),
    Remedy.MORE_PHOTOS: N_("To make it better, add a photo or two, from the side and from behind."),
    Remedy.FROM_THE_SIDE: N_("To make it better, add a photo from the side."),
}
STYLE_REMEDIES = {
    Remedy.OTHER_SIDES: N_("To make it better, swap pictures that are nearly the same for others."),
    Remedy.SHARPER: N_("To make it better, swap the blurred pictures for sharp ones."),
    Remedy.OTHER_PLACES: N_("To make it better, add pictures that show other things, for it clings to these."),
    Remedy.MORE_PHOTOS: N_("To make it better, add more pictures in the same style."),
    Remedy.FROM_THE_SIDE: N_("To make it better, add pictures that show other things in the same style."),
}
VARIANT_LABELS = {
    Variant.BEST: N_("Back to the best of both"),
    Variant.ALIKE: N_("More like {name}"),
    Variant.FREE: N_("More freedom"),
}
VARIANT_USED = {
    Variant.ALIKE: N_("It draws as much like {name} as it can now, and may follow prompts less."),
    Variant.FREE: N_("It follows prompts more freely now, and may be less like {name}."),
}


def verdict(model: Model) -> str:
    """Say in a line how good a model is and what would make it better, as far as that is known."""
    facts = Facts.of(model)
    score, better = facts.score, remedy(facts)
    said = []
    if score is not None:
        likeness = next(words for least, words in LIKENESS if score >= least)
        said.append(likeness.format(score=number(score, 2)))
    if better is not None:
        words = STYLE_REMEDIES if model.subject_kind is SubjectKind.STYLE else {}
        said.append(str(words.get(better, REMEDIES[better])))
    return " ".join(said)


def doubt(model: Model, seen: str) -> str:
    """Ask about a class that does not seem to fit the photos."""
    hours = class_questions.LIFE.total_seconds() / 3600
    return _(
        'To me these photos look like "{seen}", and you said "{said}". That word decides more than anything else how '
        "good the pictures get. Nothing was trained yet and nothing is taken from your quota; the photos wait here for "
        "{hours} hours."
    ).format(seen=plain(seen), said=plain(model.class_noun), hours=f"{hours:g}")


def draw_it(name: str) -> str:
    """Say how to draw with a model; what is typed there stands as it is."""
    return _('Draw it anywhere: `/imagine prompt:"{name} on the moon"`').format(name=name)


def variant_label(variant: Variant, name: str) -> str:
    """Name the button that turns to a variant; Discord shows no markup there."""
    return VARIANT_LABELS[variant].format(name=tidy(name))


def variant_used(variant: Variant, name: str) -> str:
    """Say what choosing a variant has changed; nothing of the best."""
    said = VARIANT_USED.get(variant)
    return "" if said is None else said.format(name=plain(name))
