"""The files around the code keep their promises to each other."""

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
TEXT_SUFFIXES = {"", ".css", ".html", ".ini", ".js", ".json", ".mako", ".md", ".py", ".toml", ".txt", ".yml", ".yaml"}
FOREIGN = re.compile(r"/work/|/root/|/home/|/opt/|/tmp/[a-z]|(?<!no-)\bsandbox", re.IGNORECASE)
"""Paths and words that tell of the machine on which a file was written."""
COMPANIONS = {"pydantic-core": "pydantic", "tokenizers": "transformers", "yarl": "aiohttp"}
"""What is part of another package's interface and comes with it."""


def normal(name: str) -> str:
    """Spell a package's name as the package index compares it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def dependencies() -> set[str]:
    """Every package that pyproject.toml names."""
    groups = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    return set().union(*map(named, groups)) - {PROJECT["name"]}


def targets() -> set[str]:
    """The Makefile's targets that a person calls."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE))


def tracked() -> list[Path]:
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout: which files belong to the project is not known")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def test_at_most_ten_targets() -> None:
    assert {"setup", "demo", "demo-once", "test", "lint", "bench"} <= targets()
    assert len(targets()) <= 10


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", ".ci/run", "docs/running.md"])
def test_documents_name_only_targets_that_exist(document: str) -> None:
    named = set(re.findall(r"\bmake ([a-z][a-z-]*)", code_of(ROOT / document)))
    assert named
    assert named <= targets()


def code_of(document: Path) -> str:
    """What a document sets as code; all of it where it is a script."""
    text = document.read_text(encoding="utf-8")
    return "\n".join(re.findall(r"```.*?```|`[^`\n]+`", text, re.DOTALL)) if document.suffix == ".md" else text


def test_every_dependency_is_pinned() -> None:
    constraints = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    pins = {normal(name) for name in re.findall(r"^([\w.-]+)==\S+$", constraints, re.MULTILINE)}
    assert dependencies() - pins == set()


def test_every_dependency_is_explained() -> None:
    document = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    explained = {normal(name) for name in re.findall(r"^\| \[?`?([\w.-]+)`?", document, re.MULTILINE)}
    assert dependencies() - explained == set()
    assert explained - dependencies() - {"package"} == set(), "explained, but no longer used"


def named(requirements: list[str]) -> set[str]:
    return {normal(re.split(r"[\[<>=!~; ]", requirement)[0]) for requirement in requirements}


def imported(folder: Path) -> Iterator[str]:
    """Name the packages, as they are installed, that the folder's files import."""
    distributions = packages_distributions()
    for file in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            modules = [name.name for name in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                modules = [node.module]
            for module in modules:
                yield from map(normal, distributions.get(module.partition(".")[0], []))


@pytest.mark.parametrize(
    ("folder", "extras"),
    [("storage", ["bot"]), ("bot", ["bot", "demo"]), ("gpu_worker", ["worker"]), ("tools", ["bot", "worker", "dev"])],
)
def test_each_part_installs_what_it_imports(folder: str, extras: list[str]) -> None:
    installed = named(PROJECT["dependencies"]).union(*(named(PROJECT["optional-dependencies"][e]) for e in extras))
    needed = {COMPANIONS.get(package, package) for package in imported(ROOT / folder)}
    assert needed - installed - {PROJECT["name"]} == set()


def test_every_part_of_the_worker_is_kept_from_torch() -> None:
    contracts = {contract["name"]: contract for contract in PYPROJECT["tool"]["importlinter"]["contracts"]}
    modules = {f"gpu_worker.{file.stem}" for file in (ROOT / "gpu_worker").glob("*.py") if file.stem != "__init__"}
    assert set(contracts["Torch lives in the engine alone"]["source_modules"]) == modules


def test_links_between_documents_lead_somewhere() -> None:
    broken = [
        f"{document.relative_to(ROOT)}: {link}"
        for document in tracked()
        if document.suffix == ".md"
        for link in re.findall(r"\]\((?!https?:|mailto:|#)([^)#\s]+)", document.read_text(encoding="utf-8"))
        if not (document.parent / link).exists()
    ]
    assert broken == []


def test_the_project_speaks_of_itself_only() -> None:
    foreign = [
        f"{file.relative_to(ROOT)}: {match.group()}"
        for file in tracked()
        if file.suffix in TEXT_SUFFIXES and file != Path(__file__)
        for match in FOREIGN.finditer(file.read_text(encoding="utf-8"))
    ]
    assert foreign == []
