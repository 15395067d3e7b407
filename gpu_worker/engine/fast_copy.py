"""The fast copy of the base: a second U-Net that draws in a few steps and without guidance.

It is the base's own with an acceleration LoRA fused in (LCM-LoRA: Luo et al. 2023, arXiv 2311.05556; Hyper-SD: Ren et
al. 2024, arXiv 2404.13686). Everything else is the base's: text encoder, autoencoder, and the slots, whose adapters the
copy's layers read from the same banks. So nobody is loaded twice, and what it costs is the memory of one U-Net. People
train on the plain base, for training on a distilled one would undo what makes it fast.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline, UNet2DConditionModel
from torch import nn

from gpu_worker.engine.base_model import BaseModel, UnfitBase
from gpu_worker.engine.compiled import CompiledUnet
from gpu_worker.engine.eight_bits import are_in_eight_bits, store_in_eight_bits
from gpu_worker.engine.recipes import default_sampler
from gpu_worker.engine.samplers import SamplerFamily
from gpu_worker.engine.sampling import Sampler
from storage.contract import ImagineRequest, Quality

if TYPE_CHECKING:
    from gpu_worker.engine.resident import Resident

MOST_STEPS = 8
"""What both kinds of LoRA are made for (their model cards); more steps only take longer."""


class Acceleration(StrEnum):
    """How pictures are drawn with an acceleration LoRA."""

    LCM = "lcm"
    """Latent consistency: huggingface.co/latent-consistency/lcm-lora-sdv1-5 says 2 to 8 steps, without guidance."""
    DDIM = "ddim"
    """LoRAs for few DDIM steps with trailing timesteps: huggingface.co/ByteDance/Hyper-SD says so, without guidance."""


SAMPLERS = {
    Acceleration.LCM: Sampler(steps=4, guidance_scale=1.0, family=SamplerFamily.LCM, fast=True),
    Acceleration.DDIM: Sampler(steps=4, guidance_scale=1.0, family=SamplerFamily.DDIM, fast=True),
}


@dataclass(eq=False, kw_only=True)
class FastCopy:
    base: BaseModel
    """The base with the other U-Net."""
    sampler: Sampler
    by_default: bool = False
    """Whether it draws what asks for no quality."""
    compiled: CompiledUnet | None = None
    """As in a `Resident`."""


def load_fast_copy(base: BaseModel, lora: str, sampler: Sampler, *, by_default: bool = False) -> FastCopy:
    """Fuse a LoRA into a copy of the base's U-Net in fp32, and put that beside the base, as precise as the base.

    `lora` is a folder, a file, a hub id or a hub id with a file's name, in the layout of diffusers or of kohya. Raises
    `UnfitBase` where it does not fit the base.
    """
    unet = UNet2DConditionModel.from_pretrained(
        base.folder, subfolder="unet", dtype=torch.float32, use_safetensors=True
    )
    try:
        fuse(unet, lora)
    except (OSError, ValueError, RuntimeError) as problem:
        raise UnfitBase(f"{lora} is no LoRA that can be fused into the base's U-Net: {problem}") from problem
    nn.Module.to(unet, base.device, base.unet.dtype)  # diffusers' own warns that it rounds
    unet.requires_grad_(False).eval()
    if are_in_eight_bits(base.unet):
        store_in_eight_bits(unet)
    if base.device.type == "cuda":
        unet.to(memory_format=torch.channels_last)
    return FastCopy(base=replace(base, unet=unet), sampler=sampler, by_default=by_default)


def fuse(unet: UNet2DConditionModel, lora: str) -> None:
    """Add a LoRA to the weights of a U-Net for good. Raises OSError, ValueError and RuntimeError, as diffusers does.

    Names of the original code, as in many LoRAs for Stable Diffusion XL, become those of the U-Net that it is for.
    """
    pipeline = StableDiffusionXLPipeline if unet.config["addition_embed_type"] else StableDiffusionPipeline
    layers, alphas, metadata = pipeline.lora_state_dict(
        **_where(lora), unet_config=unet.config, use_safetensors=True, return_lora_metadata=True
    )
    if other := [name for name in layers if not name.startswith("unet.") or "lora" not in name]:
        raise ValueError(f"{other[0]} is no part of a LoRA for the U-Net alone")
    if len({*(alphas or {}).values()}) > 1:
        raise ValueError("its layers have alphas of their own, which diffusers would not give to all of them")
    pipeline.load_lora_into_unet(layers, alphas, unet, metadata=metadata)
    unet.fuse_lora(safe_fusing=True)
    unet.unload_lora()


def _where(lora: str) -> dict[str, Any]:
    """Return where diffusers finds it; of a hub id, what stands behind its second slash is the file."""
    if Path(lora).exists() or lora.count("/") < 2:
        return {"pretrained_model_name_or_path_or_dict": lora}
    if lora.startswith(("/", ".", "~")):
        raise FileNotFoundError("there is no such file")
    owner, name, file = lora.split("/", 2)
    return {"pretrained_model_name_or_path_or_dict": f"{owner}/{name}", "weight_name": file}


def sampler_for(model: "Resident", request: ImagineRequest) -> Sampler:
    """Return how a request is drawn: on the fast copy where there is one and it is to, else on the plain base."""
    usual, fast = default_sampler(model.base.family), model.fast
    if fast is not None and _goes_fast(fast, request):
        return replace(fast.sampler, steps=min(request.steps or fast.sampler.steps, MOST_STEPS))
    return Sampler(steps=request.steps or usual.steps, guidance_scale=request.guidance_scale or usual.guidance_scale)


def _goes_fast(fast: FastCopy, request: ImagineRequest) -> bool:
    """Without being asked it takes nothing over that it cannot do as well: it knows no guidance to steer by."""
    by_hand = request.steps or request.guidance_scale or request.negative_prompt or request.source
    return request.quality is Quality.FAST or (request.quality is None and fast.by_default and not by_hand)
