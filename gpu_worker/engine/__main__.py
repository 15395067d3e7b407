"""The engine's command line: `serve` for the worker, `train` and `generate` for use on its own."""

import argparse
import logging
import os
import sys
from pathlib import Path

from storage.contract import MAX_PHOTOS, MIN_PHOTOS, Quality, SubjectKind, TrainingOptions

DEMO_BASE = Path(__file__).parent.parent / "demo_bundle" / "base"
SPARE_CORES = max(1, len(os.sched_getaffinity(0)) - 1)
"""One core is left to what feeds the engine: threads that wait for one that is taken lose more than it gives."""


def main() -> None:
    arguments = _parser().parse_args()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s engine %(levelname)s %(message)s")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")  # it would tell of image processors that nobody here uses
    # Threads that spin while they wait make a step several times slower as soon as anything else wants the processor.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    import torch  # after the arguments: it takes seconds, and `--help` should not

    from gpu_worker.engine import alone, serve
    from gpu_worker.engine.adapters import AdapterRefused
    from gpu_worker.engine.base_model import UnfitBase
    from gpu_worker.engine.hub_embedders import UnfitEmbedder
    from gpu_worker.engine.photos import PhotoMissing

    torch.set_num_threads(arguments.threads)
    try:
        match arguments.command:
            case "serve":
                serve.serve(arguments)
            case "train":
                alone.train_folder(arguments)
            case "generate":
                alone.generate(arguments)
    except (UnfitBase, UnfitEmbedder, AdapterRefused, PhotoMissing) as problem:
        sys.exit(f"dreambot engine: {problem}")


def _parser() -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "--base", default=str(DEMO_BASE), help="folder or hub id of the base model (default: the demo base)"
    )
    shared.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    shared.add_argument(
        "--weights",
        default="auto",
        choices=("auto", "full", "eight"),
        help="keep the base's weights whole or in eight bits (default: what the GPU's memory asks for)",
    )
    shared.add_argument(
        "--cache", type=Path, default=Path("data/cache"), help="folder for class images that jobs share"
    )
    shared.add_argument(
        "--threads", type=int, default=SPARE_CORES, help="CPU threads to compute with (default: all cores but one)"
    )

    shared.add_argument("--individuals", help="folder or hub id of a DINOv2 model by which candidates are chosen")
    shared.add_argument("--words", help="folder or hub id of a CLIP model that judges them; goes with --individuals")

    shared.add_argument("--fast-lora", help="file or hub id of an LCM or Hyper-SD LoRA, for a fast copy of the base")
    shared.add_argument("--fast-sampler", default="lcm", choices=("lcm", "ddim"), help="what it is for (default: lcm)")
    shared.add_argument("--fast-steps", type=int, help="and for how many steps (default: 4)")
    shared.add_argument("--fast-by-default", action="store_true", help="use it unless the best quality is asked for")
    shared.add_argument("--preview-decoder", help="folder or hub id of a tiny autoencoder for previews of trainings")

    parser = argparse.ArgumentParser(prog="python -m gpu_worker.engine", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    serving = commands.add_parser("serve", parents=[shared], help="work on orders from stdin (the worker starts this)")
    serving.add_argument("--compile", action="store_true", help="compile the U-Net on a GPU, if it is measured to pay")
    serving.add_argument("--training-slots", type=int, default=1, help="how many people train at once (default: 1)")

    train = commands.add_parser("train", parents=[shared], help="learn a subject from a folder of photos")
    train.add_argument("--photos", type=Path, required=True, help=f"folder with {MIN_PHOTOS} to {MAX_PHOTOS} photos")
    train.add_argument("--class", dest="class_noun", required=True, help='what the subject is, such as "dog"')
    train.add_argument("--out", type=Path, required=True, help="folder for the adapter, the download and the samples")
    train.add_argument("--identifier", default="sks", help="the rare word that will stand for the subject")
    train.add_argument("--kind", type=SubjectKind, default=SubjectKind.PET, choices=list(SubjectKind))
    train.add_argument("--quality", type=Quality, default=Quality.GOOD, choices=list(Quality))
    train.add_argument("--seed", type=int, default=0)
    for name, field in TrainingOptions.model_fields.items():
        kind = next(each for each in (float, int, str) if each.__name__ in str(field.annotation))
        train.add_argument(f"--{name.replace('_', '-')}", type=kind, help="(default: the recipe's)")

    generate = commands.add_parser("generate", parents=[shared], help="draw pictures")
    generate.add_argument("--prompt", required=True)
    generate.add_argument("--negative", default="")
    generate.add_argument(
        "--adapter", type=Path, help="an adapter.safetensors that `train` made; none draws the plain base"
    )
    generate.add_argument("--out", type=Path, required=True)
    generate.add_argument("--count", type=int, default=4)
    generate.add_argument("--seed", type=int)
    generate.add_argument("--steps", type=int)
    generate.add_argument("--guidance", type=float)
    generate.add_argument("--quality", type=Quality, choices=list(Quality), help="fast takes the fast copy")
    return parser


if __name__ == "__main__":
    main()
