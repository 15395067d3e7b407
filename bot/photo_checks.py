"""What is wrong with photos to be trained on, seen before any GPU second is spent.

`look_at` reduces one photo to what can be told of it, and `advise` compares all of them. Each threshold was set between
good photos and the same made bad, with room on both sides; the tests hold both.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations, pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bot.crops import SIDE, Found, Mask, Pixels, Values, colour_distance, edges_of, find_subject, palette, shrink
from storage.contract import Box, SubjectKind

Pair = tuple[int, int]

SHARP_SIDE = 512
"""Blur counts as it is at the size that models train at, not at a camera's."""
LEAST_SHARPNESS = 0.195
DARKEST, BRIGHTEST, CLIPPED = 75.0, 205.0, 0.4
"""Luma, 0..255, of the subject's lightest parts and of its mean, and the share of it that is plain white."""
LEAST_SHARE_OF_SIDE = 0.75
"""How much of the side that the base draws at a photo must have; below it is stretched."""
HASH_BITS = 24
"""Of 64: pairs whose perceptual hashes differ in more are different pictures."""
SAME_PICTURE = 0.93
"""Correlation of two pictures laid over each other as well as possible."""
SAME_SCENE_POINTS, SAME_SCENE = 15, 0.2
"""Points that two photos must share, and their share of all, to show the same scene."""
ALIKE_PAIRS = 2 / 3
CUT_RUN, OWN_SHARE = 0.2, 0.58
"""How much of an edge the subject must take up to be cut off there, and how much of what does so must stand out."""
UNLIKE_EDGES, LIKE_SUBJECT = 15.0, 0.7
"""A colour is the subject's when it is so far in Lab from the other edges' and so much nearer to the subject's own."""


class Flaw(StrEnum):
    """`bot/photo_text.py` says what to do about each. The first are the gravest."""

    ALIKE = "alike"
    NEARLY_SAME = "nearly_same"
    HEADLESS = "headless"
    CUT_OFF = "cut_off"
    DARK = "dark"
    BLOWN_OUT = "blown_out"
    BLURRED = "blurred"
    SMALL = "small"


@dataclass(frozen=True)
class Advice:
    flaw: Flaw
    photos: tuple[int, ...]
    """Positions, counting from 1."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """What can be told of one photo."""

    width: int
    height: int
    subject: Box | None
    flaws: frozenset[Flaw]
    """Those that the photo has by itself."""
    hash: NDArray[np.uint8]
    """Perceptual hash, 64 bits."""
    shapes: Values
    """Its shapes without its light, [96, 96], to lay over another's."""
    points: Values
    """Places [n, 2] of points that can be found again, and what they look like, [n, 128]."""
    marks: Values


def look_at(photo: Pixels, kind: SubjectKind) -> Look:
    """Look at one photo, [H, W, 3] of RGB bytes."""
    found = find_subject(photo, kind)
    height, width = photo.shape[:2]
    points, marks = _landmarks(photo)
    return Look(
        width=width,
        height=height,
        subject=found.box if found else None,
        flaws=frozenset() if kind is SubjectKind.STYLE else frozenset(_flaws(photo, found)),
        hash=np.asarray(cv2.img_hash.pHash(_grey(photo, 256, stretch=True)), dtype=np.uint8),
        shapes=_shapes(photo),
        points=points,
        marks=marks,
    )


def advise(looks: Mapping[int, Look], native_side: int) -> list[Advice]:
    """Return what to do better, the gravest first; `looks` by position, `native_side` is what the base draws at."""
    positions = sorted(looks)
    pairs = list(combinations(positions, 2))
    found = []
    alike = [pair for pair in pairs if same_scene(looks[pair[0]], looks[pair[1]])]
    if len(pairs) >= 3 and len(alike) >= ALIKE_PAIRS * len(pairs):
        found.append(Advice(Flaw.ALIKE, tuple(positions)))
    else:
        same = [pair for pair in pairs if nearly_same(looks[pair[0]], looks[pair[1]])]
        found += [Advice(Flaw.NEARLY_SAME, group) for group in _groups(same)]
    small = [at for at in positions if min(looks[at].width, looks[at].height) < LEAST_SHARE_OF_SIDE * native_side]
    for flaw in Flaw:
        having = small if flaw is Flaw.SMALL else [at for at in positions if flaw in looks[at].flaws]
        # Some good photos are close-ups; that nothing shows the subject whole is what cannot be learnt from.
        if len(having) >= (max(3, len(positions) / 2) if flaw is Flaw.CUT_OFF else 1):
            found.append(Advice(flaw, tuple(having)))
    return found


def nearly_same(one: Look, other: Look) -> bool:
    """Tell whether two photos are one picture but for light, a slight turn or another crop.

    The perceptual hash finds who may be; laying one over the other (Evangelidis and Psarakis 2008) tells.
    """
    if int(np.unpackbits(one.hash ^ other.hash).sum()) > HASH_BITS:
        return False
    start, criteria = np.eye(2, 3, dtype=np.float32), (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_COUNT, 30, 1e-3)
    try:
        likeness, _ = cv2.findTransformECC(one.shapes, other.shapes, start, cv2.MOTION_AFFINE, criteria)
    except cv2.error:  # there is no way to lay them over each other
        return False
    return likeness >= SAME_PICTURE


def same_scene(one: Look, other: Look) -> bool:
    """Tell whether two photos show one scene from one side: many points of one lie in the other as they lie in it."""
    fewest = min(len(one.points), len(other.points))
    if fewest < SAME_SCENE_POINTS:
        return False
    matches = cv2.BFMatcher(cv2.NORM_L2).knnMatch(one.marks, other.marks, k=2)
    clear = [first for first, second in matches if first.distance < 0.75 * second.distance]
    if len(clear) < SAME_SCENE_POINTS:
        return False
    here = np.asarray([one.points[match.queryIdx] for match in clear])
    there = np.asarray([other.points[match.trainIdx] for match in clear])
    cv2.setRNGSeed(1)
    _, inliers = cv2.estimateAffinePartial2D(here, there, ransacReprojThreshold=4.0)
    shared = int(np.count_nonzero(inliers))
    return shared >= SAME_SCENE_POINTS and shared >= SAME_SCENE * fewest


def sharpness(photo: Pixels) -> float | None:
    """Return how much of the contrast around an edge lies in one pixel at it; None where there are no edges.

    The sharpest edges count, so that a soft background is none of our business. Edges across and along count each for
    themselves, and the softer ones decide, so that motion blur is seen as well.
    """
    grey = _grey(photo, SHARP_SIDE).astype(np.float32)
    found = []
    for across in (True, False):
        window = np.ones((1, 9) if across else (9, 1), np.uint8)
        contrast = cv2.dilate(grey, window) - cv2.erode(grey, window)
        slope = np.abs(cv2.Sobel(grey, cv2.CV_32F, int(across), int(not across), scale=1 / 8))
        edges = contrast >= max(float(np.quantile(contrast, 0.9)), 20.0)
        if edges.sum() > 200:
            found.append(float(np.quantile(slope[edges] / contrast[edges], 0.9)))
    return min(found, default=None)


def _flaws(photo: Pixels, found: Found | None) -> list[Flaw]:
    flaws = []
    sharp = sharpness(photo)
    if sharp is not None and sharp < LEAST_SHARPNESS:
        flaws.append(Flaw.BLURRED)
    box = found.box if found else Box(left=0, top=0, right=photo.shape[1], bottom=photo.shape[0])
    subject = shrink(photo[box.top : box.bottom, box.left : box.right], SIDE)
    luma = cv2.cvtColor(subject, cv2.COLOR_RGB2GRAY)
    if float(np.quantile(luma, 0.95)) < DARKEST:
        flaws.append(Flaw.DARK)
    if float(luma.mean()) > BRIGHTEST and float((subject.min(-1) >= 250).mean()) > CLIPPED:
        flaws.append(Flaw.BLOWN_OUT)
    if found is not None and found.head_top is not None:
        flaws += [Flaw.HEADLESS] if found.head_top < 0 else []
    elif found is not None and is_cut_off(photo, found.region):
        flaws.append(Flaw.CUT_OFF)
    return flaws


def is_cut_off(photo: Pixels, region: Mask) -> bool:
    """Tell whether the subject runs out of the photo at the top or a side; below, animals and people often do.

    At such an edge the subject's colours take up a stretch that the other edges have nothing like.
    """
    lab = cv2.GaussianBlur(cv2.cvtColor(shrink(photo, SIDE), cv2.COLOR_RGB2LAB), (0, 0), 1.2)
    own = colour_distance(lab, palette(lab[region], 4))
    strips = edges_of(lab, 0.03)
    del strips["bottom"]
    for edge in strips:
        others = np.concatenate([strip.reshape(-1, 3) for name, strip in strips.items() if name != edge])
        foreign = colour_distance(lab, palette(others, 5))
        like = ((foreign > UNLIKE_EDGES) & (own < LIKE_SUBJECT * foreign)).astype(np.uint8)
        if _run_at(edge, cv2.morphologyEx(like, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8)), region) > CUT_RUN:
            return True
    return False


def _run_at(edge: str, like: NDArray[Any], region: Mask) -> float:
    """Return the longest stretch along the edge that hangs together with the subject, as a share of the edge."""
    count, labels = cv2.connectedComponents(like)
    along = {"top": labels[:2].max(0), "left": labels[:, :2].max(1), "right": labels[:, -2:].max(1)}[edge]
    longest = 0
    for label in range(1, count):
        part = labels == label
        shared = int((part & region).sum())
        if shared >= region.sum() / 4 and shared >= OWN_SHARE * part.sum():
            longest = max(longest, _longest_run(along == label))
    return longest / len(along)


def _longest_run(flags: Mask) -> int:
    ends = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    return int(max((end - start for start, end in list(pairwise(ends))[::2]), default=0))


def _grey(photo: Pixels, side: int, *, stretch: bool = False) -> Pixels:
    grey = cv2.cvtColor(shrink(photo, side), cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(grey, (side, side), interpolation=cv2.INTER_AREA) if stretch else grey, dtype=np.uint8)


def _shapes(photo: Pixels) -> Values:
    grey = cv2.GaussianBlur(_grey(photo, 96, stretch=True).astype(np.float32), (0, 0), 1)
    return np.asarray(grey - cv2.GaussianBlur(grey, (0, 0), 6), dtype=np.float32)


def _landmarks(photo: Pixels) -> tuple[Values, Values]:
    points, marks = cv2.SIFT.create(300).detectAndCompute(_grey(photo, 256), None)
    if not points:
        return np.zeros((0, 2), np.float32), np.zeros((0, 128), np.float32)
    return np.asarray([point.pt for point in points], np.float32), np.asarray(marks, np.float32)


def _groups(pairs: Sequence[Pair]) -> list[tuple[int, ...]]:
    """Join pairs that share a photo."""
    groups: list[set[int]] = []
    for pair in pairs:
        touched = [group for group in groups if group & set(pair)]
        groups = [group for group in groups if group not in touched] + [set(pair).union(*touched)]
    return sorted(tuple(sorted(group)) for group in groups)
