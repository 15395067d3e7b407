"""The parent's side of the pipe, against a real child process that follows a script."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from tempfile import mkdtemp
from uuid import uuid4

import psutil
import pytest

from gpu_worker import engine_process
from gpu_worker.engine_process import EngineBroken, EngineProcess, EngineStopped
from gpu_worker.pipe import Imagine, ImaginingDone, JobCancelled, JobFailed, JobReport, Train, TrainingDone
from storage.contract import FailureReason, ImagineRequest, TrainRequest
from tests.gpu_worker.house import SCRIPTED_ENGINE, plan_training


@pytest.fixture
async def engine() -> AsyncIterator[EngineProcess]:
    process = EngineProcess(SCRIPTED_ENGINE)
    async with asyncio.TaskGroup() as group:
        group.create_task(process.run())
        yield process
        await process.stop(5)


def order(folder: Path, request: TrainRequest | None = None, *, steps: int = 10, class_noun: str = "dog") -> Train:
    request = request or plan_training(class_noun, steps=steps)
    photos = tuple(folder / f"{position}.png" for position in range(3))
    for photo in photos:
        photo.write_bytes(b"photo")
    return Train(request=request, photos=photos, folder=folder)


async def collect(engine: EngineProcess, train: Train | Imagine) -> list[JobReport]:
    return [report async for report in engine.perform(train)]


async def test_reports_arrive_in_order_and_end_with_the_last(engine: EngineProcess, tmp_path: Path) -> None:
    reports = await collect(engine, order(tmp_path))
    assert [report.op for report in reports[:3]] == ["began", "progress", "progress"]
    assert isinstance(reports[-1], TrainingDone)


async def test_a_job_cancelled_before_the_engine_is_ready_never_reaches_it(
    engine: EngineProcess, tmp_path: Path
) -> None:
    assert not engine.ready.is_set()
    train = order(tmp_path)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(collect(engine, train))
        await asyncio.sleep(0)
        engine.cancel(train.request.job)
    assert task.result() == [JobCancelled(job=train.request.job)]


async def test_a_new_attempt_hears_nothing_of_one_that_was_given_up(engine: EngineProcess, tmp_path: Path) -> None:
    first = order(tmp_path, steps=1000)
    async with aclosing(engine.perform(first)) as reports:
        async for report in reports:
            if report.op == "progress":
                break
    again = first.model_copy(
        update={"request": first.request.model_copy(update={"attempt": 2, "options": plan_training(steps=10).options})}
    )
    heard = await collect(engine, again)
    assert heard[0].op == "began"
    assert isinstance(heard[-1], TrainingDone)
    assert heard[-1].steps == 10


async def test_a_job_that_was_not_sent_waits_for_the_next_engine(engine: EngineProcess, tmp_path: Path) -> None:
    crashing, waiting = order(tmp_path, class_noun="crash"), order(tmp_path)
    failed = await collect(engine, crashing)
    assert failed[-1] == JobFailed(
        job=crashing.request.job, reason=FailureReason.ENGINE_DIED, detail="it exited with code 9"
    )
    assert not engine.ready.is_set()
    reports = await collect(engine, waiting)
    assert isinstance(reports[-1], TrainingDone)


@pytest.mark.parametrize(
    ("blow", "said"), [(signal.SIGKILL, "it was ended by SIGKILL"), (signal.SIGSTOP, "it said nothing for 2 s")]
)
async def test_a_dead_or_hanging_engine_is_replaced_and_the_reason_told(
    tmp_path: Path, blow: signal.Signals, said: str
) -> None:
    engine = EngineProcess(SCRIPTED_ENGINE, step_seconds=2)
    train = order(tmp_path, steps=1000)
    async with asyncio.TaskGroup() as group:
        group.create_task(engine.run())
        reports = []
        async for report in engine.perform(train):
            reports.append(report)
            if report.op == "progress" and len(reports) == 2:
                [child] = [one for one in psutil.Process().children() if SCRIPTED_ENGINE[-1] in one.cmdline()]
                child.send_signal(blow)
        assert reports[-1] == JobFailed(job=train.request.job, reason=FailureReason.ENGINE_DIED, detail=said)
        assert isinstance((await collect(engine, order(tmp_path)))[-1], TrainingDone)
        await engine.stop(5)


async def test_an_engine_that_only_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_process, "WATCH_SECONDS", 0.1)
    engine = EngineProcess(SCRIPTED_ENGINE, step_seconds=0.5)

    async def expect_the_end() -> None:
        with pytest.raises(EngineBroken, match="hung 3 times"):
            await engine.run()

    async with asyncio.TaskGroup() as group:
        group.create_task(expect_the_end())
        for _ in range(3):
            assert isinstance((await collect(engine, order(tmp_path, class_noun="hang")))[-1], JobFailed)


async def test_a_bystander_of_a_crash_goes_on_from_its_newest_checkpoint(engine: EngineProcess, tmp_path: Path) -> None:
    folders = [tmp_path / "crashing", tmp_path / "bystander"]
    for folder in folders:
        folder.mkdir()
    async with asyncio.TaskGroup() as group:
        bystander = group.create_task(collect(engine, order(folders[1])))
        crashing = group.create_task(collect(engine, order(folders[0], class_noun="crash")))
    assert isinstance(crashing.result()[-1], JobFailed)
    heard = bystander.result()
    [again] = [place for place, report in enumerate(heard) if report.op == "began" and place]
    first = heard[again + 1]
    assert first.op == "progress"
    assert first.step == 6
    assert isinstance(heard[-1], TrainingDone)


async def test_of_a_batch_that_kills_the_engine_only_the_guilty_picture_fails(
    engine: EngineProcess, tmp_path: Path
) -> None:
    """All three are suspected, so each is drawn alone; that one of them dies again then shows which it was."""
    prompts = ["a dog", "crash", "a cat"]
    requests = [
        ImagineRequest(job=uuid4().hex, attempt=1, base="demo", prompt=prompt, seed=1, steps=3) for prompt in prompts
    ]
    orders = [Imagine(request=request, folder=Path(mkdtemp(dir=tmp_path))) for request in requests]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(collect(engine, order)) for order in orders]
    ends = [task.result()[-1] for task in tasks]
    assert [type(end) for end in ends] == [ImaginingDone, JobFailed, ImaginingDone]
    began = [sum(report.op == "began" for report in task.result()) for task in tasks]
    assert began[1] == 2
    assert max(began) <= 3


async def test_of_trainings_in_company_only_the_guilty_one_fails(engine: EngineProcess, tmp_path: Path) -> None:
    orders = [order(Path(mkdtemp(dir=tmp_path)), class_noun=how, steps=12) for how in ("company", "company crash")]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(collect(engine, each)) for each in orders]
    innocent, guilty = (task.result() for task in tasks)
    assert isinstance(innocent[-1], TrainingDone)
    assert isinstance(guilty[-1], JobFailed)
    assert sum(report.op == "began" for report in guilty) == 2


async def test_a_bystander_that_was_cancelled_in_a_hanging_engine_does_not_begin_again(tmp_path: Path) -> None:
    engine = EngineProcess(SCRIPTED_ENGINE, step_seconds=2)
    folders = [tmp_path / "hanging", tmp_path / "bystander"]
    for folder in folders:
        folder.mkdir()
    bystander = order(folders[1], steps=1000)
    async with asyncio.TaskGroup() as group:
        group.create_task(engine.run())
        unwanted = group.create_task(collect(engine, bystander))
        async for report in engine.perform(order(folders[0], class_noun="hang")):
            if report.op == "progress" and report.step == 7:  # its last word
                engine.cancel(bystander.request.job)
        assert isinstance(report, JobFailed)
        assert (await unwanted)[-1] == JobCancelled(job=bystander.request.job)
        await engine.stop(5)


async def test_after_a_stop_jobs_are_handed_back(engine: EngineProcess, tmp_path: Path) -> None:
    train = order(tmp_path, steps=1000)
    heard: list[JobReport] = []

    async def listen() -> None:
        async for report in engine.perform(train):
            heard.insert(0, report)

    async def be_stopped() -> None:
        with pytest.raises(EngineStopped):
            await listen()

    async with asyncio.TaskGroup() as group:
        group.create_task(be_stopped())
        await engine.ready.wait()
        await asyncio.sleep(0.2)
        await engine.stop(5)
    assert heard[0].op == "checkpointed"
    with pytest.raises(EngineStopped):
        await collect(engine, order(tmp_path))
