"""Runs every benchmark in its quick form and writes what they measured to `docs/benchmarks.md`.

A benchmark is a module of this package, run by itself as `python -m benchmarks.NAME`, that prints one JSON object as
its last line; a figure that it could not measure is null there, with a reason beside it.
"""

import ast
import json
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

FOLDER = Path(__file__).parent
REPORT = FOLDER.parent / "docs" / "benchmarks.md"

Value = str | int | float | bool | None | list["Value"] | dict[str, "Value"]


def names() -> list[str]:
    """Return the benchmarks' names; what `_` and `peer_` begin is part of others."""
    found = [module.name for module in pkgutil.iter_modules([str(FOLDER)])]
    return sorted(name for name in found if not name.startswith(("_", "peer_")))


def measure(name: str) -> dict[str, Value]:
    """Run one benchmark in a process of its own; raises `CalledProcessError` when it fails."""
    command = [sys.executable, "-m", f"benchmarks.{name}"]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=FOLDER.parent).stdout  # noqa: S603
    result: dict[str, Value] = json.loads(output.splitlines()[-1])
    return result


def flat(value: Value, path: str = "") -> Iterator[tuple[str, Value]]:
    """Walk nested results as ("subject_score.trained", 0.81) pairs."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from flat(inner, f"{path}.{key}" if path else key)
    else:
        yield path, value


def section(name: str, result: dict[str, Value]) -> str:
    source = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
    purpose = (ast.get_docstring(ast.parse(source)) or "").split("\n\n", 1)[0]
    rows = "\n".join(f"| {key} | {shown(value)} |" for key, value in flat(result))
    return f"## {name}\n\n{purpose}\n\n| | |\n|---|---|\n{rows}\n"


def shown(value: Value) -> str:
    return f"{value:.4g}" if isinstance(value, float) else json.dumps(value) if not isinstance(value, str) else value


def main() -> None:
    now = datetime.now(UTC)
    sections = [f"# Benchmarks\n\nWritten by `make bench` on {now:%Y-%m-%d}; each table tells its device and sizes.\n"]
    for name in names():
        print(f"== {name}", flush=True)
        sections.append(section(name, measure(name)))
    REPORT.write_text("\n".join(sections), encoding="utf-8")
    print(f"wrote {REPORT}")


if __name__ == "__main__":
    main()
