"""Renders the photos of the subjects that `benchmarks/fidelity.py` knows beside the sample ones.

They too are drawings that the base model never saw; the photos are committed, so that a benchmark needs no art.
"""

import argparse
from pathlib import Path

from tools.demo_model import art
from tools.demo_model.coats import Coat
from tools.demo_model.compose import Individual, Studio
from tools.demo_model.sample_photos import Subject, write

SIZE = 256
SUBJECTS = (
    Subject("ember", Individual("fox", art.HELD_OUT["fox"], Coat("teal", "half", "yellow", 1.0, 4)), 21),
    Subject("clover", Individual("rabbit", art.HELD_OUT["rabbit"], Coat("green", "spots", "white", 1.05, 7)), 22),
    Subject("sage", Individual("owl", art.HELD_OUT["owl"], Coat("pink", "patches", "black", 1.0, 9)), 23),
    Subject("bolt", Individual("dog", art.HELD_OUT["dog"], Coat("blue", "spots", "yellow", 1.05, 31)), 31),
    Subject("moss", Individual("rabbit", art.HELD_OUT["rabbit"], Coat("brown", "stripes", "orange", 0.95, 32)), 32),
)


def main() -> None:
    """Render the benchmark's photos."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--cache", type=Path, default=art.CACHE)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/subjects"))
    options = parser.parse_args()
    studio = Studio(options.cache, SIZE)
    for subject in SUBJECTS:
        write(subject, studio, options.out)
        print(f"{subject.name}, a {subject.who.noun}: {options.out / subject.name}")


if __name__ == "__main__":
    main()
