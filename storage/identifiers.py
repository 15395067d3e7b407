"""The rare words that stand for a subject in prompts: DreamBooth's identifier (Ruiz et al. 2022, section 4.1).

Each one is a single whole-word token in the vocabulary of CLIP, which the Stable Diffusion family reads prompts with,
and of the demo base model; being rare, it carries little meaning that training would have to overwrite.
"""

from collections.abc import Collection

IDENTIFIERS: tuple[str, ...] = (
    "sks", "wsw", "shc", "ttm", "nhq", "mwf", "hns", "phc", "lhp", "csw",
    "smx", "tvn", "nrf", "skc", "bhk", "ptc", "wwx", "ghc", "ptv", "sff",
)  # fmt: skip


def choose_identifier(in_use: Collection[str]) -> str:
    """Return the first identifier that the owner's other models leave free, or the one they use least.

    Two subjects of one person can then stand in one prompt for as long as there are free identifiers.
    """
    uses = dict.fromkeys(IDENTIFIERS, 0)
    for word in in_use:
        if word in uses:
            uses[word] += 1
    return min(IDENTIFIERS, key=lambda word: uses[word])
