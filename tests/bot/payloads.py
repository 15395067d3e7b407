"""Hold what we send against Discord's limits, and against Discord's own schema where it lies beside the project."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from discord import ui
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

SCHEMA = Path(__file__).parents[3] / "shared" / "data" / "discord" / "openapi.json"
MAX_COMPONENTS = 40
MAX_CHARS = 4000
V2_FLAG = 1 << 15


def parts(component: Any) -> list[dict[str, Any]]:
    """Return a component and all that it holds."""
    if isinstance(component, list):
        return [found for item in component for found in parts(item)]
    held = [component.get(key) for key in ("components", "component", "accessory") if component.get(key)]
    return [component, *(found for item in held for found in parts(item))]


def check_message(view: ui.LayoutView) -> list[dict[str, Any]]:
    """Assert that Discord would take the layout; returns all its components."""
    components = view.to_components()  # type: ignore[no-untyped-call]
    found = parts(components)
    assert len(found) <= MAX_COMPONENTS
    assert sum(len(part.get("content", "")) for part in found) <= MAX_CHARS
    ids = [part["custom_id"] for part in found if "custom_id" in part]
    assert len(ids) == len(set(ids))
    assert all(len(custom_id) <= 100 for custom_id in ids)
    for chosen in (value for part in found for value in part.get("default_values", ())):
        chosen["id"] = str(chosen["id"])  # discord.py sends a number, which Discord takes as well
    _check("MessageCreateRequest", {"components": components, "flags": V2_FLAG})
    return found


def check_modal(modal: ui.Modal) -> None:
    body = modal.to_dict()
    assert len(body["components"]) <= 5
    _check("ModalInteractionCallbackRequestData", body)


def _check(schema: str, body: Any) -> None:
    validator = _validator(schema)
    if validator is not None:
        errors = [f"{error.json_path}: {error.message[:300]}" for error in validator.iter_errors(body)]
        assert errors == []


@cache
def _validator(schema: str) -> Any:
    if not SCHEMA.exists():
        return None
    document = json.loads(SCHEMA.read_text("utf-8"))
    return Draft202012Validator({"$ref": f"#/components/schemas/{schema}", "components": document["components"]})
