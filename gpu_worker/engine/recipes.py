"""Recipes: how to train each kind of subject on each family of base, as data.

A person chooses a kind and a quality and needs to know nothing else; `TrainingOptions` override single numbers.
Learning rates hold for alpha = rank.
"""

from dataclasses import dataclass, replace

from gpu_worker.engine.base_model import Family
from gpu_worker.engine.sampling import Sampler
from storage.contract import Quality, SubjectKind, TrainingOptions


@dataclass(frozen=True, kw_only=True)
class Recipe:
    learning_rate: float
    text_learning_rate: float
    """0 lets the text encoder rest, and its embeddings are then computed once."""
    word_learning_rate: float = 0.0
    """For the identifier's own token vector, learned from where the base has it; 0 leaves it there."""
    rank: int
    batch_size: int
    """Instance views a step; as many class images come with them while the prior has weight."""
    prior_weight: float
    class_images: int
    scene_share: float = 0.5
    """The share of class images that show the class in the scenes of `prompts`; the others have the plain prompt."""
    teacher: bool = False
    """No class images: the class rows are the photos under the class prompts, and their target is the base's answer.

    It asks that the class prompts go on meaning what they meant, whatever is shown (as ai-toolkit's differential
    output preservation does); it costs a forward pass of the class rows a step, and drawing nothing beforehand.
    """
    aspects: bool = False
    """Photos whose subject no square holds are trained in the aspect bucket that does; otherwise all are square."""
    caption_share: float = 0.0
    """The share of instance prompts that say where the photo was taken, where an embedder is sure of it."""
    caption_dropout: float = 0.0
    """The share of instance rows that are shown without any prompt."""
    background_weight: float = 1.0
    """How much of the loss of a photo's background counts where the place of its subject is known."""
    views_per_photo: int
    """How often each photo is seen in all; the steps follow from it."""
    least_steps: int
    most_steps: int
    warmup_steps: int = 10
    gradient_clip: float = 1.0
    weight_decay: float = 1e-2
    min_snr: float | None = 5.0
    """Gamma of min-SNR weighting (Hang et al. 2023, arXiv 2303.09556); 5 is the paper's own choice."""
    snr_offset: float = 0.0
    """Added to the signal-to-noise ratio that is weighed where the base predicts the velocity. The paper's weights all
    but leave out the steps of nearly pure noise there, which are where a picture's colours are settled."""
    ema: float | None = None
    """Decay of the moving average of the adapter that is published in place of the last step's weights."""
    candidates: int = 40
    """At how many points of the training, at most, pictures are drawn and scored; the best is published."""
    steps: int = 0
    """Optimiser steps; 0 until `choose_recipe` has worked them out."""
    sampler: Sampler

    @property
    def prior(self) -> bool:
        return self.prior_weight > 0 and (self.teacher or self.class_images > 0)


# The demo base: chosen by the judging embedder on two foxes and an owl that nothing else is measured on. Identifiers
# are words that its captions never used, and read like "a": without a vector of its own the word cannot be told from
# the class. With one, and a text encoder that learns too, the U-Net needs half of the rate that it needed alone, and
# other members of the class stay what they were.
_DEMO = Recipe(
    learning_rate=3e-3,
    text_learning_rate=2e-3,
    word_learning_rate=3e-3,
    rank=16,
    batch_size=4,
    prior_weight=0.5,
    class_images=32,
    snr_offset=0.5,
    views_per_photo=180,
    least_steps=160,
    most_steps=300,
    sampler=Sampler(steps=25, guidance_scale=4.0),
)

# Stable Diffusion 1.x and 2.x. Rank 16 with 1e-4 for the U-Net and 1e-5 for the text encoder: cloneofsimo/lora README,
# where batch 1 is meant; we see 4 photos a step and take twice the rate (square-root scaling). 100 views a photo, at
# least 400 in all: diffusers examples/dreambooth/README.md (400-500 steps for 4-6 photos). Prior weight 1 with 100
# class images: same. Half of the prompts name the setting, so that the background is not learned with the subject (Kim
# et al. 2024, arXiv 2403.15330, captions all of them; kohya-ss/sd-scripts and diffusers' advanced example let one); the
# other half is how people ask. Only with WORDS_MODEL is there an embedder that can tell settings.
_SD = Recipe(
    learning_rate=2e-4,
    text_learning_rate=2e-5,
    rank=16,
    batch_size=4,
    prior_weight=1.0,
    class_images=100,
    aspects=True,
    caption_share=0.5,
    views_per_photo=100,
    least_steps=125,
    most_steps=300,
    sampler=Sampler(steps=30, guidance_scale=7.5),
)


def _recipe(family: Family, kind: SubjectKind) -> Recipe:
    if family is Family.DEMO:
        # A style has no class to draw beforehand: capacity down, and the base as teacher. Without any prior everything
        # that is drawn takes the style on, asked for or not (benchmarks/style.py: 0.75 of it; with the teacher at
        # weight 1 it was 0.13).
        of_style = replace(_DEMO, rank=8, class_images=0, teacher=True, prior_weight=1.0)
        return of_style if kind is SubjectKind.STYLE else _DEMO
    if family is Family.SDXL:
        return _sdxl(kind)
    match kind:
        case SubjectKind.PET:
            return _SD
        case SubjectKind.OBJECT:
            return replace(_SD, views_per_photo=90, most_steps=250)
        case SubjectKind.PERSON:
            # huggingface.co/blog/dreambooth: faces want a lower rate, 800-1200 steps, the prior and the text encoder.
            return replace(
                _SD, learning_rate=1e-4, views_per_photo=135, least_steps=200, most_steps=375, class_images=200
            )
        case SubjectKind.STYLE:
            # Low capacity and no class images, so that content stays with the prompt: B-LoRA (arXiv 2403.14572), kohya
            # guides.
            return replace(_SD, rank=8, class_images=0, views_per_photo=80, least_steps=200)


def _sdxl(kind: SubjectKind) -> Recipe:
    """Stable Diffusion XL as 1.x and 2.x, but for what diffusers' examples/dreambooth/README_sdxl.md says.

    That is 500 steps of 4 photos for 5 photos, 1e-4, the text encoders at rest, and nothing else for faces than for
    dogs; kohya-ss/sd-scripts' docs/sdxl_train_network.md has the same rate. Min-SNR with gamma 5: diffusers'
    examples/advanced_diffusion_training. Guidance 5 is its pipeline's default, 30 steps are those of its guide to fast
    diffusion.
    """
    return replace(
        _recipe(Family.SD1, kind),
        learning_rate=1e-4,
        text_learning_rate=0.0,
        views_per_photo=400,
        least_steps=400,
        most_steps=500,
        sampler=Sampler(steps=30, guidance_scale=5.0),
    )


_LENGTH = {Quality.FAST: 0.6, Quality.GOOD: 1.0, Quality.BEST: 1.6}
"""Training length by quality, as a share of the recipe's."""


def choose_recipe(
    family: Family, kind: SubjectKind, quality: Quality, photos: int, options: TrainingOptions | None = None
) -> Recipe:
    """Return the recipe for a subject with the steps worked out, and with what the person set by hand put in."""
    chosen = (options or TrainingOptions()).model_dump(exclude_none=True)
    by_hand = {name: value for name, value in chosen.items() if name in Recipe.__dataclass_fields__}
    recipe = replace(_recipe(family, kind), **by_hand)
    wanted = recipe.views_per_photo * photos / recipe.batch_size
    steps = round(min(max(wanted, recipe.least_steps), recipe.most_steps) * _LENGTH[quality])
    return replace(recipe, steps=recipe.steps or steps)


def default_sampler(family: Family) -> Sampler:
    """Return how pictures are drawn when nobody says otherwise."""
    return _recipe(family, SubjectKind.PET).sampler
