"""What is said of photos that come in: why one was not taken, and what would be better."""

from collections.abc import Sequence

from bot.decode import MAX_PIXELS, MIN_SIDE, Problem
from bot.intake import PhotosRefused, TooFewPhotos
from bot.language import N_, Plural, _, listed, ngettext
from bot.photo_checks import Advice, Flaw
from storage.contract import MIN_PHOTOS

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


def too_few(error: TooFewPhotos) -> str:
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


def photos_refused(error: PhotosRefused) -> str:
    lines = [PHOTO_PROBLEMS[problem].format(number=position) for position, problem in error.problems]
    return "\n".join([*lines, _("Then run `/train` again with all the photos; I kept none of these.")])
