"""Trains the denoiser and the text encoder together, in the latents of the trained autoencoder.

Velocity prediction (Salimans & Ho 2022) under a cosine schedule, with min-SNR-5 weights (Hang et al. 2023), an empty
caption one time in ten for classifier-free guidance, and an exponential moving average of the weights, which is what
ships. Stops by the clock; goes on from the last checkpoint, or begins with the shipped weights (`--warm-start`).
"""

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from storage.identifiers import IDENTIFIERS
from tools.demo_model import art, captions, tokenizer
from tools.demo_model.checkpoints import Checkpoint, Clock
from tools.demo_model.compose import read_scenes
from tools.demo_model.train_vae import learning_rate, save_grid, to_model

WIDTH = 128  # of the text encoder
EMPTY_SHARE = 0.1
SNR_CAP = 5.0
EMA_DECAY = 0.999


def new_unet() -> UNet2DConditionModel:
    """Return the untrained denoiser. diffusers' attention_head_dim counts heads here."""
    return UNet2DConditionModel(
        sample_size=16,
        in_channels=8,
        out_channels=8,
        block_out_channels=(64, 96, 128),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        layers_per_block=1,
        cross_attention_dim=WIDTH,
        attention_head_dim=(2, 3, 4),
        norm_num_groups=16,
    )


def new_text_encoder(words: CLIPTokenizer) -> CLIPTextModel:
    """Return the untrained text encoder for this tokenizer."""
    config = CLIPTextConfig(
        vocab_size=len(words),
        hidden_size=WIDTH,
        projection_dim=WIDTH,
        intermediate_size=3 * WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=tokenizer.LENGTH,
        bos_token_id=words.bos_token_id,
        eos_token_id=words.eos_token_id,
        pad_token_id=words.pad_token_id,
    )
    return CLIPTextModel(config)


def new_scheduler() -> DDIMScheduler:
    """Return the noise schedule that the model is trained with and shipped with."""
    return DDIMScheduler(
        beta_schedule="squaredcos_cap_v2",
        prediction_type="v_prediction",
        timestep_spacing="trailing",
        clip_sample=False,
        steps_offset=1,
    )


def token_ids(words: CLIPTokenizer, texts: Sequence[str]) -> Tensor:
    """Return the captions as ids [n, LENGTH], cut and padded as the pipeline does it."""
    encoded = words(
        list(texts), padding="max_length", max_length=tokenizer.LENGTH, truncation=True, return_tensors="pt"
    )
    ids: Tensor = encoded.input_ids
    return ids


@torch.no_grad()
def encode_scenes(vae: AutoencoderKL, options: argparse.Namespace, report: Callable[[str], None]) -> Tensor:
    """Return the posterior means of all scenes, [n, 8, 16, 16] float16, from the file of an earlier run if there is
    one.
    """
    path = options.out / "latents.npy"
    if path.exists():
        return torch.from_numpy(np.load(path))
    pixels, _ = read_scenes(options.scenes)
    parts = []
    with torch.autocast(options.device, torch.bfloat16):
        for start in range(0, min(len(pixels), options.scenes_used), 100):
            images, _ = to_model(pixels[start : start + 100], options.device)
            parts.append(vae.encode(images).latent_dist.mean.half().cpu())
            if start % 10_000 == 0:
                report(f"encoded {start} scenes")
    latents = torch.cat(parts)
    np.save(path, latents.numpy())
    return latents


class Average:
    """An exponential moving average of modules' weights, quick to follow at first."""

    def __init__(self, modules: Sequence[nn.Module], averages: Sequence[nn.Module]) -> None:
        self._pairs = [
            pair
            for m, a in zip(modules, averages, strict=True)
            for pair in zip(m.parameters(), a.parameters(), strict=True)
        ]
        for value, average in self._pairs:
            average.data.copy_(value.data)
            average.requires_grad_(False)

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move the averages towards the weights."""
        decay = min(EMA_DECAY, (1 + step) / (10 + step))
        torch._foreach_lerp_([average for _, average in self._pairs], [value for value, _ in self._pairs], 1 - decay)


def velocity_loss(unet: UNet2DConditionModel, alphas: Tensor, latents: Tensor, text: Tensor, *, device: str) -> Tensor:
    """Return the min-SNR weighted error of the predicted velocity; timesteps are stratified over the batch.

    `latents` [b, 8, 16, 16], `text` [b, LENGTH, WIDTH], `alphas` the cumulative products of the schedule.
    """
    count = len(latents)
    share = (torch.rand(()) + torch.arange(count) / count) % 1
    steps = (share * len(alphas)).long().clamp(max=len(alphas) - 1)[torch.randperm(count)].to(device)
    alpha = alphas[steps].view(-1, 1, 1, 1)
    noise = torch.randn_like(latents)
    noisy = alpha.sqrt() * latents + (1 - alpha).sqrt() * noise
    velocity = alpha.sqrt() * noise - (1 - alpha).sqrt() * latents
    with torch.autocast(device, torch.bfloat16):
        predicted = unet(noisy, steps, text).sample
    snr = alpha / (1 - alpha)
    weight = snr.clamp(max=SNR_CAP) / (snr + 1)
    return (weight * (predicted.float() - velocity).square()).mean()


@torch.no_grad()
def freshen_identifiers(text_encoder: CLIPTextModel, words: CLIPTokenizer, seed: int) -> None:
    """Draw the identifiers' embeddings anew, as large as those of words that training has shaped."""
    table = text_encoder.get_input_embeddings().weight
    known = table[words.convert_tokens_to_ids([noun + tokenizer.LAST for noun in art.CLASSES])]
    ids = words.convert_tokens_to_ids([word + tokenizer.LAST for word in IDENTIFIERS])
    noise = torch.randn(len(ids), table.shape[1], generator=torch.Generator().manual_seed(seed)).to(table)
    table[ids] = noise * known.std()


def pipeline(
    vae: AutoencoderKL, text_encoder: CLIPTextModel, words: CLIPTokenizer, unet: UNet2DConditionModel
) -> StableDiffusionPipeline:
    """Put the parts together as a standard pipeline."""
    made = StableDiffusionPipeline(
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=words,
        unet=unet,
        scheduler=new_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    made.set_progress_bar_config(disable=True)
    return made


def show(
    pipe: StableDiffusionPipeline, path: Path, seed: int = 0, *, steps: int = 20, guidance_scale: float = 4.0
) -> None:
    """Draw a grid: every class (across) in some places (down), each picture from its own seed."""
    nouns = list(art.CLASSES)
    rows = []
    for row, phrase in enumerate(
        ("", *(captions.PLACE_PHRASES[place][0] for place in ("moon", "beach", "city", "forest", "room")))
    ):
        prompts = [f"{captions.with_article(noun, 'a')} {phrase}".strip() for noun in nouns]
        generators = [torch.Generator().manual_seed(seed + 100 * row + column) for column in range(len(nouns))]
        options = {"num_inference_steps": steps, "guidance_scale": guidance_scale, "height": 64, "width": 64}
        images = pipe(
            [f"a photo of {prompt}" for prompt in prompts], generator=generators, output_type="pt", **options
        ).images
        rows.append(images * 2 - 1)
    save_grid(path, rows)


def save(pipe: StableDiffusionPipeline, options: argparse.Namespace) -> None:
    """Write the pipeline with fresh identifiers, and a grid of its pictures."""
    freshen_identifiers(pipe.text_encoder, pipe.tokenizer, options.seed)
    pipe.save_pretrained(options.out / "trained" / "base")
    show(pipe, options.out / "unet.png")


def start_modules(options: argparse.Namespace, words: CLIPTokenizer) -> tuple[UNet2DConditionModel, CLIPTextModel]:
    """Return the denoiser and text encoder: new, or those of the pipeline folder `--warm-start`."""
    if options.warm_start is None:
        return new_unet(), new_text_encoder(words)
    unet = UNet2DConditionModel.from_pretrained(options.warm_start, subfolder="unet", dtype=torch.float32)
    text_encoder = CLIPTextModel.from_pretrained(options.warm_start, subfolder="text_encoder", dtype=torch.float32)
    return unet, text_encoder


def load_vae(options: argparse.Namespace) -> AutoencoderKL:
    """Return the trained autoencoder, from the pipeline folder `--warm-start` if one is given."""
    source = options.warm_start or options.out / "trained"
    return AutoencoderKL.from_pretrained(source, subfolder="vae", dtype=torch.float32).to(options.device).eval()


def train(options: argparse.Namespace, report: Callable[[str], None]) -> None:
    """Train until the clock runs out, with a grid and a checkpoint every few minutes."""
    torch.manual_seed(options.seed)
    words, device = tokenizer.build(), options.device
    vae = load_vae(options)
    latents = encode_scenes(vae, options, report).to(device)
    _, labels = read_scenes(options.scenes)
    ids = token_ids(words, [label["caption"] for label in labels[: len(latents)]]).to(device)
    empty = token_ids(words, [""]).to(device)
    unet, text_encoder = (module.to(device) for module in start_modules(options, words))
    averages = (new_unet().to(device).eval(), new_text_encoder(words).to(device).eval())
    embeddings = {id(p) for p in text_encoder.get_input_embeddings().parameters()}
    parameters = [*unet.parameters(), *text_encoder.parameters()]
    groups = [
        {"params": [p for p in parameters if id(p) not in embeddings], "weight_decay": 0.01},
        {"params": [p for p in parameters if id(p) in embeddings], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=options.lr, betas=(0.9, 0.99))
    average = Average((unet, text_encoder), averages)
    modules = {"unet": unet, "text": text_encoder, "ema_unet": averages[0], "ema_text": averages[1]}
    checkpoint = Checkpoint(options.out / "unet", modules, optimizer)
    clock = Clock(options.minutes, checkpoint.load())
    alphas = new_scheduler().alphas_cumprod.to(device)
    pipe = pipeline(vae, averages[1], words, averages[0])
    unet.train()
    text_encoder.train()
    step, shown, losses = checkpoint.step, time.monotonic(), []
    while not clock.over():
        rows = torch.randint(len(latents), (options.batch,), device=device)
        tokens = torch.where(torch.rand(options.batch, 1, device=device) < EMPTY_SHARE, empty, ids[rows])
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(options.lr, clock.done(), step)
        with torch.autocast(device, torch.bfloat16):
            text = text_encoder(tokens).last_hidden_state
        loss = velocity_loss(unet, alphas, latents[rows].float(), text, device=device)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        step += 1
        average.update(step)
        losses.append(loss.detach())
        if step % 100 == 0:
            mean = torch.stack(losses).mean()
            report(f"{clock.minutes():.1f} min  step {step}  {step * options.batch} scenes  loss {mean:.4f}")
            losses.clear()
        if time.monotonic() - shown > 60 * options.every:
            shown = time.monotonic()
            checkpoint.save(step, clock.minutes())
            save(pipe, options)
    checkpoint.save(step, clock.minutes())
    save(pipe, options)
    report(f"{step} steps, {step * options.batch} scenes, {clock.minutes():.1f} minutes")


def main() -> None:
    """Train the demo model's denoiser and text encoder."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--scenes", type=Path, default=Path("build/demo_model/scenes"))
    parser.add_argument("--scenes-used", type=int, default=60_000, help="how many of them (default %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("build/demo_model"))
    parser.add_argument(
        "--warm-start", type=Path, help="a pipeline folder to go on from, such as gpu_worker/demo_bundle/base"
    )
    parser.add_argument("--minutes", type=float, default=65, help="budget, earlier runs included (default %(default)s)")
    parser.add_argument("--every", type=float, default=10, help="minutes between checkpoints (default %(default)s)")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    train(options, lambda line: print(line, flush=True))


if __name__ == "__main__":
    main()
