"""Whose turn it is: the policy of the engine's loop, with neither clock nor network in it.

Pictures go before training, which keeps a floor. Between people the least served goes first (virtual token counter:
Sheng et al. 2024, arXiv 2401.00588); within a person's turn the shortest job does, and waiting makes a job shorter.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass

TRAINING_FLOOR = 0.25
"""The share of the engine's time that trainings get even when pictures never end."""
AGEING = 0.25
"""By what share of the service that a person has had since a job came it counts as shorter than it is."""


@dataclass(eq=False, kw_only=True)
class Turn:
    """One picture that waits for its steps, or is in the middle of them."""

    job: str
    person: str
    key: Hashable
    """Only pictures of one key go through the networks together."""
    step_cost: float
    steps_left: int
    places: int = 1
    """How many places it takes in a batch."""
    begun: bool = False
    served_before: float = 0.0
    """What its person had been served when it came."""


class Turns:
    def __init__(self) -> None:
        self.waiting: list[Turn] = []
        self.served: dict[str, float] = {}
        """The cost of what each person was given; of those who have nothing here, only if it still counts."""

    def join(self, turns: Iterable[Turn]) -> None:
        """Let pictures in. Who returns after idling starts level with the least served: idling earns no credit."""
        for turn in turns:
            present = {other.person for other in self.waiting}
            if turn.person not in present:
                least = min((self.served[person] for person in present), default=0.0)
                self.served = {p: had for p, had in self.served.items() if p in present or had > least}
                self.served.setdefault(turn.person, least)
            turn.served_before = self.served[turn.person]
            self.waiting.append(turn)

    def choose(self, most: int, ready: Callable[[Turn], bool] = lambda _: True) -> list[Turn]:
        """Return whose next step comes, of one key, only such as are `ready`, and with at most so many places.

        The least served person's key is chosen. Its places go round the people, who get a second one when everybody has
        had a first; what has begun keeps its place unless its person has several and another has none. Who needs more
        places than there are comes alone.
        """
        turns = [turn for turn in self.waiting if ready(turn)]
        if not turns:
            return []
        left = Counter[str]()
        for turn in self.waiting:
            left[turn.job] += turn.steps_left * turn.step_cost  # type: ignore[assignment]  # counters add floats as well

        def urgency(turn: Turn) -> tuple[bool, float]:
            waited = self.served[turn.person] - turn.served_before
            return not turn.begun, left[turn.job] - AGEING * waited

        leader = min(turns, key=lambda turn: (self.served[turn.person], urgency(turn)))
        had = Counter[str]()
        places = []
        for turn in sorted((turn for turn in turns if turn.key == leader.key), key=urgency):
            places.append(((had[turn.person], not turn.begun, self.served[turn.person]), turn))
            had[turn.person] += 1
        chosen: list[Turn] = []
        for _, turn in sorted(places, key=lambda place: place[0]):
            most -= turn.places
            if chosen and most < 0:
                break
            chosen.append(turn)
        return chosen

    def queue(self) -> tuple[int, ...]:
        """Return how many pictures each person waits for, the largest number first."""
        return tuple(sorted(Counter(turn.person for turn in self.waiting).values(), reverse=True))

    def serve(self, turns: Sequence[Turn]) -> None:
        """Note that these have had a step."""
        for turn in turns:
            turn.begun = True
            turn.steps_left -= 1
            self.served[turn.person] += turn.step_cost
        self._keep(lambda turn: turn.steps_left > 0)

    def leave(self, job: str) -> None:
        self._keep(lambda turn: turn.job != job)

    def _keep(self, stays: Callable[[Turn], bool]) -> None:
        self.waiting = [turn for turn in self.waiting if stays(turn)]
        if not self.waiting:
            self.served.clear()  # fairness is between those who wait


class Floor:
    """Shares the engine's time between pictures and trainings while both want it."""

    def __init__(self, share: float = TRAINING_FLOOR) -> None:
        self.share = share
        self.owed = 0.0
        """Seconds that trainings should have had by now."""

    def training_is_next(self, *, pictures: bool, trainings: bool) -> bool:
        if not (pictures and trainings):
            self.owed = 0.0  # so the first picture that comes is begun at once
            return trainings
        return self.owed > 0

    def spent(self, seconds: float, *, on_training: bool) -> None:
        self.owed += self.share * seconds - (seconds if on_training else 0.0)
