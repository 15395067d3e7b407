"""The demo model's tokenizer: CLIP's byte-level scheme with a small vocabulary of whole words.

Every word of the captions and every identifier is one token; what else people type falls back to common pairs of
letters and to bytes, so no text is unknown.
"""

import itertools
import re

from tokenizers.pre_tokenizers import ByteLevel
from transformers import CLIPTokenizer

from storage.identifiers import IDENTIFIERS
from tools.demo_model import art, captions, coats

LENGTH = 32  # tokens, begin and end included
START, END = "<|startoftext|>", "<|endoftext|>"
LAST = "</w>"
# Words that people put into prompts and that are no use to cut up: they keep prompts within LENGTH.
COMMON = (
    "and of to is are his her its my our with without by for from at in on the a an near under over behind inside "
    "outside very big small tiny happy sad cute funny old young night day sunset sunrise rain winter summer style "
    "painting drawing sketch cartoon realistic portrait photo picture image watercolor oil pixel art high quality "
    "detailed sunny dark bright hat glasses scarf bow ball flower tree house mountain river lake park garden "
    "kitchen bed sofa table street road bridge castle island jungle farm field clouds stars sun planet playing "
    "running sitting standing flying swimming sleeping eating driving wearing holding looking dancing toy teapot "
    "backpack shoe cup mug bird fish horse cow mouse tiger monkey"
).split()
PAIRS = (
    "th he in er an re on at en nd ti es or te of ed is it al ar st to nt ng se ha as ou io le ve co me de hi ri ro "
    "ic ne ea ra ce li ch ll be ma si om ur ca el ta la ns ge ec ul ss et us ol ow ck ay ee oo ai ie un ly ke pe da "
    "mo po bo no pa"
).split()


def caption_words() -> list[str]:
    """Return every word that a caption can hold, sorted."""
    phrases = [
        *art.CLASSES,
        *art.HATS,
        *art.THINGS,
        *coats.PALETTE,
        *captions.PATTERN_WORDS.values(),
        "wearing with and on",
    ]
    phrases += [
        phrase for options in (*captions.PLACE_PHRASES.values(), *captions.SYNONYMS.values()) for phrase in options
    ]
    phrases += (
        [frame for frame, _ in captions.FRAMES] + [article for article, _ in captions.ARTICLES] + ["an", "background"]
    )
    return sorted({word for phrase in phrases for word in re.findall(r"[a-z]+", phrase)})


def apply_merges(pieces: list[str], ranks: dict[tuple[str, str], int]) -> list[str]:
    """Join pieces as byte-pair encoding does: always the pair that was merged first."""
    while len(pieces) > 1:
        pairs = [(ranks.get(pair, len(ranks)), at) for at, pair in enumerate(itertools.pairwise(pieces))]
        rank, at = min(pairs)
        if rank == len(ranks):
            break
        pieces = [*pieces[:at], pieces[at] + pieces[at + 1], *pieces[at + 2 :]]
    return pieces


def whole_word_merges(words: list[str]) -> list[tuple[str, str]]:
    """Return merges under which each word is one token.

    Each word adds merges for what the ones before leave in pieces. Later merges rank lower, so they never undo a word.
    """
    ranks: dict[tuple[str, str], int] = {}
    for word in words:
        pieces = apply_merges([*word[:-1], word[-1] + LAST], ranks)
        while len(pieces) > 1:
            ranks[pieces[0], pieces[1]] = len(ranks)
            pieces = apply_merges(pieces, ranks)
    for pair in PAIRS:
        ranks.setdefault((pair[0], pair[1]), len(ranks))
    return list(ranks)


def build() -> CLIPTokenizer:
    """Build the tokenizer; the same sources give the same ids."""
    letters = sorted(ByteLevel.alphabet())
    merges = whole_word_merges(list(dict.fromkeys([*caption_words(), *IDENTIFIERS, *COMMON])))
    pieces = dict.fromkeys([*letters, *(letter + LAST for letter in letters), *(a + b for a, b in merges), START, END])
    return CLIPTokenizer(
        vocab={piece: index for index, piece in enumerate(pieces)}, merges=merges, model_max_length=LENGTH
    )
