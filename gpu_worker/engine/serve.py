"""Serving over pipes: frames in on stdin, frames out on stdout, and nothing else on either.

The engine dies with its parent: the kernel is asked to kill it then, and the end of stdin ends it anywhere.
"""

import argparse
import ctypes
import logging
import os
import queue
import signal
import struct
import sys
import threading
from typing import BinaryIO

from gpu_worker import pipe
from gpu_worker.engine.loading import load_resident
from gpu_worker.engine.loop import EngineLoop
from gpu_worker.engine.plan import choose_plan

log = logging.getLogger(__name__)

PR_SET_PDEATHSIG = 1


def serve(arguments: argparse.Namespace) -> None:
    """Load the base, say that it is ready, and work until told to stop or the parent is gone."""
    _die_with_parent()
    for number in (signal.SIGINT, signal.SIGTERM):  # a service manager's reach us as well; the parent decides
        signal.signal(number, signal.SIG_IGN)
    reports = _reserve_stdout()

    def send(frame: pipe.Frame) -> None:
        reports.write(pipe.encode(frame))

    orders: queue.SimpleQueue[pipe.Order | None] = queue.SimpleQueue()
    model = load_resident(arguments, together=arguments.training_slots)
    log.info("plan: %s", choose_plan(model, arguments))
    stdin = os.fdopen(os.dup(0), "rb", buffering=0)  # raw, for a buffer would be locked by the reading thread at exit
    threading.Thread(target=read_orders, args=(stdin, orders), name="orders", daemon=True).start()
    send(pipe.Ready(device=str(model.base.device), base_digest=model.base.digest, resolution=model.base.resolution))
    log.info("ready on %s with %s", model.base.device, arguments.base)
    EngineLoop(model, arguments.cache, orders, send).run()


def read_orders(stream: BinaryIO, orders: "queue.SimpleQueue[pipe.Order | None]") -> None:
    """Put each order into the queue, and None at the end of the stream or after a frame that is no order."""
    try:
        while header := read_exactly(stream, pipe.HEADER.size):
            (length,) = pipe.HEADER.unpack(header)
            if length > pipe.MAX_FRAME_BYTES:
                raise ValueError(f"a frame of {length} bytes is over the limit")
            orders.put(pipe.ORDER.validate_json(read_exactly(stream, length)))
    except (ValueError, struct.error):
        log.exception("the parent sent something that is no order")
    finally:
        orders.put(None)


def read_exactly(stream: BinaryIO, length: int) -> bytes:
    """Read `length` bytes from a raw stream, or what is left of them before its end."""
    read = b""
    while len(read) < length and (part := stream.read(length - len(read))):
        read += part
    return read


def _reserve_stdout() -> BinaryIO:
    """Keep the real stdout for frames and send whatever anything prints to stderr."""
    frames = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    return frames


def _die_with_parent() -> None:
    parent = os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died in between
        sys.exit("the parent is gone")
