"""Trains the two image embedders on individuals of the training art: `choosing` chooses candidates, `judging` reports.

They differ in architecture, seed, individuals and scenes. Each learns to tell individuals apart wherever they stand
(large-margin cosine loss, Wang et al. 2018), from portraits, and to name class and place, from training scenes too.
Softened pictures are part of it, so that what an autoencoder smooths away does not count as another individual.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from gpu_worker.engine.embedder import Knowledge
from gpu_worker.engine.small_embedder import EmbedderConfig, SmallEmbedder, load_embedder
from tools.demo_model import art, coats, places
from tools.demo_model.compose import Individual, Studio, read_scenes
from tools.demo_model.train_vae import learning_rate

PLACES = (*places.PLACES, "plain")
KNOWLEDGE = Knowledge(classes=tuple(art.CLASSES), places=PLACES, copy_cosine=0.8, copy_difference=0.1)
CONFIGS = {
    "choosing": EmbedderConfig(**vars(KNOWLEDGE), architecture="separable", widths=(32, 80, 128, 176), dimensions=96),
    "judging": EmbedderConfig(**vars(KNOWLEDGE), architecture="residual", widths=(32, 64, 96, 128), dimensions=96),
}
SEEDS = {"choosing": 101, "judging": 202}
PER_CLASS = 60  # individuals
VALIDATION = 4  # of them, held back: they measure and calibrate
CALIBRATION = 12  # individuals of a class that calibrate, with two portraits each
PORTRAITS = 24
SCALE, MARGIN = 20.0, 0.25


def individuals(seed: int, noun: str, count: int) -> list[Individual]:
    """Draw `count` individuals of a class from its training art, no two with the same drawing, colour and pattern."""
    rng = np.random.default_rng([seed, list(art.CLASSES).index(noun)])
    found: dict[tuple[object, ...], Individual] = {}
    while len(found) < count:
        coat = coats.random_coat(rng, recoloured=0.6, patterned=0.5)
        drawing = art.TRAINING[noun][int(rng.integers(len(art.TRAINING[noun])))]
        looks = (drawing, coat.colour, coat.pattern, coat.marking if coat.pattern else None)
        found.setdefault(looks, Individual(noun, drawing, coat))
    return list(found.values())


def portraits(cache: Path, count: int, seed: int, who: Individual) -> tuple[npt.NDArray[np.uint8], list[int]]:
    """Draw one individual `count` times: pixels [count, 64, 64, 3] and the places' indices."""
    studio = _studio(cache)
    sprite = studio.sprite(who)
    rng = np.random.default_rng([seed, *str(who).encode()])
    where = [int(rng.integers(len(PLACES))) for _ in range(count)]
    seeds = rng.integers(1 << 31, size=count).tolist()
    pixels = [np.asarray(studio.portrait(sprite, PLACES[place], s)) for place, s in zip(where, seeds, strict=True)]
    return np.stack(pixels), where


_STUDIOS: dict[Path, Studio] = {}


def _studio(cache: Path) -> Studio:
    """Return this process's studio, whose rendered drawings are kept."""
    return _STUDIOS.setdefault(cache, Studio(cache))


def augment(images: Tensor) -> Tensor:
    """Soften, shift, mirror and re-light pictures [b, 3, 64, 64] in -1..1, each batch in its own way."""
    size = images.shape[-1]
    if torch.rand(()) < 0.6:
        small = int(torch.randint(26, 60, ()))
        images = F.interpolate(images, size=small, mode="bilinear", antialias=True)
        images = F.interpolate(images, size=size, mode="bilinear")
    if torch.rand(()) < 0.5:
        images = images.flip(-1)
    down, across = torch.randint(0, 9, (2,)).tolist()
    images = F.pad(images, (4, 4, 4, 4), mode="replicate")[..., down : down + size, across : across + size]
    contrast = 1 + 0.12 * torch.randn(len(images), 1, 1, 1)
    light = 0.08 * torch.randn(len(images), 1, 1, 1)
    noise = 0.06 * torch.rand(()) * torch.randn_like(images)
    return (images * contrast + light + noise).clamp(-1, 1)


def margin_loss(identity: Tensor, weights: Tensor, labels: Tensor) -> Tensor:
    """Large-margin cosine loss: embeddings [b, d] against one direction a person, [people, d]."""
    cosines = identity @ F.normalize(weights, dim=-1).T
    return F.cross_entropy(SCALE * (cosines - MARGIN * F.one_hot(labels, len(weights))), labels)


def load_portraits(name: str, options: argparse.Namespace) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Draw everyone's portraits: pixels [n, 3, 64, 64] uint8, and for each the person, the class and the place."""
    people = [who for noun in art.CLASSES for who in individuals(SEEDS[name], noun, PER_CLASS)]
    with ProcessPoolExecutor(options.workers) as pool:
        drawn = list(pool.map(partial(portraits, options.cache, PORTRAITS, SEEDS[name]), people, chunksize=8))
    pixels = torch.from_numpy(np.concatenate([part for part, _ in drawn])).permute(0, 3, 1, 2)
    person = torch.arange(len(people)).repeat_interleave(PORTRAITS)
    return pixels, person, person // PER_CLASS, torch.tensor([place for _, where in drawn for place in where])


def load_scenes(name: str, options: argparse.Namespace) -> tuple[Tensor, Tensor, Tensor]:
    """Return this embedder's half of the scenes with one subject: pixels, classes and places as in `load_portraits`."""
    pixels, labels = read_scenes(options.scenes)
    half = list(CONFIGS).index(name)
    rows = [at for at, label in enumerate(labels) if at % 2 == half and len(label["nouns"]) == 1]
    classes = torch.tensor([CONFIGS[name].classes.index(labels[at]["nouns"][0]) for at in rows])
    where = torch.tensor([PLACES.index(labels[at]["place"]) for at in rows])
    return torch.from_numpy(pixels[rows][..., :3]).permute(0, 3, 1, 2), classes, where


def begin(name: str, options: argparse.Namespace, pixels: Tensor, person: Tensor) -> tuple[SmallEmbedder, nn.Parameter]:
    """Return the embedder and everyone's direction: new, or going on from the embedders in `--warm-start`."""
    embedder = SmallEmbedder(CONFIGS[name]).to(options.device)
    directions = torch.randn(int(person.max()) + 1, CONFIGS[name].dimensions, device=options.device)
    if options.warm_start is not None:
        embedder.load_state_dict(load_embedder(options.warm_start / name).state_dict())
        directions = torch.zeros_like(directions).index_add_(0, person, _look(embedder, pixels)[0].clone())
    return embedder, nn.Parameter(directions)


def train(name: str, options: argparse.Namespace, report: Callable[[str], None]) -> None:
    """Train one embedder by the clock and write it with its calibration.

    Half of the scene batches swap their colour channels, so that a class is known by its shape; they teach no place.
    """
    torch.manual_seed(SEEDS[name])
    device = options.device
    pixels, person, kind, place = (part.to(device) for part in load_portraits(name, options))
    scenes, scene_kind, scene_place = (part.to(device) for part in load_scenes(name, options))
    held = person % PER_CLASS < VALIDATION
    known = (~held).nonzero().flatten()
    embedder, directions = begin(name, options, pixels, person)
    parameters = [*embedder.parameters(), directions]
    optimizer = torch.optim.AdamW(parameters, lr=options.lr, betas=(0.9, 0.99), weight_decay=0.02)
    start, step = time.monotonic(), 0
    while (done := (time.monotonic() - start) / (60 * options.minutes)) < 1:
        rows = known[torch.randint(len(known), (options.batch,), device=device)]
        others = torch.randint(len(scenes), (options.batch,), device=device)
        optimizer.param_groups[0]["lr"] = learning_rate(options.lr, done, step)
        with torch.autocast(device, torch.bfloat16):
            strange = bool(torch.rand(()) < 0.5)
            shown = scenes[others][:, torch.randperm(3)] if strange else scenes[others]
            images = torch.cat([pixels[rows], shown]).float() / 127.5 - 1
            identity, classes, where = (part.float() for part in embedder(augment(images)))
        loss = margin_loss(identity[: options.batch], directions, person[rows])
        loss = loss + F.cross_entropy(classes, torch.cat([kind[rows], scene_kind[others]]))
        placed = slice(options.batch if strange else None)
        loss = loss + 0.5 * F.cross_entropy(where[placed], torch.cat([place[rows], scene_place[others]])[placed])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        step += 1
        if step % 100 == 0:
            report(f"{name}  {done:.0%}  step {step}  loss {loss.item():.3f}")
    embedder.eval()
    measure(embedder, pixels[held], person[held], kind[held], place[held], report)
    write(embedder, options.out / "embedders" / name, pixels, person)


@torch.inference_mode()
def _look(embedder: SmallEmbedder, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    outputs = [embedder(part.float() / 127.5 - 1) for part in pixels.split(256)]
    identity, classes, where = (torch.cat(list(values)) for values in zip(*outputs, strict=True))
    return identity, classes, where


def measure(
    embedder: SmallEmbedder, pixels: Tensor, person: Tensor, kind: Tensor, place: Tensor, report: Callable[[str], None]
) -> None:
    """Report how well people never trained on are told apart, and classes and places named."""
    identity, classes, where = _look(embedder, pixels)
    similar = identity @ identity.T
    same = person[:, None] == person[None]
    itself = torch.eye(len(person), dtype=torch.bool, device=person.device)
    sibling = (kind[:, None] == kind[None]) & ~same
    nearest = person[(similar - 9 * itself.float()).argmax(1)]
    report(
        f"unseen individuals: same {similar[same & ~itself].mean():.3f}, other {similar[sibling].mean():.3f}, "
        f"nearest neighbour is the same {(nearest == person).float().mean():.3f}, "
        f"class {(classes.argmax(1) == kind).float().mean():.3f}, place {(where.argmax(1) == place).float().mean():.3f}"
    )


def write(embedder: SmallEmbedder, folder: Path, pixels: Tensor, person: Tensor) -> None:
    """Write config.json, model.safetensors and calibration.safetensors, all in float16.

    The calibration holds embeddings of other real individuals of every class, those never trained on among them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(asdict(embedder.knows), indent=2) + "\n", encoding="utf-8")
    weights = {key: value.half().contiguous().cpu() for key, value in embedder.state_dict().items()}
    save_file(weights, folder / "model.safetensors")
    others = {}
    for index, noun in enumerate(embedder.knows.classes):
        people = range(index * PER_CLASS, index * PER_CLASS + CALIBRATION)
        rows = torch.cat([(person == who).nonzero().flatten()[:2] for who in people])
        others[noun] = _look(embedder, pixels[rows])[0].half().contiguous().cpu()
    save_file(others, folder / "calibration.safetensors")


def main(arguments: Sequence[str] | None = None) -> None:
    """Train the demo model's image embedders."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("names", nargs="*", default=list(CONFIGS), help="which (default both)")
    parser.add_argument("--cache", type=Path, default=art.CACHE)
    parser.add_argument("--out", type=Path, default=Path("build/demo_model/trained"))
    parser.add_argument("--warm-start", type=Path, help="folder of embedders to go on from, as in the bundle")
    parser.add_argument("--minutes", type=float, default=5, help="for each (default %(default)s)")
    parser.add_argument("--scenes", type=Path, default=Path("build/demo_model/scenes"))
    parser.add_argument("--batch", type=int, default=64, help="portraits, and as many scenes (default %(default)s)")
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    for name in options.names:
        train(name, options, lambda line: print(line, flush=True))


if __name__ == "__main__":
    main()
