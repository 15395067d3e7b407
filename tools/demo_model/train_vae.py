"""Trains the autoencoder: 64 px pictures to 16 x 16 x 8 latents and back (AutoencoderKL, Rombach et al. 2022).

Drawings live by their edges, so the loss is L1 + squared error + the L1 of the gradients, each weighted up on the
subject, and a small KL term. Stops by the clock; goes on from the last checkpoint if there is one.
"""

import argparse
import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from diffusers import AutoencoderKL
from PIL import Image
from torch import Tensor

from tools.demo_model.checkpoints import Checkpoint, Clock
from tools.demo_model.compose import read_scenes

SUBJECT_WEIGHT = 2.0
KL_WEIGHT = 5e-5
VALIDATION = 256


def new_vae() -> AutoencoderKL:
    """Return the untrained autoencoder."""
    return AutoencoderKL(
        block_out_channels=(24, 48, 64),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        latent_channels=8,
        layers_per_block=1,
        norm_num_groups=8,
        mid_block_add_attention=False,
        sample_size=64,
        scaling_factor=1.0,
    )


def to_model(pixels: npt.NDArray[np.uint8], device: str) -> tuple[Tensor, Tensor]:
    """Return pictures [b, 3, 64, 64] in -1..1 and the subject's masks [b, 1, 64, 64] in 0..1."""
    batch = torch.from_numpy(pixels).to(device).permute(0, 3, 1, 2).float()
    return batch[:, :3] / 127.5 - 1, batch[:, 3:] / 255


def gradients(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the differences between neighbours across and down."""
    return x[..., :, 1:] - x[..., :, :-1], x[..., 1:, :] - x[..., :-1, :]


def reconstruction_loss(output: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """L1 + squared error + gradient L1, `1 + SUBJECT_WEIGHT` times as heavy on the subject."""
    weight = 1 + SUBJECT_WEIGHT * mask
    error = output - target
    across, down = gradients(error)
    edges = (across.abs() * weight[..., :, 1:]).mean() + (down.abs() * weight[..., 1:, :]).mean()
    return (weight * (error.abs() + error.square())).mean() + edges


def learning_rate(peak: float, done: float, step: int) -> float:
    """Warm up over 100 steps, then a cosine down to zero at `done` = 1."""
    return peak * min(1.0, (step + 1) / 100) * (0.5 + 0.5 * math.cos(math.pi * min(done, 1.0)))


@torch.no_grad()
def psnr(vae: AutoencoderKL, pixels: npt.NDArray[np.uint8], device: str) -> tuple[float, Tensor]:
    """Return the mean peak signal-to-noise ratio in dB through the posterior's mean, and the outputs in -1..1."""
    images, _ = to_model(pixels, device)
    outputs = vae.decode(vae.encode(images).latent_dist.mean).sample.clamp(-1, 1)
    errors = (outputs - images).square().mean((1, 2, 3)) / 4
    return float((-10 * errors.log10()).mean()), outputs


def save_grid(path: Path, rows: list[Tensor], scale: int = 2) -> None:
    """Write rows of pictures ([n, 3, h, w] in -1..1 each) as one PNG of 256 colours."""
    grid = torch.cat([torch.cat(list(row), dim=2) for row in rows], dim=1)
    image = Image.fromarray(((grid.clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0).cpu().numpy())
    enlarged = image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)
    enlarged.quantize(256).save(path, optimize=True)


@torch.no_grad()
def standardise(vae: AutoencoderKL, pixels: npt.NDArray[np.uint8], device: str) -> None:
    """Fold each latent channel's mean and deviation into the 1 x 1 convolutions, so that scaling_factor stays 1."""
    latents = torch.cat(
        [vae.encode(to_model(pixels[i : i + 64], device)[0]).latent_dist.mean for i in range(0, 1024, 64)]
    )
    mean, deviation = latents.mean((0, 2, 3)), latents.std((0, 2, 3))
    encode, decode = vae.quant_conv, vae.post_quant_conv
    channels = len(mean)
    decode.bias += decode.weight[:, :, 0, 0] @ mean
    decode.weight *= deviation[None, :, None, None]
    encode.bias[:channels] -= mean
    encode.bias[:channels] /= deviation
    encode.weight[:channels] /= deviation[:, None, None, None]
    encode.bias[channels:] -= 2 * deviation.log()


def train(options: argparse.Namespace, report: Callable[[str], None]) -> None:
    """Train until the clock runs out, with a grid and a checkpoint every few minutes."""
    pixels, _ = read_scenes(options.scenes)
    held, pixels = pixels[:VALIDATION], pixels[VALIDATION:]
    torch.manual_seed(options.seed)
    rng = np.random.default_rng(options.seed)
    vae = new_vae().to(options.device)
    optimizer = torch.optim.AdamW(vae.parameters(), lr=options.lr, betas=(0.9, 0.99), weight_decay=1e-4)
    checkpoint = Checkpoint(options.out / "vae", {"vae": vae}, optimizer)
    clock = Clock(options.minutes, checkpoint.load())
    step, shown = checkpoint.step, time.monotonic()
    cast = torch.autocast(options.device, torch.bfloat16)
    while not clock.over():
        images, mask = to_model(pixels[rng.integers(len(pixels), size=options.batch)], options.device)
        optimizer.param_groups[0]["lr"] = learning_rate(options.lr, clock.done(), step)
        with cast:
            posterior = vae.encode(images).latent_dist
            output = vae.decode(posterior.sample()).sample
        loss = reconstruction_loss(output.float(), images, mask) + KL_WEIGHT * posterior.kl().float().mean() / 64
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimizer.step()
        step += 1
        if step % 100 == 0:
            report(f"{clock.minutes():.1f} min  step {step}  loss {loss.item():.4f}")
        if time.monotonic() - shown > 60 * options.every:
            shown = time.monotonic()
            checkpoint.save(step, clock.minutes())
            decibels, outputs = psnr(vae, held[:64], options.device)
            save_grid(options.out / "vae.png", [to_model(held[:12], options.device)[0], outputs[:12]])
            report(f"PSNR {decibels:.2f} dB")
    checkpoint.save(step, clock.minutes())
    report(f"PSNR {psnr(vae, held, options.device)[0]:.2f} dB before folding")
    standardise(vae, pixels, options.device)
    decibels, outputs = psnr(vae, held, options.device)
    save_grid(options.out / "vae.png", [to_model(held[:12], options.device)[0], outputs[:12]])
    vae.save_pretrained(options.out / "trained" / "vae")
    report(f"PSNR {decibels:.2f} dB over {VALIDATION} scenes never trained on")


def main() -> None:
    """Train the demo model's autoencoder."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--scenes", type=Path, default=Path("build/demo_model/scenes"))
    parser.add_argument("--out", type=Path, default=Path("build/demo_model"))
    parser.add_argument("--minutes", type=float, default=25, help="budget, earlier runs included (default %(default)s)")
    parser.add_argument("--every", type=float, default=3, help="minutes between checkpoints (default %(default)s)")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--lr", type=float, default=1.5e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    train(options, lambda line: print(line, flush=True))


if __name__ == "__main__":
    main()
