"""How fast a DreamBooth step is: ours against the loop of diffusers' DreamBooth LoRA example, on the same mathematics.

Both get the same base, photos, batch, rank, target layers (ours, more than the example's own), precision and learning
rates; the text encoder rests on both sides. Before any clock runs, both start from one adapter and do the same steps
under the same posterior samples, noise and timesteps: `loss_difference` is the largest relative difference between
their losses. Then they take turns, and medians are kept. `flop_ceiling` is what dropping VAE and text encoder from the
example's step would give by itself. A step has as many class images as photos; `samples_s` counts the photos.
"""

import argparse
import copy
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks._bases import open_base
from benchmarks.main_job import BUNDLE, IDENTIFIER, rounded
from benchmarks.peer_dreambooth import Chance, Example, Peer, PeerRecipe, Pictures, collate
from gpu_worker.engine.base_model import BaseModel
from gpu_worker.engine.examples import Examples, Latents
from gpu_worker.engine.photos import load_photos
from gpu_worker.engine.recipes import Recipe, choose_recipe
from gpu_worker.engine.resident import Resident
from gpu_worker.engine.slots import UNET_LAYERS
from gpu_worker.engine.training import DreamBooth, rate_at
from storage.contract import Quality, SubjectKind

PROMPT, CLASS_PROMPT = f"a photo of {IDENTIFIER} dog", "a photo of a dog"
BATCHES = (1, 8)
CLASS_IMAGES = 16
"""A multiple of the batches, so that each of the loader's is whole."""
COMPANY = 3
"""Steps that both sides do alike before they are timed."""
READ_EVERY = 5
"""Steps between two readings of our losses, as in the training job."""
MEMORY_STEPS = 2

Work = Callable[[], None]


@dataclass(frozen=True)
class Bench:
    """A base without slots, and the pictures that both sides learn from."""

    base: BaseModel
    pictures: Pictures

    def recipe(self, batch: int, steps: int) -> Recipe:
        """Return our recipe for a pet, but for what the example has no counterpart to."""
        recipe = choose_recipe(self.base.family, SubjectKind.PET, Quality.GOOD, len(self.pictures.photos))
        resting = replace(recipe, text_learning_rate=0.0, word_learning_rate=0.0, min_snr=None, ema=None)
        return replace(resting, batch_size=batch, steps=steps, teacher=False, caption_dropout=0.0)

    def resident(self, together: int = 1) -> Resident:
        """Return a copy of the base with slots in its layers, on which so many trainings can share their steps."""
        encoders = {name: copy.deepcopy(encoder) for name, (encoder, _) in self.base.text_encoders.items()}
        return Resident(replace(self.base, unet=copy.deepcopy(self.base.unet), **encoders), together=together)

    def begin(self, model: Resident, recipe: Recipe, seed: int) -> DreamBooth:
        """Begin one of our trainings on the resident base."""
        pixels = [self.pictures[index] for index in range(len(self.pictures))]
        photos, class_images = (
            Latents(mean.unsqueeze(1), std.unsqueeze(1))
            for mean, std in (
                model.base.encode_images(torch.stack([of[kind] for of in pixels])) for kind in ("photo", "class")
            )
        )
        said = [Examples(photos, [[PROMPT]] * len(pixels))]
        of_class = [Examples(class_images, [[CLASS_PROMPT]] * len(pixels))]
        return DreamBooth(model, recipe, said, of_class, identifier=IDENTIFIER, seed=seed)

    def ours(self, recipe: Recipe) -> DreamBooth:
        """Return our training on a copy of the base, from an adapter whose every layer has gradients at once."""
        ours = self.begin(self.resident(), recipe, seed=0)
        start_anywhere(ours)
        return ours

    def peer(self, recipe: Recipe) -> Peer:
        """Return the example's training of the same settings and of the layers that our slots adapt."""
        layers = [name for name, _ in self.base.unet.named_modules() if UNET_LAYERS.search(name)]
        settings = PeerRecipe(
            learning_rate=recipe.learning_rate,
            steps=recipe.steps,
            rank=recipe.rank,
            batch_size=recipe.batch_size,
            prior_weight=recipe.prior_weight,
            weight_decay=recipe.weight_decay,
            gradient_clip=recipe.gradient_clip,
            layers=tuple(layers),
        )
        return Peer(self.base, settings, self.pictures, seed=0, rate=lambda step: rate_at(step, recipe))


def set_up(source: str, device: str, folder: Path) -> Bench:
    """Open the base and lay out the pictures: photos as they come, class images at the base's size.

    What they show changes nothing here; but the example's loader gives no batch larger than there are class images.
    """
    base = open_base(source, device)
    photos = sorted((BUNDLE / "photos" / "rex" / "train").glob("*.jpg"))
    others = [path for name in ("comet", "luna") for path in sorted((BUNDLE / "photos" / name).glob("*/*.jpg"))]
    class_images = [folder / f"{number}.png" for number in range(CLASS_IMAGES)]
    for path, picture in zip(class_images, load_photos(others[:CLASS_IMAGES]), strict=True):
        picture.resize((base.resolution, base.resolution)).save(path)
    return Bench(base, Pictures(base, photos, class_images, PROMPT, CLASS_PROMPT))


@torch.no_grad()
def start_anywhere(ours: DreamBooth) -> None:
    """Give the slot in training an `up` that is not zero."""
    generator = torch.Generator().manual_seed(1)
    for _, up in unet_rows(ours).values():
        up.copy_(torch.randn(up.shape, generator=generator) * 0.02)


def unet_rows(ours: DreamBooth) -> dict[str, tuple[Tensor, Tensor]]:
    return {name: rows for name, rows in ours.bank.learning[ours.slot].items() if name.startswith("unet.")}


def loss_difference(ours: DreamBooth, peer: Peer, pictures: Pictures, steps: int = COMPANY) -> float:
    """Let both do the same steps from the same adapter and return the largest relative difference of their losses."""
    peer.load(unet_rows(ours))
    worst = 0.0
    for _ in range(steps):
        batch, chance = same_step(ours, pictures)
        expected = peer.step(batch, chance)
        worst = max(worst, abs(float(ours.step()) - expected) / expected)
    return worst


def same_step(ours: DreamBooth, pictures: Pictures) -> tuple[Example, Chance]:
    """Return what our next step looks at, as the peer takes it: the same pictures, drawn with the same luck."""
    step, draws, device = ours.position, ours.draws, ours.model.base.device
    photos = [pictures[index] for index in draws.photo[step].tolist()]
    others = [pictures[index] for index in draws.class_image[step].tolist()]
    generator = torch.Generator(device).manual_seed((ours.seed << 20) + step)  # as our step draws: see `_noised`
    shape = (len(photos), *ours.photos[0].latents.mean.shape[2:])
    halves = [torch.randn(shape, generator=generator, device=device) for _ in range(2)]
    noise = torch.randn((2 * shape[0], *shape[1:]), generator=generator, device=device)
    chosen = [
        photo | {key: other[key] for key in ("class", "class_ids")} for photo, other in zip(photos, others, strict=True)
    ]
    return collate(chosen), Chance(torch.cat(halves), noise, draws.timestep[step])


def compare(bench: Bench, batch: int, rounds: int, block: int) -> dict[str, float]:
    """Compare both sides at one batch size: `rounds` turns of `block` steps each, after one to warm up."""
    recipe = bench.recipe(batch, COMPANY + (rounds + 1) * block)
    ours = bench.ours(recipe)
    peer = bench.peer(recipe)
    difference = loss_difference(ours, peer, bench.pictures)
    losses, encoded = peer.steps(), collate([bench.pictures[at % len(bench.pictures)] for at in range(batch)])

    def our_steps() -> None:
        unread = [ours.step() for _ in range(block)]
        for start in range(0, block, READ_EVERY):
            torch.stack(unread[start : start + READ_EVERY]).tolist()

    def peer_steps() -> None:
        for _ in range(block):
            next(losses)

    def encoders() -> None:
        for _ in range(block):
            peer.encode(encoded["pixels"])
            peer.read(encoded)

    turns = [
        [seconds(work, bench.base) / block for work in (our_steps, peer_steps, encoders)] for _ in range(rounds + 1)
    ]
    our_seconds, peer_seconds, of_encoders = (statistics.median(times) for times in zip(*turns[1:], strict=True))
    return {
        "ours_steps_s": 1 / our_seconds,
        "peer_steps_s": 1 / peer_seconds,
        "ratio": peer_seconds / our_seconds,
        "samples_s": batch / our_seconds,
        "flop_ceiling": peer_seconds / (peer_seconds - of_encoders),
        "loss_difference": difference,
    }


def seconds(work: Work, base: BaseModel) -> float:
    """Time the work; on a GPU, until it is really done."""
    wait_for(base.device)
    started = time.perf_counter()
    work()
    wait_for(base.device)
    return time.perf_counter() - started


def wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def peak_mb(side: str, source: str, device: str, batch: int) -> float:
    """Return the most memory that one side takes: of the GPU or, without one, of a process that does nothing else."""
    with tempfile.TemporaryDirectory() as folder:
        bench = set_up(source, device, Path(folder))
        recipe = bench.recipe(batch, MEMORY_STEPS)
        if side == "ours":
            ours = bench.ours(recipe)
            for _ in range(MEMORY_STEPS):
                ours.step()
        else:
            for _ in bench.peer(recipe).steps():
                pass
        if bench.base.device.type == "cuda":
            return torch.cuda.max_memory_allocated() / 2**20
        # A child's ru_maxrss begins at its parent's; this does not.
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return int(status.partition("VmHWM:")[2].split()[0]) / 2**10


def alone(side: str, arguments: argparse.Namespace) -> float:
    """Measure a side's memory in a new process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(peak_mb, side, arguments.base, arguments.device, max(BATCHES)).result()


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        bench = set_up(arguments.base, arguments.device, Path(folder))
        by_batch = {}
        for batch in BATCHES:
            by_batch[f"batch_{batch}"] = compare(bench, batch, arguments.rounds, arguments.block)
            print(json.dumps(rounded(by_batch[f"batch_{batch}"])), flush=True)
    largest = by_batch[f"batch_{max(BATCHES)}"]
    recipe = bench.recipe(max(BATCHES), 1)
    return {
        "device": str(bench.base.device),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "base": bench.base.digest[:16],
        "sizes": {
            "pixels": bench.base.resolution,
            "rank": recipe.rank,
            "class_images": "as many as photos",
            "precision": bench.base.accelerator.mixed_precision,
            "steps": arguments.rounds * arguments.block,
        },
        "ratio": largest["ratio"],
        "loss_difference": max(figures["loss_difference"] for figures in by_batch.values()),
        "peak_mb": {side: alone(side, arguments) for side in ("ours", "peer")},
        **by_batch,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default=str(BUNDLE / "base"), help="a folder, a hub id, sd15-random or sdxl-random")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each side")
    parser.add_argument("--block", type=int, default=5, help="steps in a turn")
    print(json.dumps(rounded(measure(parser.parse_args()))))


if __name__ == "__main__":
    main()
