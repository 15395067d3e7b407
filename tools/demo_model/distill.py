"""Distils the demo base's guided sampler into a LoRA that draws in four steps without guidance.

Progressive distillation (Salimans & Ho 2022, arXiv 2202.00512) of the guided model (Meng et al. 2022, arXiv
2210.03142), done at once: where the student makes one DDIM step, the teacher makes several guided ones, and the
student's velocity is to lead to where they end. All it needs is captions: the teacher begins with noise, as the student
will. More and more often it goes on from where the student came to, which then learns to correct itself. Stops by the
processor's clock, so that a busy machine changes nothing.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel
from peft import LoraConfig, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors.torch import load_file
from torch import Tensor

from gpu_worker.engine.samplers import Process, SamplerFamily, Schedule, process_of, schedule, step
from tools.demo_model.export import load_base
from tools.demo_model.train_unet import show, token_ids

LAYERS = r".*(attn1\.(to_[qkv]|to_out\.0)|proj_(in|out)|ff\.net\.(0\.proj|2)|conv[12]|conv_shortcut|time_emb_proj)"
"""Not those that read the text: people's words are none of the captions', and are to be read as they were learned."""
STEPS = 4
GUIDANCE_SCALE = 4.0
WARMUP_STEPS = 20


class Pairs:
    """Where the student stood before a step, and where the step is to lead; the newest of them."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.starts, self.ends, self.texts, self.steps = (torch.empty(0) for _ in range(4))

    def add(self, starts: Tensor, ends: Tensor, texts: Tensor, number: int) -> None:
        """Remember step `number` of rows [b, ...]."""
        new = starts, ends, texts, torch.full((len(starts),), number)
        old = self.starts, self.ends, self.texts, self.steps
        self.starts, self.ends, self.texts, self.steps = (
            torch.cat([a, b])[-self.most :] if len(a) else b for a, b in zip(old, new, strict=True)
        )

    def some(self, count: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        rows = torch.randint(len(self.starts), (count,))
        return self.starts[rows], self.ends[rows], self.texts[rows], self.steps[rows]


class Teacher:
    def __init__(self, pipe: StableDiffusionPipeline, steps: int) -> None:
        self.unet, self.text_encoder, self.tokenizer = pipe.unet, pipe.text_encoder, pipe.tokenizer
        self.process: Process = process_of(dict(pipe.scheduler.config))
        self.schedule = schedule(self.process, SamplerFamily.DDIM, steps)
        self.a_student_step = steps // STEPS
        self.empty = self.read([""])

    @torch.no_grad()
    def read(self, captions: Sequence[str]) -> Tensor:
        """Return the text embeddings [b, L, d]."""
        return self.text_encoder(token_ids(self.tokenizer, captions)).last_hidden_state

    @torch.no_grad()
    def lead(self, latents: Tensor, texts: Tensor, number: int) -> Tensor:
        """Return where the guided steps in place of the student's step `number` lead from latents [b, c, h, w]."""
        both = torch.cat([self.empty.expand(len(texts), -1, -1), texts])
        for line in self.schedule.table[number * self.a_student_step :][: self.a_student_step]:
            without, prompted = predict(self.unet, latents.repeat(2, 1, 1, 1), line[0], both).chunk(2)
            latents = _after(line, latents, without + GUIDANCE_SCALE * (prompted - without))
        return latents


def predict(unet: UNet2DConditionModel, latents: Tensor, timesteps: Tensor, texts: Tensor) -> Tensor:
    with torch.autocast(latents.device.type, torch.bfloat16):
        answer: Tensor = unet(latents, timesteps.float(), texts, return_dict=False)[0]
    return answer.float()


def _after(line: Tensor, latents: Tensor, prediction: Tensor) -> Tensor:
    return step(line.float().expand(len(latents), -1), latents, prediction, latents, None)[0]


def roll_out(
    teacher: Teacher, student: UNet2DConditionModel, plan: Schedule, texts: Tensor, pairs: Pairs, own: float
) -> None:
    """Draw a picture for each text [b, L, d] and remember every step; a share `own` goes on from the student's step."""
    config = student.config
    latents = torch.randn(len(texts), config.in_channels, config.sample_size, config.sample_size) * plan.start
    for number, line in enumerate(plan.table):
        end = teacher.lead(latents, texts, number)
        pairs.add(latents, end, texts, number)
        with torch.no_grad():
            reached = _after(line, latents, predict(student, latents, line[0], texts))
        latents = torch.where(torch.rand(len(texts), 1, 1, 1) < own, reached, end)


def loss_of(student: UNet2DConditionModel, plan: Schedule, rows: tuple[Tensor, Tensor, Tensor, Tensor]) -> Tensor:
    """Return the mean squared error of the velocity with which the next latents would be the right ones."""
    starts, ends, texts, steps = rows
    lines = plan.table[steps.long()].float()
    keep, move = lines[:, 3].view(-1, 1, 1, 1), lines[:, 4].view(-1, 1, 1, 1)  # next = keep latents + move velocity
    wanted = (ends - keep * starts) / move
    return (predict(student, starts, lines[:, 0], texts) - wanted).square().mean()


def train(options: argparse.Namespace, report: Callable[[str], None]) -> None:
    torch.manual_seed(options.seed)
    pipe = load_base(options.base)
    teacher = Teacher(load_base(options.base), options.teacher_steps)
    student = pipe.unet.requires_grad_(False)
    student.add_adapter(LoraConfig(r=options.rank, lora_alpha=options.rank, target_modules=LAYERS))
    if options.warm_start:
        layers = {name.removeprefix("unet."): tensor.float() for name, tensor in load_file(options.warm_start).items()}
        set_peft_model_state_dict(student, layers)
    learned = [parameter for parameter in student.parameters() if parameter.requires_grad]
    plan = schedule(teacher.process, SamplerFamily.DDIM, STEPS)
    captions = [json.loads(line)["caption"] for line in (options.scenes / "labels.jsonl").open(encoding="utf-8")]
    optimizer = torch.optim.AdamW(learned, lr=options.lr, betas=(0.9, 0.99), weight_decay=0.0)
    pairs, losses, began, steps = Pairs(options.pairs), list[Tensor](), time.process_time(), 0
    while (done := (time.process_time() - began) / (60 * options.minutes)) < 1:
        said = [captions[number] for number in torch.randint(len(captions), (options.pictures,)).tolist()]
        roll_out(teacher, student, plan, teacher.read(said), pairs, own=done)
        for _ in range(options.steps_a_round):
            steps += 1
            for group in optimizer.param_groups:
                group["lr"] = options.lr * min(1.0, steps / WARMUP_STEPS) * (1 - done)
            loss = loss_of(student, plan, pairs.some(options.batch))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(learned, 1.0)
            optimizer.step()
            losses.append(loss.detach())
        if not steps % (10 * options.steps_a_round):
            report(f"{done * options.minutes:.1f} min  step {steps}  loss {torch.stack(losses).mean():.4f}")
            losses.clear()
            save(student, options.out)
    save(student, options.out)
    show(pipe, options.grid, steps=STEPS, guidance_scale=1.0)
    report(f"{steps} steps in {options.minutes} minutes")


def save(student: UNet2DConditionModel, path: Path) -> None:
    """Write the LoRA in half precision, as diffusers lays it out."""
    path.parent.mkdir(parents=True, exist_ok=True)
    layers = {name: tensor.half() for name, tensor in get_peft_model_state_dict(student).items()}
    StableDiffusionPipeline.save_lora_weights(path.parent, unet_lora_layers=layers, weight_name=path.name)


def main() -> None:
    """Distil the demo model into a LoRA for four steps."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--base", type=Path, default=Path("gpu_worker/demo_bundle/base"))
    parser.add_argument("--scenes", type=Path, default=Path("build/demo_model/scenes"), help="for their captions")
    parser.add_argument("--out", type=Path, default=Path("build/demo_model/fast.safetensors"))
    parser.add_argument("--grid", type=Path, default=Path("build/demo_model/fast.png"))
    parser.add_argument("--warm-start", type=Path, help="a LoRA to go on from, such as the one that ships")
    parser.add_argument("--minutes", type=float, default=15, help="of one processor (default %(default)s)")
    parser.add_argument("--teacher-steps", type=int, default=16, help="guided steps in place of four")
    parser.add_argument("--pictures", type=int, default=16, help="drawn by the teacher in a round")
    parser.add_argument("--steps-a-round", type=int, default=4)
    parser.add_argument("--pairs", type=int, default=4096, help="steps of the teacher that are remembered")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    train(options, lambda line: print(line, flush=True))


if __name__ == "__main__":
    main()
