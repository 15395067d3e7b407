"""What is said where people go on from a picture."""

from bot.decode import MIN_SIDE, Problem
from bot.language import N_
from bot.masks import MaskProblem, Region

GO_ON_FROM = N_("Go on from one of these")
PICTURE = N_("Picture {number}")
WHAT_OF_THIS = N_("What shall become of this picture?")
PART_TITLE = N_("Draw a part anew")
AROUND_TITLE = N_("Draw more around it")
WHICH_PART = N_("Which part?")
OR_PAINT = N_("Or paint it yourself")
HOW_TO_PAINT = N_("Save the picture, paint over what shall change, send it; or a mask: white on black.")
WHAT_THEN = N_("What shall the picture show?")
WHAT_THEN_HINT = N_("All of it, with what is new: the rest stays as it is.")
WHAT_SHAPE = N_("Which shape?")
WHAT_IS_AROUND = N_("What is around it?")
WHAT_IS_AROUND_HINT = N_("The place alone, without who or what is in it.")
REGIONS = {
    Region.BACKGROUND: N_("The background: all but the subject"),
    Region.LEFT: N_("The left half"),
    Region.RIGHT: N_("The right half"),
    Region.TOP: N_("The upper half"),
    Region.BOTTOM: N_("The lower half"),
    Region.MIDDLE: N_("The middle"),
}
MASK_PROBLEMS = {
    MaskProblem.NOWHERE: N_(
        "Say which part to draw anew: choose one in the form, or send a copy of the picture there with that part "
        "painted over."
    ),
    MaskProblem.OTHER_SHAPE: N_(
        "What you painted has other proportions than the picture, so I cannot tell which part you mean. Save the "
        "picture here, paint on it without cropping, and send that."
    ),
    MaskProblem.ALL_BLACK: N_("That mask is black all over. Paint in white what shall be drawn anew."),
    MaskProblem.ALL_WHITE: N_(
        "That mask is white all over, so nothing of the picture would stay. Leave black what shall stay; for a whole "
        "new picture there is Again."
    ),
    MaskProblem.UNCHANGED: N_(
        "I see no paint on that picture. Paint over what shall change in a colour that stands out, and save it before "
        "you send it."
    ),
    MaskProblem.ALL_CHANGED: N_(
        "That is different from the picture everywhere, so I cannot tell which part you mean. Save the very picture, "
        "paint over a part of it, and send that."
    ),
    MaskProblem.NO_SUBJECT: N_(
        "I cannot tell the subject from the background in that picture. Choose another part, or paint over it."
    ),
}
SENT_PROBLEMS = {
    Problem.NOT_A_PHOTO: N_("What you sent is not a picture that I can read. Send JPEG, PNG, WebP, HEIC or AVIF."),
    Problem.MOVING: N_("What you sent moves. Send a still picture, not a GIF or an animation."),
    Problem.TOO_MANY_PIXELS: N_("What you sent has too many pixels. Save it smaller first."),
    Problem.TOO_SMALL: N_("What you sent is too small: both sides need at least {side} pixels.", side=MIN_SIDE),
    Problem.DAMAGED: N_("What you sent is damaged or cut off. Save it again."),
    Problem.TOO_LARGE: N_("What you sent is too large a file. Save it smaller; JPEG is fine."),
    Problem.GONE: N_("What you sent could not be fetched from Discord. Please send it once more."),
}
