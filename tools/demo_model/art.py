"""Fetches openly licensed emoji art as ordinary npm packages and renders it.

Every set is one `@iconify-json/...` package: an `icons.json` of SVG bodies. `python -m tools.demo_model.art` fetches
the pinned versions into the cache folder; nothing else here needs the network.
"""

import argparse
import io
import json
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import resvg_py
from PIL import Image

CACHE = Path.home() / ".cache" / "dreambot-art"
Pixels = npt.NDArray[np.float32]


@dataclass(frozen=True)
class ArtSet:
    """One package of art, with what its licence asks us to say."""

    name: str
    version: str
    licence: str
    author: str
    source: str


SETS = (
    ArtSet("noto", "1.2.9", "Apache-2.0", "Google Inc", "https://github.com/googlefonts/noto-emoji"),
    ArtSet("noto-v1", "1.2.5", "Apache-2.0", "Google Inc", "https://github.com/googlefonts/noto-emoji"),
    ArtSet("twemoji", "1.2.5", "CC-BY-4.0", "Twitter and contributors (jdecked)", "https://github.com/jdecked/twemoji"),
    ArtSet("fluent-emoji", "1.2.7", "MIT", "Microsoft Corporation", "https://github.com/microsoft/fluentui-emoji"),
    ArtSet("fluent-emoji-flat", "1.2.6", "MIT", "Microsoft Corporation", "https://github.com/microsoft/fluentui-emoji"),
    ArtSet("fxemoji", "1.2.2", "Apache-2.0", "Mozilla", "https://github.com/mozilla/fxemoji"),
    ArtSet("emojione", "1.2.3", "CC-BY-4.0", "EmojiOne 2.3, EmojiTwo", "https://github.com/EmojiTwo/emojitwo"),
)


@dataclass(frozen=True, order=True)
class Art:
    """One drawing: the set that it comes from and its icon's name there."""

    set_name: str
    icon: str

    def __str__(self) -> str:
        return f"{self.set_name}/{self.icon}"


_SET_LETTERS = {
    "N": "noto",
    "V": "noto-v1",
    "T": "twemoji",
    "F": "fluent-emoji",
    "P": "fluent-emoji-flat",
    "E": "emojione",
    "X": "fxemoji",
}


def _arts(icon: str, sets: str, **renamed: str) -> tuple[Art, ...]:
    """Return `icon` from each of the sets, given by their letters; a set in `renamed` calls it otherwise."""
    return tuple(Art(_SET_LETTERS[letter], renamed.get(letter, icon)) for letter in sets)


# One pose a class: the face of an animal (it reads best in few pixels), the side of a car.
CLASSES: dict[str, tuple[Art, ...]] = {
    "dog": _arts("dog-face", "NVTFPEX", X="dog"),
    "cat": _arts("cat-face", "NVTFPEX", X="cat"),
    "fox": _arts("fox", "NVTFPE"),
    "bear": _arts("bear", "NVTFPE"),
    "panda": _arts("panda", "NVTFPE"),
    "rabbit": _arts("rabbit-face", "NVTFPE"),
    "lion": _arts("lion", "NVTFPE"),
    "pig": _arts("pig-face", "NVTFPE"),
    "frog": _arts("frog", "NVTFPEX"),
    "penguin": _arts("penguin", "NVTFPEX"),
    "owl": _arts("owl", "NVTFPE"),
    "robot": _arts("robot", "NVTFP"),
    "car": _arts("automobile", "NVTFPEX") + _arts("sport-utility-vehicle", "NVTFPE"),
    "rocket": _arts("rocket", "NVTFPEX"),
}
# Never in a training scene: the sample subjects are drawn from these, and so are a benchmark's.
HELD_OUT = {
    "dog": Art("noto", "dog-face"),
    "cat": Art("twemoji", "cat-face"),
    "car": Art("noto", "automobile"),
    "fox": Art("emojione", "fox"),
    "rabbit": Art("twemoji", "rabbit-face"),
    "owl": Art("emojione", "owl"),
}
TRAINING = {name: tuple(a for a in arts if a != HELD_OUT.get(name)) for name, arts in CLASSES.items()}
HATS = {"crown": _arts("crown", "NTP"), "top hat": _arts("top-hat", "NTP")}
THINGS = {
    "ball": _arts("soccer-ball", "NTP"),
    "flower": _arts("tulip", "NTP"),
    "balloon": _arts("balloon", "NTP"),
    "gift": _arts("wrapped-gift", "NTP"),
}


def fetch(folder: Path) -> None:
    """Install the pinned art packages under `folder` with npm.

    Raises:
        subprocess.CalledProcessError: npm could not install them; its own message stands on the terminal.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "package.json").write_text('{"private": true}\n', encoding="utf-8")
    packages = [f"@iconify-json/{s.name}@{s.version}" for s in SETS]
    subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", *packages], cwd=folder, check=True)


@cache
def _icons(folder: Path, set_name: str) -> dict[str, Any]:
    icons: dict[str, Any] = json.loads(
        (folder / "node_modules" / "@iconify-json" / set_name / "icons.json").read_text(encoding="utf-8")
    )
    return icons


def svg(folder: Path, art: Art, size: int) -> str:
    """Return the art as an SVG document of `size` x `size` pixels.

    Raises:
        FileNotFoundError: the set is not in the cache; `python -m tools.demo_model.art` fetches it.
        KeyError: the set has no such icon.
    """
    icons = _icons(folder, art.set_name)
    name = art.icon if art.icon in icons["icons"] else icons["aliases"][art.icon]["parent"]
    icon = icons["icons"][name]
    box = (
        icon.get("left", 0),
        icon.get("top", 0),
        icon.get("width", icons["width"]),
        icon.get("height", icons["height"]),
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="{size}" '
        f'height="{size}" viewBox="{" ".join(map(str, box))}">{icon["body"]}</svg>'
    )


def render(folder: Path, art: Art, size: int) -> Pixels:
    """Return the art as [height, width, 4] RGBA in 0..1, at most `size` high and wide, cut to what is drawn."""
    png = bytes(resvg_py.svg_to_bytes(svg_string=svg(folder, art, size)))
    image = Image.open(io.BytesIO(png)).convert("RGBA")
    return np.asarray(image.crop(image.getbbox()), dtype=np.float32) / np.float32(255)


def main() -> None:
    """Fetch the art into the cache folder."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--cache", type=Path, default=CACHE, help="folder for the art packages (default %(default)s)")
    folder = parser.parse_args().cache
    fetch(folder)
    print(f"{len(SETS)} sets of art in {folder}")


if __name__ == "__main__":
    main()
