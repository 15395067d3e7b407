"""What is said of `/imagine`: its shapes, its looks, and what it takes by itself."""

from bot.language import N_
from storage.bases import Shape

SHAPES = {
    Shape.SQUARE: N_("Square 1:1"),
    Shape.PORTRAIT: N_("Portrait 2:3"),
    Shape.LANDSCAPE: N_("Landscape 3:2"),
    Shape.UPRIGHT: N_("Upright photo 3:4"),
    Shape.PHOTO: N_("Photo 4:3"),
    Shape.PHONE: N_("Phone 9:16"),
    Shape.WIDE: N_("Wide 16:9"),
}
LOOKS_INTRODUCED = N_(
    'A look puts your prompt into words of its own: `/imagine prompt:"rex" look:…`, or choose one below.'
)
DEFAULTS_INTRODUCED = N_("**What `/imagine` takes by itself**, where you say nothing else:")
NO_DEFAULTS = N_("- one square picture, for everybody in the channel to see")
