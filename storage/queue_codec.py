"""How arq's messages are written: JSON alone, in place of arq's default, which can run code when it is read."""

import json
from typing import Any

MAX_JOB_BYTES = 64 << 10


def encode_job(message: dict[str, Any]) -> bytes:
    """Write a message of arq's. Raises `TypeError` or `ValueError` for what JSON cannot say.

    An exception, as arq keeps for a job that broke, becomes its name alone: what it says may hold a person's words.
    """
    return json.dumps(message, default=_name_exception, allow_nan=False, separators=(",", ":")).encode()


def decode_job(data: bytes) -> dict[str, Any]:
    """Read a message of arq's. Raises `ValueError` for anything but a small JSON object."""
    if len(data) > MAX_JOB_BYTES:
        raise ValueError(f"a queued message of {len(data)} bytes is over the limit of {MAX_JOB_BYTES}")
    message = json.loads(data)
    if not isinstance(message, dict):
        raise ValueError("a queued message that is no object")
    return message


def _name_exception(value: object) -> dict[str, str]:
    if isinstance(value, BaseException):
        return {"exception": type(value).__name__}
    raise TypeError(f"{type(value).__name__} does not go into the queue")
