"""How the engine means to work on this machine, chosen once at the start and told in one line."""

import argparse

from gpu_worker.engine.base_model import BaseModel
from gpu_worker.engine.compiled import compiled_if_it_pays
from gpu_worker.engine.eight_bits import are_in_eight_bits
from gpu_worker.engine.resident import Resident
from gpu_worker.engine.sampling import BUCKETS
from gpu_worker.engine.studio import MOST_ON_CPU


def choose_plan(model: Resident, arguments: argparse.Namespace) -> str:
    """Compile the U-Net if that is wanted and pays, and return the plan in words."""
    on_gpu = model.base.device.type == "cuda"
    if arguments.compile and on_gpu:
        rows = [*BUCKETS, 2 * BUCKETS[-1]]  # guidance doubles them
        model.compiled = compiled_if_it_pays(model, rows, arguments.cache / "compiled")
        if model.fast is not None:
            model.fast.compiled = compiled_if_it_pays(model, BUCKETS, arguments.cache / "compiled", model.fast.base)
    batches = "/".join(map(str, BUCKETS)) if on_gpu else f"up to {MOST_ON_CPU}"
    return ", ".join(
        [
            f"{model.base.device} in {str(model.base.unet.dtype).removeprefix('torch.')}",
            "weights in eight bits" if are_in_eight_bits(model.base.unet) else "weights whole",
            "channels last" if is_channels_last(model.base) else "channels first",
            _compiling(model, wanted=arguments.compile),
            f"{model.serving.size - 1} slots of rank {model.serving.rank}",
            f"{model.together} training at once",
            f"batches of {batches} pictures",
            "no fast copy" if model.fast is None else f"a fast copy of {model.fast.sampler.steps} steps",
            "no offload",
        ]
    )


def is_channels_last(base: BaseModel) -> bool:
    return base.unet.conv_in.weight.stride(1) == 1 < base.unet.conv_in.weight.shape[1]


def _compiling(model: Resident, *, wanted: bool) -> str:
    if model.compiled is not None:
        return "compiled"
    if model.base.device.type != "cuda":
        return "eager (no GPU)"
    return "eager (compiling did not pay)" if wanted else "eager (COMPILE is off)"
