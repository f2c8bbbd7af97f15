"""Steps of worker processes, as the process that waits for them is told."""

from __future__ import annotations

from multiprocessing import Pipe

from msm_py.runner import executors
from msm_py.runner.invocation import NodeFinished


def node(n_done: int, name: str = "x") -> NodeFinished:
    return NodeFinished("market", name, 1.0, n_done, 4)


def told(*steps: tuple[int, NodeFinished]) -> list[tuple[str, int]]:
    """Return the steps that are passed on of those that workers, by number, tell."""
    receiving, sending = Pipe(duplex=False)
    for step in steps:
        sending.send(step)
    sending.close()
    found: list[NodeFinished] = []
    executors._pass_on(receiving, found.append)
    return [(x.name, x.n_done) for x in found]


def test_the_worker_that_is_least_far_is_told_of() -> None:
    assert told(
        (1, node(1, "a1")),
        (2, node(1, "b1")),  # no further than what was told
        (1, node(2, "a2")),
        (1, node(3, "a3")),
        (2, node(2, "b2")),
        (2, node(3, "b3")),
    ) == [("a1", 1), ("b2", 2), ("a3", 3)]


def test_a_worker_that_is_done_holds_nobody_up() -> None:
    assert told((1, node(1, "a1")), (2, node(1)), (1, node(4)), (2, node(2, "b2"))) == [
        ("a1", 1),
        ("b2", 2),
    ]


def test_the_next_batch_begins_anew() -> None:
    assert told((1, node(3, "a3")), (1, node(4)), (1, node(1, "a1"))) == [("a3", 3), ("a1", 1)]


def test_nobody_is_told_outside_of_a_worker() -> None:
    executors.tell_parent(node(1))
