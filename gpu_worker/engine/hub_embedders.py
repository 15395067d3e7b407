"""Embedders made of models that an operator names: one that knows individuals, such as DINOv2, and CLIP for words.

DINOv2 chooses and CLIP judges, so that what chooses never judges: both are the measures that DreamBooth is evaluated by
(Ruiz et al. 2022, section 4.1). CLIP also says what and where, among the words below. Neither knows other individuals
of a class; those that the base draws stand in for them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, cast

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from transformers import AutoImageProcessor, AutoModel, AutoTokenizer, PreTrainedModel

from gpu_worker.engine.embedder import Embedders, Knowledge, Outputs, pixels_of
from gpu_worker.prompts import SCENES, SETTINGS, with_article

BATCH = 16
CLASSES = tuple(
    "dog cat fox wolf bear panda rabbit hamster lion tiger horse cow sheep pig frog lizard snake turtle fish bird owl"
    " parrot penguin duck man woman boy girl baby robot doll toy car truck bicycle motorcycle boat plane rocket house"
    " chair table lamp clock vase teapot mug bottle can candle bowl bag backpack shoe boot hat shirt dress glasses"
    " watch phone camera guitar book flower plant tree cake".split()
)
"""What CLIP may take photos for; a class noun that is not among them is not doubted."""
COPY_COSINE, COPY_DIFFERENCE = 0.9, 0.1
"""The cosine is set by hand, not measured; what tells a copy from the subject in its own pose are the pixels."""
STYLE_LAYERS = 3
"""So many of the first layers tell how a picture is drawn rather than what it shows."""


@dataclass(frozen=True)
class Eye:
    """A vision model and how it wants its pictures."""

    model: PreTrainedModel
    side: int
    mean: Tensor
    std: Tensor
    digest: str
    """Of the weights."""

    def see(self, pictures: Sequence[Image.Image]) -> tuple[Tensor, list[Tensor]]:
        """Return an embedding of each picture, [b, d], and the early layers' states, [b, tokens, d] each."""
        pixels = pixels_of(pictures, self.side, Image.Resampling.BICUBIC)
        shown = ((pixels - self.mean) / self.std).to(self.model.device)
        inner = cast(Any, self.model)
        seen = getattr(inner, "vision_model", inner)(pixel_values=shown, output_hidden_states=True)
        if hasattr(inner, "visual_projection"):
            return inner.visual_projection(seen.pooler_output).float(), list(seen.hidden_states[1 : STYLE_LAYERS + 1])
        return seen.last_hidden_state[:, 0].float(), list(seen.hidden_states[1 : STYLE_LAYERS + 1])


@dataclass(frozen=True)
class Vocabulary:
    """What CLIP's text side makes of the words, [n, d] of unit length each, and how sharply it tells them apart."""

    classes: Tensor
    places: Tensor
    settings: Tensor
    scale: float


class UnfitEmbedder(Exception):
    """A model that is to look at pictures is not to be had, or cannot do what is asked of it."""


class HubEmbedder:
    """An embedder whose identity comes from one eye and whose words come from another, CLIP's."""

    def __init__(self, identity: Eye, words: Eye, vocabulary: Vocabulary) -> None:
        self._identity, self._words, self._vocabulary = identity, words, vocabulary
        self.digest = identity.digest
        self.side = max(identity.side, words.side)
        self.others: Mapping[str, Tensor] = {}
        self.settings = (*SETTINGS, "")
        self.knows = Knowledge(CLASSES, tuple(scene.split()[-1] for scene in SCENES), COPY_COSINE, COPY_DIFFERENCE)

    @torch.inference_mode()
    def look(self, pictures: Sequence[Image.Image]) -> Outputs:
        """Look at pictures of any size, in batches, on the models' device; the answer is on the CPU."""
        parts = [self._look(pictures[start : start + BATCH]) for start in range(0, max(len(pictures), 1), BATCH)]
        return Outputs(*(torch.cat(list(values)).cpu() for values in zip(*parts, strict=True)))

    def _look(self, pictures: Sequence[Image.Image]) -> Outputs:
        identity, of_words = self._identity.see(pictures)[0], F.normalize(self._words.see(pictures)[0], dim=-1)
        known = self._vocabulary
        return Outputs(
            F.normalize(identity, dim=-1),
            known.scale * of_words @ known.classes.T,
            known.scale * of_words @ known.places.T,
        )

    @torch.inference_mode()
    def where(self, pictures: Sequence[Image.Image]) -> Tensor:
        """Return how probable each of the settings is for each picture, [b, settings]."""
        known, parts = self._vocabulary, range(0, len(pictures), BATCH)
        seen = [F.normalize(self._words.see(pictures[start : start + BATCH])[0], dim=-1) for start in parts]
        return (known.scale * torch.cat(seen) @ known.settings.T).softmax(1).cpu()

    @torch.inference_mode()
    def style(self, pictures: Sequence[Image.Image]) -> Tensor:
        """Describe how pictures are drawn by the moments of the early layers over the picture, [b, d]."""
        parts = [self._identity.see(pictures[start : start + BATCH])[1] for start in range(0, len(pictures), BATCH)]
        layers = [torch.cat(list(of_layer)).float() for of_layer in zip(*parts, strict=True)]
        return torch.cat([moment for layer in layers for moment in (layer.mean(1), layer.std(1))], 1).cpu()


def load_hub_embedders(individuals: str, words: str, device: str = "cpu") -> Embedders:
    """Load both models, each a folder or a hub id; `words` must be a CLIP model.

    Raises UnfitEmbedder where one is not to be had, and where `words` has no text side.
    """
    clip = _eye(words, device)
    if not hasattr(clip.model, "text_projection"):
        raise UnfitEmbedder(f"{words} cannot read: the model for words must be a CLIP model")
    vocabulary = _vocabulary(clip, words)
    return Embedders(
        choosing=HubEmbedder(_eye(individuals, device), clip, vocabulary), judging=HubEmbedder(clip, clip, vocabulary)
    )


def _eye(source: str, device: str) -> Eye:
    try:
        model = AutoModel.from_pretrained(source, use_safetensors=True, dtype=torch.float32)
        processor = AutoImageProcessor.from_pretrained(source)
    except (OSError, ValueError) as problem:
        raise UnfitEmbedder(f"{source} holds no vision model that can be loaded: {problem}") from problem
    crop = getattr(processor, "crop_size", None) or processor.size
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (processor.image_mean, processor.image_std))
    digest = sha256()
    for name, weight in sorted(model.state_dict().items()):
        digest.update(name.encode() + weight.numpy().tobytes())
    ready = model.to(device).requires_grad_(False).eval()
    return Eye(ready, int(crop["height"]), mean, std, digest.hexdigest())


@torch.inference_mode()
def _vocabulary(clip: Eye, source: str) -> Vocabulary:
    """Encode what pictures may show, in CLIP's own wording (Radford et al. 2021, section 3.1.4)."""
    tokenizer, model = AutoTokenizer.from_pretrained(source), cast(Any, clip.model)

    def encode(texts: Sequence[str]) -> Tensor:
        tokens = tokenizer(list(texts), padding=True, truncation=True, return_tensors="pt").to(model.device)
        return F.normalize(model.text_projection(model.text_model(**tokens).pooler_output).float(), dim=-1)

    classes = encode([f"a photo of {with_article(noun)}." for noun in CLASSES])
    places = encode([f"a photo taken {scene}." for scene in SCENES])
    settings = encode([*(f"a photo taken {setting}." for setting in SETTINGS), "a photo."])
    return Vocabulary(classes, places, settings, float(model.logit_scale.exp()))
