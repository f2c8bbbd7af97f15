from typing import Any

from msm_py.store.edge_rows import hypotheses, read, two_states

FIVE = ("RISK_ON_ALTS", "BALANCED", "RISK_ON_MAJORS")


def rows(*states: str, horizon_days: int = 5, **changes: Any) -> list[dict[str, Any]]:
    """Return the edges of a run of three states of which some are present."""
    names = (*FIVE, "edge_best", "edge_worst", "spread")
    absent = set(FIVE) - set(states)
    return [
        {
            "horizon_days": horizon_days,
            "edge": name,
            "estimate": None if name in absent else 0.1,
            "p_edge": None if name in absent else 0.5,
            **changes,
        }
        for name in names
    ]


def test_best_and_worst_are_no_tests_of_their_own() -> None:
    found = hypotheses(rows(*FIVE))
    assert [edge["edge"] for edge in found] == [*FIVE, "spread"]


def test_two_states_are_one_test() -> None:
    two, three = rows(*FIVE[:2]), rows(*FIVE, horizon_days=10)
    assert two_states([*two, *three]) == {5}
    found = hypotheses([*two, *three])
    assert [(edge["horizon_days"], edge["edge"]) for edge in found] == [
        (5, "spread"),
        *((10, name) for name in (*FIVE, "spread")),
    ]


def test_two_states_without_a_spread_are_tests_of_their_own() -> None:
    two = rows(*FIVE[:2])
    two[-1] |= {"estimate": None, "p_edge": None}
    assert [edge["edge"] for edge in hypotheses(two)] == list(FIVE[:2])


def test_what_has_no_p_is_not_tested() -> None:
    assert hypotheses(rows(*FIVE, p_edge=None)) == []


def test_runs_of_older_versions_get_the_larger_p() -> None:
    old: list[dict[str, Any]] = [
        {"p_value": 0.1, "p_shift": 0.2},
        {"p_value": None, "p_shift": 0.2},
    ]
    assert [row["p_edge"] for row in read(old)] == [0.2, None]
    assert read([{"p_edge": 0.3}]) == [{"p_edge": 0.3}]
