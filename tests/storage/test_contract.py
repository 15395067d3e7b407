"""What stands on the wire, as far as others have to be able to rely on it."""

from typing import Any

import pytest
from pydantic import ValidationError

from storage.contract import REQUEST, Adapter, ImagineRequest, Picture, Quality, Source, Subject, Tool

JOB, KEY = "0" * 32, "pictures/a/1/0.png"
FIRST_FORM = {
    *("v", "kind", "job", "attempt", "person", "base", "prompt", "negative_prompt"),
    *("adapter", "count", "seed", "steps", "guidance_scale", "width", "height"),
}
"""The fields of a request to imagine that every worker of version 1 knows; it refuses any other."""


def adapter(number: int = 1) -> Adapter:
    return Adapter(model=f"{number:032x}", key=f"models/{number}", digest="0" * 64)


def request(**asked: Any) -> ImagineRequest:
    return ImagineRequest(job=JOB, attempt=1, base="demo", prompt="a dog", seed=1, **asked)


def test_older_workers_understand_what_asks_for_nothing_newer() -> None:
    assert set(request(adapter=adapter()).model_dump(mode="json")) == FIRST_FORM


def test_older_bots_understand_pictures_without_a_score() -> None:
    drawn = Picture(key=KEY, seed=1, width=64, height=64)
    assert set(drawn.model_dump(mode="json")) == {"key", "seed", "width", "height"}
    scored = Picture(key=KEY, seed=1, width=64, height=64, score=0.0)
    assert Picture.model_validate_json(scored.model_dump_json()) == scored


def test_requests_come_over_whole() -> None:
    pair = tuple(Subject(adapter=adapter(number), prompt="a dog") for number in (1, 2))
    for asked in (
        request(),
        request(subjects=pair, source=Source(tool=Tool.VARY, key=KEY, strength=0.35)),
        request(adapter=adapter(), scored=True, quality=Quality.FAST),
        request(adapter=adapter(), source=Source(tool=Tool.INPAINT, key=KEY, mask=KEY)),
    ):
        assert REQUEST.validate_json(asked.model_dump_json()) == asked


@pytest.mark.parametrize(
    "asked",
    [
        {"adapter": adapter(), "subjects": (Subject(adapter=adapter(), prompt="a dog"),) * 2},
        {"subjects": (Subject(adapter=adapter(), prompt="a dog"),)},
        {"subjects": (Subject(adapter=adapter(), prompt="a dog"),) * 3},
        {"source": {"tool": "inpaint", "key": KEY}},
        {"source": {"tool": "vary", "key": KEY, "mask": KEY}},
        {"source": {"tool": "vary", "key": KEY, "strength": 0}},
        {"source": {"tool": "outpaint", "key": KEY}},
        {"source": {"tool": "outpaint", "key": KEY}, "width": 128},
    ],
)
def test_requests_that_make_no_sense_are_refused(asked: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        request(**asked)
