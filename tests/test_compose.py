"""The images install what `make setup` installs, and the Compose file is valid and safe by default."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]
SERVICES = ("redis", "bot", "gpu_worker")
IMAGES = {"bot": "bot.Dockerfile", "worker": "worker.Dockerfile"}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = YAML(typ="safe").load(ROOT / "docker-compose.yml")
    return loaded


def test_it_follows_the_compose_specification() -> None:
    command = [
        sys.executable,
        "-m",
        "check_jsonschema",
        "--builtin-schema",
        "vendor.compose-spec",
        "docker-compose.yml",
    ]
    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("name", SERVICES)
def test_services_are_hardened_and_watched(compose: dict[str, Any], name: str) -> None:
    service = compose["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["healthcheck"]["test"]
    assert "privileged" not in service


def test_redis_keeps_jobs_and_forgets_none(compose: dict[str, Any]) -> None:
    redis = compose["services"]["redis"]
    options = dict(zip(redis["command"][1::2], redis["command"][2::2], strict=True))
    assert options["--appendonly"] == "yes"
    assert options["--maxmemory-policy"] == "noeviction"
    assert redis["volumes"] == ["redis:/data"]
    assert redis["user"] == "valkey"
    assert "ports" not in redis


def test_only_the_worker_has_the_gpu_and_only_the_bot_the_token(compose: dict[str, Any]) -> None:
    (gpu,) = compose["services"]["gpu_worker"]["deploy"]["resources"]["reservations"]["devices"]
    assert gpu == {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}
    assert "deploy" not in compose["services"]["bot"]
    assert compose["services"]["gpu_worker"]["environment"]["DISCORD_TOKEN"] == ""


def test_every_volume_is_named(compose: dict[str, Any]) -> None:
    mounted = {volume.split(":")[0] for name in SERVICES for volume in compose["services"][name]["volumes"]}
    assert mounted == set(compose["volumes"])


@pytest.mark.parametrize("extra", IMAGES)
def test_images_install_as_the_makefile_does(extra: str) -> None:
    dockerfile = (ROOT / "docker" / IMAGES[extra]).read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    expected = install_line(makefile).replace(" --editable", "").replace("'.[dev]'", f"'.[{extra}]'")
    assert install_line(dockerfile) == expected


def install_line(script: str) -> str:
    (line,) = re.findall(r"-m (pip install .*)", script)
    return str(line)


@pytest.mark.parametrize("extra", IMAGES)
def test_images_run_as_nobody_in_particular(extra: str) -> None:
    dockerfile = (ROOT / "docker" / IMAGES[extra]).read_text(encoding="utf-8")
    assert re.findall(r"^USER (\d+)$", dockerfile, re.MULTILINE) == ["10001"]
    assert f'ENTRYPOINT ["dreambot", "{extra}"]' in dockerfile


@pytest.mark.parametrize("extra", IMAGES)
def test_images_copy_only_what_the_builder_is_sent(extra: str) -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8")
    sent = set(re.findall(r"^!(.+)$", ignored, re.MULTILINE))
    copied = set(copied_into((ROOT / "docker" / IMAGES[extra]).read_text(encoding="utf-8")))
    assert copied <= sent
    assert all((ROOT / name).exists() for name in copied)


def copied_into(dockerfile: str) -> Iterator[str]:
    for line in re.findall(r"^COPY (?!--from)(.+)$", dockerfile, re.MULTILINE):
        yield from line.split()[:-1]
