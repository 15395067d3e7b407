"""Stable Diffusion XL behind the interface of a base (Podell et al. 2023, arXiv 2307.01952).

Two text encoders read every prompt: what both say of each token stands side by side, and what the second one says of
the whole prompt goes in with the timestep, as do six numbers about the picture's size. The engine hands text around as
one tensor, so the prompt's own vector is its last row, and is taken off again at the U-Net's door.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import CLIPTextModelWithProjection, CLIPTokenizer, PreTrainedModel

from gpu_worker.engine.base_model import BaseModel, Family
from gpu_worker.engine.slots import TEXT_LAYERS


@dataclass(frozen=True, kw_only=True)
class StableDiffusionXL(BaseModel):
    tokenizer_2: CLIPTokenizer
    """The first one's words and ids; it pads with another."""
    text_encoder_2: CLIPTextModelWithProjection
    zeros_for_empty: bool
    """Whether the base was trained with zeros where a prompt was left out: `force_zeros_for_empty_prompt`."""

    @property
    def family(self) -> Family:
        return Family.SDXL

    @property
    def text_encoders(self) -> Mapping[str, tuple[PreTrainedModel, re.Pattern[str]]]:
        """Leave out the first encoder's last layer: only what stands before it is heard, so it would never learn."""
        last = self.text_encoder.config.num_hidden_layers - 1
        heard = re.compile(rf"^(?!encoder\.layers\.{last}\.).*{TEXT_LAYERS.pattern}")
        return {"text_encoder": (self.text_encoder, heard), "text_encoder_2": (self.text_encoder_2, TEXT_LAYERS)}

    def encode_prompts(self, prompts: Sequence[str]) -> Tensor:
        """Return text embeddings [B, L + 1, d]: of both encoders the last layer but one, and the prompt's own vector.

        An empty prompt is all zeros where the base knows it so, in drawing as in training: diffusers has zeros for a
        negative prompt that nobody gave, which is the empty one here.
        """
        with self.autocast():
            first = self.text_encoder(self.tokenize(prompts), output_hidden_states=True)
            second = self.text_encoder_2(self.tokenize(prompts, self.tokenizer_2), output_hidden_states=True)
            tokens = torch.cat([first.hidden_states[-2], second.hidden_states[-2]], dim=-1)
            whole = F.pad(second.text_embeds, (0, tokens.shape[-1] - second.text_embeds.shape[-1]))
            packed = torch.cat([tokens, whole.unsqueeze(1)], dim=1)
        empty = torch.tensor([self.zeros_for_empty and not prompt for prompt in prompts], device=self.device)
        return packed.masked_fill(empty.view(-1, 1, 1), 0)

    def unet_inputs(self, latents: Tensor, timesteps: Tensor, embeddings: Tensor) -> dict[str, Any]:
        """Unpack the embeddings [B, L + 1, d], and add what the base is told of the picture's size.

        It was trained to know how large a photo was before it was scaled, where it was cut, and how large it was shown
        (section 2.2 of the paper), so that small and badly cut photos teach it no blur and no cut-off heads. Whatever
        we draw or learn from is to be as sharp as it is large and cut nowhere: the original size and the target size
        are that of the latents, the crop begins at 0, 0, as diffusers has it when nobody says otherwise.
        """
        height, width = (side * self.pixels_per_latent for side in latents.shape[-2:])
        sizes = torch.tensor([height, width, 0, 0, height, width], dtype=torch.float32, device=latents.device)
        whole = embeddings[:, -1, : self.text_encoder_2.config.projection_dim]
        inputs = super().unet_inputs(latents, timesteps, embeddings[:, :-1])
        return inputs | {"added_cond_kwargs": {"text_embeds": whole, "time_ids": sizes.expand(len(latents), -1)}}
