"""The loop's policy under people who never stop asking: no torch, no clock, many cases."""

from collections import Counter
from itertools import combinations, count
from typing import TypedDict

from hypothesis import given
from hypothesis import strategies as st

from gpu_worker.engine.turns import AGEING, Floor, Turn, Turns

numbers = count()


def pictures(person: str, *, steps: int = 4, cost: float = 1.0, key: str = "", count: int = 1) -> list[Turn]:
    job = f"{person}-{next(numbers)}"
    return [Turn(job=job, person=person, key=key, step_cost=cost, steps_left=steps) for _ in range(count)]


class Greedy:
    """Somebody with endless pictures of one sort, of whom `ahead` are always waiting."""

    def __init__(self, person: str, *, steps: int, cost: float, key: str, ahead: int) -> None:
        self.person, self.steps, self.cost, self.key, self.ahead = person, steps, cost, key, ahead

    def refill(self, turns: Turns) -> None:
        missing = self.ahead - sum(turn.person == self.person for turn in turns.waiting)
        for _ in range(missing):
            turns.join(pictures(self.person, steps=self.steps, cost=self.cost, key=self.key))


class Sort(TypedDict):
    steps: int
    key: str
    ahead: int


greedy = st.builds(Sort, steps=st.integers(1, 6), key=st.sampled_from("abc"), ahead=st.integers(1, 8))
COSTS = {"a": 0.5, "b": 1.0, "c": 2.0}
"""Pictures of one key have one size, and so cost the same."""


def people(sorts: list[Sort]) -> list[Greedy]:
    return [Greedy(str(number), cost=COSTS[sort["key"]], **sort) for number, sort in enumerate(sorts)]


def piece(turns: Turns, most: int, crowd: list[Greedy]) -> list[Turn]:
    for person in crowd:
        person.refill(turns)
    batch = turns.choose(most)
    assert 0 < len(batch) <= most
    assert len({turn.key for turn in batch}) == 1
    turns.serve(batch)
    return batch


@given(st.lists(st.integers(1, 6), min_size=2, max_size=5), st.integers(1, 4))
def test_people_who_always_wait_are_served_alike(steps: list[int], most: int) -> None:
    """However long their pictures are: the difference stays below what a full batch of the longest costs, twice."""
    turns, served = Turns(), Counter[str]()
    crowd = people([Sort(steps=each, key="b", ahead=most + 1) for each in steps])
    differences: dict[tuple[str, str], list[int]] = {}
    for _ in range(150):
        served.update(turn.person for turn in piece(turns, most, crowd))
        for one, other in combinations("01234"[: len(crowd)], 2):
            differences.setdefault((one, other), [0]).append(served[one] - served[other])
    assert all(max(each) - min(each) <= 2 * most * max(steps) for each in differences.values())


@given(st.lists(greedy, min_size=2, max_size=5), st.integers(1, 4))
def test_nobody_gets_less_than_a_fair_share(sorts: list[Sort], most: int) -> None:
    """Where pictures of several keys are wanted, some get more in places that nobody else could take; none get less."""
    turns, crowd, served = Turns(), people(sorts), Counter[str]()
    for _ in range(200):
        for turn in piece(turns, most, crowd):
            served[turn.person] += turn.step_cost  # type: ignore[assignment]
    least = 200 * min(person.cost for person in crowd) / len(crowd)
    slack = 2 * most * max(person.steps * person.cost for person in crowd)
    assert all(served[person.person] >= least - slack for person in crowd if person.ahead > most)


@given(st.lists(greedy, max_size=6), st.integers(1, 4), st.integers(0, 60), st.integers(1, 6), st.sampled_from("abc"))
def test_a_newcomer_never_waits_for_more_than_one_batch(
    sorts: list[Sort], most: int, at: int, steps: int, key: str
) -> None:
    """However long the others' queues are, the first step comes after the pictures in work at most, of every key."""
    turns, crowd = Turns(), people(sorts)
    for _ in range(at if crowd else 0):
        piece(turns, most, crowd)
    (mine,) = pictures("me", steps=steps, key=key)
    turns.join([mine])
    keys = len({key, *(person.key for person in crowd)})
    kept = {turn.person for turn in turns.waiting if turn.begun and turn.key == key}
    longest = sum(max((p.steps for p in crowd if p.key == k), default=0) for k in COSTS)
    # A dear picture's steps count for several cheap ones, which others may have meanwhile.
    bound = 1 if most > len(crowd) and keys == 1 else 1 + 4 * longest * (len(crowd) + 1)
    assert len(kept) <= most
    assert any(mine in piece(turns, most, crowd) for _ in range(bound))


@given(st.lists(st.integers(1, 3), min_size=1, max_size=3), st.integers(1, 4), st.integers(1, 30))
def test_what_has_begun_is_not_left_lying(queues: list[int], most: int, steps: int) -> None:
    """A person's first picture goes on at every piece of its key until it is done, whoever comes."""
    turns = Turns()
    (mine,) = pictures("me", steps=steps)
    turns.join([mine])
    turns.serve(turns.choose(most))
    for number in range(steps - 1):
        for person, length in enumerate(queues):
            turns.join(pictures(f"{person}-{number}", count=length))
        batch = turns.choose(most)
        assert mine in batch
        turns.serve(batch)
    assert mine not in turns.waiting


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4), st.integers(1, 5)), max_size=20), st.integers(1, 5))
def test_everything_ends_and_costs_what_it_costs(asked: list[tuple[int, int, int]], most: int) -> None:
    turns, served = Turns(), Counter[str]()
    for person, number, steps in asked:
        turns.join(pictures(str(person), count=number, steps=steps))
    pieces = 0
    while turns.waiting:
        batch = turns.choose(most)
        served.update(turn.person for turn in batch)
        turns.serve(batch)
        pieces += 1
    assert served == sum((Counter({str(p): n * s}) for p, n, s in asked), Counter[str]())
    assert pieces <= sum(n * s for _, n, s in asked)
    assert not turns.served


@given(st.integers(1, 40), st.integers(1, 3))
def test_a_long_job_is_not_passed_over_for_ever(steps: int, most: int) -> None:
    """Its person keeps asking for short ones; it begins when they have had so much that it counts as the shortest."""
    turns = Turns()
    (long,) = pictures("me", steps=steps + 2)
    turns.join([*pictures("me", steps=1, count=most), long])
    served = 0
    while not long.begun:
        turns.join([turn for _ in range(most) for turn in pictures("me", steps=1)])
        batch = turns.choose(most)
        turns.serve(batch)
        served += len(batch)
    assert served <= (steps + 2) / AGEING + 3 * most


def test_within_a_persons_turn_the_shortest_job_goes_first() -> None:
    turns = Turns()
    long, short = pictures("me", steps=9), pictures("me", steps=3, count=2)
    turns.join([*long, *short])
    assert turns.choose(2) == short
    turns.leave(short[0].job)
    turns.serve(turns.choose(1))
    turns.join(pictures("me", steps=1))
    assert turns.choose(1) == long  # which has begun


def test_a_place_is_given_back_to_somebody_who_has_none() -> None:
    turns = Turns()
    mine, yours = pictures("me", count=4), pictures("you", count=2)
    turns.join(mine)
    turns.serve(turns.choose(4))
    turns.join(yours)
    assert turns.choose(4) == [mine[0], yours[0], mine[1], yours[1]]
    assert turns.choose(3) == [mine[0], yours[0], mine[1]]  # what has begun first


def test_idling_earns_no_credit() -> None:
    turns = Turns()
    turns.join(pictures("busy", steps=100, count=2))
    for _ in range(50):
        turns.serve(turns.choose(1))
    turns.join(pictures("back", steps=100, count=2))
    served = Counter[str]()
    for _ in range(300):
        batch = turns.choose(1)
        served.update(turn.person for turn in batch)
        turns.serve(batch)
        if not {turn.person for turn in turns.waiting} >= {"busy", "back"}:
            break
    assert served["back"] - served["busy"] <= 100  # not 50 steps more for having been away


def test_cancelling_frees_the_place() -> None:
    turns = Turns()
    mine, yours = pictures("me", count=2), pictures("you")
    turns.join([*mine, *yours])
    turns.serve(turns.choose(1))
    turns.leave(mine[0].job)
    assert turns.waiting == yours


@given(st.lists(st.tuples(st.floats(0.001, 2), st.floats(0.001, 2)), min_size=50, max_size=200), st.floats(0.1, 0.6))
def test_training_keeps_its_floor_under_endless_pictures(pieces: list[tuple[float, float]], share: float) -> None:
    floor, of_training, total = Floor(share), 0.0, 0.0
    for number, (picture, training) in enumerate(pieces):
        trains = floor.training_is_next(pictures=True, trainings=True)
        assert number or not trains  # pictures go first
        seconds = training if trains else picture
        floor.spent(seconds, on_training=trains)
        of_training, total = of_training + seconds * trains, total + seconds
        assert of_training >= share * total - 2 * share - 1e-9  # short by one picture's piece at most
        assert of_training <= share * total + 2 + 1e-9  # and over by one of training's


def test_training_has_everything_while_no_picture_is_wanted() -> None:
    floor = Floor()
    floor.spent(5, on_training=False)
    assert floor.training_is_next(pictures=True, trainings=True)
    assert floor.training_is_next(pictures=False, trainings=True)
    assert not floor.training_is_next(pictures=True, trainings=True)  # a picture that comes now is begun at once
    assert not floor.training_is_next(pictures=False, trainings=False)
