"""The words of the training captions: every caption is made here, from this vocabulary alone.

An identifier ("sks") or any other word without a meaning in the picture never stands in one: a base that saw such a
word learns to ignore it, and then no subject can be taught to it.
"""

from dataclasses import dataclass

import numpy as np

PLACE_PHRASES: dict[str, tuple[str, ...]] = {
    "moon": ("on the moon",),
    "beach": ("at the beach", "on the beach"),
    "forest": ("in the forest", "in a forest", "in the woods"),
    "snow": ("in the snow",),
    "city": ("in the city", "in a city", "in the street"),
    "desert": ("in the desert", "in a desert"),
    "space": ("in space", "in outer space"),
    "sea": ("in the sea", "under water", "in the ocean"),
    "meadow": ("in a meadow", "in the meadow", "on the grass"),
    "room": ("in a room", "in the room", "at home"),
}
PATTERN_WORDS = {"spots": "spotted", "stripes": "striped", "patches": "patched"}
SYNONYMS = {"dog": ("puppy",), "cat": ("kitten",), "rabbit": ("bunny",), "car": ("automobile",)}
FRAMES = (
    ("a photo of {}", 0.45),
    ("photo of {}", 0.06),
    ("a picture of {}", 0.10),
    ("an image of {}", 0.04),
    ("{}", 0.35),
)
ARTICLES = (("a", 0.74), ("", 0.16), ("the", 0.10))


@dataclass(frozen=True)
class Looks:
    """What a caption may say of one thing in the scene."""

    noun: str
    colour: str | None = None
    pattern: str | None = None
    hat: str | None = None


def _pick(rng: np.random.Generator, choices: tuple[tuple[str, float], ...]) -> str:
    words, weights = zip(*choices, strict=True)
    return str(rng.choice(words, p=np.array(weights) / sum(weights)))


def with_article(phrase: str, article: str) -> str:
    """Put the article before the phrase; "a" becomes "an" where it must."""
    if article == "a" and phrase[0] in "aeio":
        article = "an"
    return f"{article} {phrase}".strip()


def noun_phrase(rng: np.random.Generator, looks: Looks) -> str:
    """Say what stands there: "a dog", "striped blue dog", "the cat wearing a crown"."""
    noun = looks.noun
    if noun in SYNONYMS and rng.random() < 0.06:
        noun = str(rng.choice(SYNONYMS[noun]))
    words = [noun]
    if looks.colour and rng.random() < 0.75:
        words.insert(0, looks.colour)
    if looks.pattern in PATTERN_WORDS and rng.random() < 0.5:
        words.insert(0, PATTERN_WORDS[looks.pattern])
    phrase = with_article(" ".join(words), _pick(rng, ARTICLES))
    return f"{phrase} {rng.choice(['wearing', 'with'])} {with_article(looks.hat, 'a')}" if looks.hat else phrase


def caption(
    rng: np.random.Generator, things: list[Looks], place: str | None, backdrop: str | None, beside: str | None
) -> str:
    """Describe a scene: its things, the object beside them, and its place or the colour of its plain background.

    Some captions leave the place out, so that "a photo of a dog" means a dog anywhere.
    """
    phrase = " and ".join(noun_phrase(rng, looks) for looks in things)
    if beside:
        phrase = f"{phrase} with {with_article(beside, 'a')}"
    text = _pick(rng, FRAMES).format(phrase)
    if place and rng.random() < 0.82:
        where = str(rng.choice(PLACE_PHRASES[place]))
        return f"{where}, {text}" if rng.random() < 0.04 else f"{text} {where}"
    if backdrop and rng.random() < 0.35:
        return f"{text} on {with_article(backdrop + ' background', 'a')}"
    return text
