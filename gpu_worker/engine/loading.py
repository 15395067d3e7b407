"""What the engine's command line names, loaded."""

import argparse

from gpu_worker.engine.base_model import load_base
from gpu_worker.engine.hub_embedders import load_hub_embedders
from gpu_worker.engine.resident import SERVING_SLOTS, Resident


def load_resident(arguments: argparse.Namespace, together: int = 1) -> Resident:
    """Load the base and, where models are named for them, the embedders. Raises `UnfitBase` and `UnfitEmbedder`."""
    base, embedders = load_base(arguments.base, arguments.device), None
    if arguments.individuals and arguments.words:
        embedders = load_hub_embedders(arguments.individuals, arguments.words, str(base.device))
    return Resident(base, SERVING_SLOTS, together, embedders)
