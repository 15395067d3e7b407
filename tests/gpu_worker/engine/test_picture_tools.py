"""The picture tools through the studio: in company, at their sizes, and true to what must not change."""

from pathlib import Path

import pytest
import torch
from PIL import Image, ImageChops, ImageDraw

from gpu_worker import pipe
from gpu_worker.engine.loop import failure_reason
from gpu_worker.engine.picture_tools import PictureMissing
from gpu_worker.engine.resident import Resident
from storage.contract import SUBTLE, UPSCALED, FailureReason, Source, Subject, Tool
from tests.gpu_worker.engine.test_studio import Visitors

KEY = "pictures/a/1/0.png"


@pytest.fixture
def visitors(model: Resident, tmp_path: Path) -> Visitors:
    return Visitors(model, tmp_path, people=3)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """Something with an edge in it, as large as small bases' pictures are shown."""
    path = tmp_path / "given.png"
    image = Image.radial_gradient("L").resize((384, 384)).convert("RGB")
    ImageDraw.Draw(image).rectangle((40, 60, 200, 300), fill=(200, 40, 90))
    image.save(path)
    return path


@pytest.fixture
def mask(tmp_path: Path) -> Path:
    path = tmp_path / "mask.png"
    white = Image.new("L", (192, 192))
    ImageDraw.Draw(white).rectangle((96, 48, 160, 140), fill=255)
    white.save(path)
    return path


def rework(
    visitors: Visitors, picture: Path, tool: Tool, mask: Path | None = None, strength: float = 1.0, **asked: int
) -> pipe.Imagine:
    source = Source(tool=tool, key=KEY, mask=None if mask is None else KEY, strength=strength)
    order = visitors.order(0, source=source, **asked)
    return order.model_copy(update={"source": picture, "mask": mask})


def pair(visitors: Visitors) -> pipe.Imagine:
    alone = [visitors.order(number, prompt=f"sks dog {number} on the moon") for number in (1, 2)]
    subjects = tuple(
        Subject(adapter=one.request.adapter, prompt=one.request.prompt)
        for one in alone
        if one.request.adapter is not None
    )
    order = visitors.order(None, subjects=subjects, prompt="a dog and a dog on the moon")
    return order.model_copy(update={"subjects": tuple(one.adapter for one in alone)})


def result(visitors: Visitors, order: pipe.Imagine) -> Image.Image:
    assert not visitors.failed
    (done,) = [said for said in visitors.said if isinstance(said, pipe.ImaginingDone) and said.job == order.request.job]
    (file,) = done.pictures
    with Image.open(file.path) as opened:
        assert opened.size == (file.width, file.height)
        return opened.convert("RGB")


def test_every_tool_works_in_company_and_as_it_does_alone(visitors: Visitors, picture: Path, mask: Path) -> None:
    orders = {
        "plain": (visitors.order(1, steps=3), (384, 384), 3),
        "vary": (rework(visitors, picture, Tool.VARY, strength=0.7, steps=4), (384, 384), 2),
        "upscale": (rework(visitors, picture, Tool.UPSCALE, strength=UPSCALED, steps=7), (768, 768), 2),
        "inpaint": (rework(visitors, picture, Tool.INPAINT, mask, steps=3), (384, 384), 3),
        "outpaint": (rework(visitors, picture, Tool.OUTPAINT, steps=3, width=672, height=384), (672, 384), 3),
        "pair": (pair(visitors), (672, 384), 3),
    }
    visitors.take(*(order for order, _, _ in orders.values()))
    batches = [set(visitors.step()) for _ in range(4)]
    assert any(len(batch) > 2 for batch in batches)
    together = visitors.finish()
    began = {said.job: said.steps for said in visitors.said if isinstance(said, pipe.Began)}
    for order, size, steps in orders.values():
        assert result(visitors, order).size == size
        assert began[order.request.job] == steps
    visitors.said.clear()
    for order, _, _ in orders.values():
        visitors.take(order)
        alone = visitors.finish()[order.request.job]
        assert (alone - together[order.request.job]).abs().max() <= 1


def test_a_subtle_variation_is_nearer_to_the_picture_than_a_strong_one(visitors: Visitors, picture: Path) -> None:
    """The random tiny autoencoder gives no picture back, so nearness is to what it makes of the picture."""
    orders = [rework(visitors, picture, Tool.VARY, strength=strength, steps=20) for strength in (0.05, SUBTLE, 1.0)]
    visitors.take(*orders)
    drawn = visitors.finish()
    same, subtle, strong = (drawn[order.request.job].float() for order in orders)
    assert (subtle - same).abs().mean() < (strong - same).abs().mean()


def test_what_a_mask_leaves_alone_stays_as_it_was(visitors: Visitors, picture: Path, mask: Path) -> None:
    order = rework(visitors, picture, Tool.INPAINT, mask)
    visitors.take(order)
    visitors.finish()
    with Image.open(picture) as given:
        changed = ImageChops.difference(result(visitors, order), given.convert("RGB")).convert("L").getbbox()
    assert changed is not None
    reach = 3 * 384 // 64  # of the feather
    assert changed[0] >= 192 - 3 * reach
    assert changed[1] >= 96 - 3 * reach
    assert changed[2] <= 322 + 3 * reach
    assert changed[3] <= 282 + 3 * reach
    assert changed[2] - changed[0] > 100


def test_an_outpainted_picture_stands_in_the_middle_as_it_was(visitors: Visitors, picture: Path) -> None:
    order = rework(visitors, picture, Tool.OUTPAINT, width=672, height=384)
    visitors.take(order)
    visitors.finish()
    drawn = result(visitors, order)
    edge = 384 // 16 + 3 * 6  # is drawn anew with the rest, and the feather beyond
    inner = (edge, 0, 384 - edge, 384)
    with Image.open(picture) as given:
        before = given.convert("RGB").crop(inner)
    after = drawn.crop((144 + inner[0], inner[1], 144 + inner[2], inner[3]))
    assert ImageChops.difference(after, before).getbbox() is None


def test_a_canvas_of_any_shape_is_drawn_at_a_size_that_fits(visitors: Visitors, picture: Path) -> None:
    order = rework(visitors, picture, Tool.OUTPAINT, width=64, height=2048)
    visitors.take(order)
    (job,) = visitors.studio.jobs.values()
    width, height = job.sheet.drawn
    assert width * height <= 4 * 32**2
    assert height > 8 * width


@pytest.mark.parametrize("content", [None, b"no picture"])
def test_a_picture_that_cannot_be_read_fails_its_job_alone(
    visitors: Visitors, tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "broken"
    if content is not None:
        path.write_bytes(content)
    order, other = rework(visitors, path, Tool.VARY, strength=0.5), visitors.order(1)
    visitors.take(order, other)
    assert visitors.finish().keys() == {other.request.job}
    problem = visitors.failed[order.request.job]
    assert isinstance(problem, PictureMissing)
    assert failure_reason(problem) is FailureReason.PICTURE_MISSING


def test_two_wait_until_there_are_slots_for_both(model: Resident, tmp_path: Path) -> None:
    visitors = Visitors(Resident(model.base, slots=2), tmp_path, people=3)
    one, both, other = visitors.order(0), pair(visitors), visitors.order(0, steps=5)
    visitors.take(one, both, other)
    drawn = visitors.finish()
    assert drawn.keys() == {one.request.job, both.request.job, other.request.job}
    assert not torch.equal(drawn[one.request.job], drawn[both.request.job])


def test_a_pair_takes_two_places(visitors: Visitors) -> None:
    orders = [pair(visitors) for _ in range(3)] + [visitors.order(0) for _ in range(4)]
    visitors.take(*orders)
    first = visitors.step()  # of eight places: the shorter ones first
    assert first == [*(order.request.job for order in orders[3:]), *(order.request.job for order in orders[:2])]
    assert len(visitors.finish()) == 7
