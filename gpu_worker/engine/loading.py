"""What the engine's command line names, loaded."""

import argparse
from dataclasses import replace

from gpu_worker.engine.base_files import load_base
from gpu_worker.engine.eight_bits import Weights
from gpu_worker.engine.fast_copy import SAMPLERS, load_fast_copy
from gpu_worker.engine.hub_embedders import load_hub_embedders
from gpu_worker.engine.preview_decoder import load_preview_decoder
from gpu_worker.engine.resident import SERVING_SLOTS, Resident


def load_resident(arguments: argparse.Namespace, together: int = 1) -> Resident:
    """Load the base and, where models are named for them, the embedders. Raises `UnfitBase` and `UnfitEmbedder`."""
    base, embedders = load_base(arguments.base, arguments.device, Weights(arguments.weights)), None
    if arguments.individuals and arguments.words:
        embedders = load_hub_embedders(arguments.individuals, arguments.words, str(base.device))
    fast = None
    if arguments.fast_lora:
        sampler = SAMPLERS[arguments.fast_sampler]
        sampler = replace(sampler, steps=arguments.fast_steps or sampler.steps)
        fast = load_fast_copy(base, arguments.fast_lora, sampler, by_default=arguments.fast_by_default)
    model = Resident(base, SERVING_SLOTS, together, embedders, fast)
    if arguments.preview_decoder:
        model.previewing = load_preview_decoder(base, arguments.preview_decoder)
    return model
