"""What the pictures of a data set show: one subject in many places, from several sides, in all kinds of light."""

from collections.abc import Sequence
from math import prod

PLACES = (
    "on the moon",
    "at the beach",
    "in the forest",
    "in the snow",
    "in the city",
    "in the desert",
    "in a meadow",
    "in a room",
    "in space",
)
VIEWS = ("", "seen from the side", "seen from above", "from a low angle", "as a close-up")
LIGHT = ("", "in soft light", "at sunset", "at night")
KINDS = (PLACES, VIEWS, LIGHT)
"""No two of these lengths have a divisor in common, so a walk along all of them at once meets every combination before
any comes again (the Chinese remainder theorem), and whatever its length it has each of them about equally often."""
COMBINATIONS = prod(map(len, KINDS))


def captions(name: str, count: int, seed: int) -> Sequence[str]:
    """Return what each picture is to show, such as "rex at the beach, seen from above, at sunset"."""
    return [
        f"{name} {', '.join(filter(None, (kind[number % len(kind)] for kind in KINDS)))}"
        for number in range(seed % COMBINATIONS, seed % COMBINATIONS + count)
    ]
