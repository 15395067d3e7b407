"""Draw the preview pictures of the looks that come with the bot, by a base model of your choice.

    python -m tools.look_previews                       # the demo base, for what it can draw
    python -m tools.look_previews --base PATH_OR_HUB_ID --subject "a corgi"

Each look is drawn with the first seed for which its own words come out; see the pictures before you keep them.
"""

import argparse
import json
import sys
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

from bot.looks import FOLDER, Look, curated
from bot.templates import fill, read_template
from gpu_worker import pipe
from gpu_worker.engine.__main__ import DEMO_BASE
from gpu_worker.engine.base_files import load_base
from gpu_worker.engine.resident import Resident
from gpu_worker.engine.studio import Studio
from storage.contract import ImagineRequest

SIDE = 256
MOST = 4
"""Pictures of one look that a preview shows."""
DEMO = {"product": ("a red car", 1), "journey": ("a red car", 1), "winter": ("a penguin", 1)}
"""Whom the demo base draws best there, and from which seed."""
DEMO_USUAL = "a lion", 12


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--base", default=None, help="folder or hub id (default: the demo base)")
    parser.add_argument("--subject", default=None, help="whom to draw")
    parser.add_argument("--only", nargs="*", default=None, help="ids of looks; all of them where none is named")
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    wanted = {}
    for look in curated().values():
        if (options.only and look.id not in options.only) or (options.base is None and look.media):
            continue
        subject, seed = DEMO.get(look.id, DEMO_USUAL)
        subject, seed = options.subject or subject, options.seed or seed
        wanted[look] = seed, fill(read_template(look.around(subject)), seed, min(look.count or 1, MOST))
    previews = FOLDER / "previews"
    previews.mkdir(exist_ok=True)
    with TemporaryDirectory() as folder:
        for look, pictures in draw(wanted, options.base, Path(folder)).items():
            sheet(pictures).save(previews / f"{look.id}.png", optimize=True)
            print(json.dumps({"look": look.id, "drawn": wanted[look][1]}))
    return 0


def draw(
    wanted: Mapping[Look, tuple[int, Sequence[str]]], base: str | None, folder: Path
) -> dict[Look, list[Image.Image]]:
    """Draw every look's prompts, the first from its seed, with one engine."""
    studio = Studio(Resident(load_base(base or str(DEMO_BASE), "auto")), lambda _report: None, _give_up)
    files: dict[Look, list[Path]] = {}
    for look, (seed, prompts) in wanted.items():
        for place, prompt in enumerate(prompts):
            job = uuid.uuid4().hex
            request = ImagineRequest(
                job=job, attempt=1, base="local", prompt=prompt, negative_prompt=look.negative, seed=seed + place
            )
            out = folder / job
            out.mkdir()
            studio.take(pipe.Imagine(request=request, adapter=None, folder=out))
            files.setdefault(look, []).append(out)
    while studio.busy:
        if studio.has_steps:
            studio.draw(studio.choose())
        studio.hand_over(patient=not studio.has_steps)
    return {
        look: [Image.open(next(out.glob("*.png"))).convert("RGB") for out in folders] for look, folders in files.items()
    }


def _give_up(_job: str, problem: Exception) -> None:
    raise problem


def sheet(pictures: list[Image.Image]) -> Image.Image:
    """Lay one or four pictures out as a square."""
    across = 1 if len(pictures) == 1 else 2
    side = SIDE // across
    whole = Image.new("RGB", (SIDE, SIDE))
    for place, picture in enumerate(pictures):
        enlarged = picture.resize((side, side), Image.Resampling.LANCZOS)
        whole.paste(enlarged, (place % across * side, place // across * side))
    return whole


if __name__ == "__main__":
    sys.exit(main())
