"""How many pictures or trainings go through the networks together: what fits is found out by trying."""

import logging
from collections.abc import Callable

from gpu_worker.engine.memory import OUT_OF_MEMORY, give_back, ran_out

log = logging.getLogger(__name__)

PATIENCE = 500
"""Steps after which a larger batch is tried again, for what took the memory may have gone."""


class Room:
    def __init__(self, largest: int) -> None:
        self.largest = self.most = largest
        self.thrifty = False
        """Where not even one picture fits, its predictions with and without the prompt are made one after the other."""
        self._worked = 0

    def attempt(self, work: Callable[[], None]) -> bool:
        """Do some work. False says that the memory ran out, and that there is less to do at a time from now on.

        Raises what `memory.ran_out` knows when less is not possible, and whatever else the work raises.
        """
        try:
            work()
        except OUT_OF_MEMORY as problem:
            if self.thrifty or not ran_out(problem):
                raise
        else:
            self._grow()
            return True
        give_back()
        self._shrink()
        return False

    def _shrink(self) -> None:
        log.warning("%d do not fit into the memory together", self.most)
        self._worked = 0
        self.thrifty = self.most == 1
        self.most = max(self.most // 2, 1)

    def _grow(self) -> None:
        self._worked += 1
        if self._worked >= PATIENCE and (self.thrifty or self.most < self.largest):
            self._worked = 0
            self.most = self.most if self.thrifty else min(self.most * 2, self.largest)
            self.thrifty = False
