"""The base model's short name, by which the bot and its workers find each other's queues."""

import re
from pathlib import PurePath

DEMO = "demo"
"""The small base model that ships with the worker."""


def base_name(base_model: str) -> str:
    """Derive the name that stands in queue names from the setting `BASE_MODEL`: `demo`, a folder or a hub id.

    A folder is known by its last part alone, since the bot and its workers may keep it in different places. Raises
    `ValueError` when nothing of the setting can stand in a name.
    """
    text = base_model.strip()
    if text.startswith((".", "/", "~")):
        text = PurePath(text).name
    name = re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.")[:64]
    if not name:
        raise ValueError(f"{base_model!r} names no base model; give demo, a folder or a hub id")
    return name
