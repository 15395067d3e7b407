"""Where in a photo the subject is, so that training crops keep it whole: face first for persons, else what stands out.

Pure functions over decoded pixels: photos are arrays [H, W, 3] of RGB bytes.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from storage.contract import Box, SubjectKind

Pixels = NDArray[np.uint8]
Values = NDArray[np.float32]
Mask = NDArray[np.bool_]

SIDE = 192
"""The longer side of the picture in which it is looked for what stands out: more shows detail, not subjects."""
FACE_SIDE = 640
SMALLEST_FACE = 1 / 12
"""A face's width as a share of the photo's longer side; smaller ones are bystanders, or no faces at all."""
NEIGHBOURS, SAME_FACE = 4, 0.4
"""Windows of one cascade that must agree on a face, and how much of it two cascades must have in common."""
HAIR, CHEST, SHOULDERS = 0.6, 2.2, 0.7
"""What belongs to a portrait above, below and on each side of a face, in face sizes."""
MARGIN = 0.1
"""What stands out is found a little too small: the box gets this share of its size on each side."""
EDGE_COLOURS = 5
LEAST_AREA, MOST_AREA = 0.01, 0.9
"""Shares of a photo: less than this is a speck, and more tells nothing."""

LOOKING = Lock()
"""A cascade keeps the picture that it looks at, so one thread looks at a time."""

cv2.setNumThreads(1)  # a photo is one thread's work, and the bot's loop needs the rest


@dataclass(frozen=True)
class Found:
    """What was found in one photo."""

    box: Box
    """All of the subject, in pixels of the photo."""
    region: Mask
    """What stands out, [h, w] with the longer side at `SIDE`."""
    head_top: float | None = None
    """Where the head of a person begins, in pixels from the top; below 0 when it is cut off."""


def find_subject(photo: Pixels, kind: SubjectKind) -> Found | None:
    """Return where the subject is; None for styles, which are all of a picture, and where nothing stands out."""
    if kind is SubjectKind.STYLE:
        return None
    region = stands_out(shrink(photo, SIDE))
    face = largest_face(photo) if kind is SubjectKind.PERSON else None
    if face is not None:
        return Found(_portrait(face, photo), region, face.top - HAIR / 2 * (face.bottom - face.top))
    if not LEAST_AREA < region.mean() < MOST_AREA:
        return None
    return Found(_around(region, photo), region)


def largest_face(photo: Pixels) -> Box | None:
    """Find a face that looks at the camera, by two of the Haar cascades that OpenCV ships (Lienhart and Maydt 2002).

    Each by itself sees faces in folds and in fur; they seldom see the same ones.
    """
    grey = cv2.cvtColor(shrink(photo, FACE_SIDE), cv2.COLOR_RGB2GRAY)
    least = round(max(grey.shape) * SMALLEST_FACE)
    even = cv2.equalizeHist(grey)
    with LOOKING:
        seen, confirming = (
            cascade.detectMultiScale(even, 1.1, NEIGHBOURS, minSize=(least, least)) for cascade in _cascades()
        )
    scale = photo.shape[1] / grey.shape[1]
    faces = [
        _box(left * scale, top * scale, (left + width) * scale, (top + height) * scale, photo)
        for left, top, width, height in np.reshape(seen, (-1, 4)).tolist()
    ]
    others = np.reshape(confirming, (-1, 4)) * scale
    agreed = [face for face in faces if any(_overlap(face, *other) > SAME_FACE for other in others.tolist())]
    return max(agreed, key=lambda face: face.right - face.left, default=None)


def stands_out(small: Pixels) -> Mask:
    """Return the region that differs most from the photo's edges and in itself, weighted towards the middle."""
    map_ = saliency(small)
    if not map_.any():
        return np.zeros(map_.shape, dtype=bool)
    bytes_ = np.round(map_ * 255).astype(np.uint8)
    threshold, _ = cv2.threshold(bytes_, 0, 255, cv2.THRESH_OTSU)
    count, labels = cv2.connectedComponents((bytes_ > threshold).astype(np.uint8))
    weights = [float(map_[labels == label].sum()) for label in range(1, count)]
    return np.asarray(labels == 1 + int(np.argmax(weights)))


def saliency(small: Pixels) -> Values:
    """Return how much each pixel stands out, [h, w] in 0..1; 0 everywhere for a picture of one colour.

    Contrast with the colours at the edges (a boundary prior, as in Wei et al. 2012), fine-grained saliency (Montabone
    and Soto 2010) and the spectral residual (Hou and Zhang 2007), each in 0..1, times a prior for the middle.
    """
    height, width = small.shape[:2]
    fine = cv2.saliency.StaticSaliencyFineGrained.create().computeSaliency(small)[1]
    spectral = cv2.saliency.StaticSaliencySpectralResidual.create().computeSaliency(small)[1]
    y, x = np.mgrid[0:height, 0:width]
    middle = np.exp(-(((x / width - 0.5) / 0.33) ** 2 + ((y / height - 0.5) / 0.36) ** 2) / 2)
    own = 0.5 * _even(fine, width / 40) + 0.5 * _even(spectral, width / 20)
    contrast = _contrast_with_edges(small)
    if contrast.max() == 0:
        return contrast
    return _even((contrast + own) * middle, width / 60)


def shrink(photo: Pixels, side: int) -> Pixels:
    """Return the photo with its longer side at most `side`."""
    height, width = photo.shape[:2]
    factor = side / max(height, width)
    if factor >= 1:
        return photo
    size = max(16, round(width * factor)), max(16, round(height * factor))
    return np.asarray(cv2.resize(photo, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def edges_of(picture: NDArray[Any], share: float) -> dict[str, NDArray[Any]]:
    """Return the four strips along the edges, their thickness as a share of the shorter side."""
    thick = max(3, round(min(picture.shape[:2]) * share))
    return {
        "top": picture[:thick], "left": picture[:, :thick], "right": picture[:, -thick:], "bottom": picture[-thick:],
    }  # fmt: skip


def palette(pixels: NDArray[Any], colours: int) -> Values:
    """Return the main colours [colours, 3] of many pixels [..., 3], always the same for the same pixels."""
    flat = np.ascontiguousarray(pixels.reshape(-1, 3), dtype=np.float32)
    flat = flat[:: 1 + len(flat) // 4000]
    cv2.setRNGSeed(1)
    criteria = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 20, 1.0)
    best = np.zeros(len(flat), dtype=np.int32)
    _, _, centres = cv2.kmeans(flat, min(colours, len(flat)), best, criteria, 2, cv2.KMEANS_PP_CENTERS)
    return np.asarray(centres, dtype=np.float32)


def colour_distance(lab: NDArray[Any], colours: Values) -> Values:
    """Return each pixel's distance in Lab to the nearest of the colours."""
    distances = np.linalg.norm(lab[:, :, None].astype(np.float32) - colours, axis=-1)
    return np.asarray(distances.min(-1), dtype=np.float32)


def _contrast_with_edges(small: Pixels) -> Values:
    lab = cv2.cvtColor(small, cv2.COLOR_RGB2LAB)
    strips = edges_of(lab, 0.04)
    around = np.concatenate([strips[name].reshape(-1, 3) for name in ("top", "left", "right")])
    distance = colour_distance(lab, palette(around, EDGE_COLOURS))
    most = float(np.quantile(distance, 0.97))
    return np.minimum(distance / most, 1) if most > 1 else np.zeros_like(distance)


def _even(map_: NDArray[Any], sigma: float) -> Values:
    """Smooth the map and scale it to 0..1."""
    smooth = cv2.GaussianBlur(map_.astype(np.float32), (0, 0), sigma)
    return np.asarray(smooth / max(float(smooth.max()), 1e-6), dtype=np.float32)


@cache
def _cascades() -> tuple[cv2.CascadeClassifier, cv2.CascadeClassifier]:
    folder = Path(cv2.__file__).parent / "data"
    names = "haarcascade_frontalface_alt2.xml", "haarcascade_frontalface_default.xml"
    one, other = (cv2.CascadeClassifier(str(folder / name)) for name in names)
    return one, other


def _overlap(box: Box, left: float, top: float, width: float, height: float) -> float:
    """Return the intersection over the union."""
    across = max(0.0, min(box.right, left + width) - max(box.left, left))
    shared = across * max(0.0, min(box.bottom, top + height) - max(box.top, top))
    return shared / ((box.right - box.left) * (box.bottom - box.top) + width * height - shared)


def _portrait(face: Box, photo: Pixels) -> Box:
    width, height = face.right - face.left, face.bottom - face.top
    left, right = face.left - SHOULDERS * width, face.right + SHOULDERS * width
    return _box(left, face.top - HAIR * height, right, face.bottom + CHEST * height, photo)


def _around(region: Mask, photo: Pixels) -> Box:
    rows, columns = np.nonzero(region.any(1))[0], np.nonzero(region.any(0))[0]
    scale = photo.shape[1] / region.shape[1]
    left, right = float(columns[0]), float(columns[-1] + 1)
    top, bottom = float(rows[0]), float(rows[-1] + 1)
    across, down = MARGIN * (right - left), MARGIN * (bottom - top)
    left, top, right, bottom = left - across, top - down, right + across, bottom + down
    return _box(left * scale, top * scale, right * scale, bottom * scale, photo)


def _box(left: float, top: float, right: float, bottom: float, photo: Pixels) -> Box:
    height, width = photo.shape[:2]
    right, bottom = min(width, round(right)), min(height, round(bottom))
    return Box(left=max(0, round(left)), top=max(0, round(top)), right=right, bottom=bottom)
