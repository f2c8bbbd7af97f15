"""What a process may use of a machine, as a container or a job grants it."""

from __future__ import annotations

from pathlib import Path

import pytest

from msm_py import machine

NOWHERE = Path("nowhere")


def granted(cgroup: Path, own: Path = NOWHERE) -> tuple[int, int]:
    return machine.memory_bytes(cgroup, own), machine.n_cores(cgroup, own)


def put(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(f"{text}\n")


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)), raising=False)


def test_without_a_container_it_is_the_machine(tmp_path: Path) -> None:
    memory, cores = granted(tmp_path)
    assert memory > 10**8
    assert cores == 8
    assert granted(tmp_path / "none") == (memory, cores)


@pytest.mark.parametrize(
    ("quota", "cores"), [("50000", 1), ("190000", 1), ("250000", 2), ("max", 8), ("0", 8)]
)
def test_a_container_of_cgroups_2_grants_less(tmp_path: Path, quota: str, cores: int) -> None:
    put(tmp_path, memory__max="1000000", cpu__max=f"{quota} 100000")
    assert granted(tmp_path) == (1_000_000, cores)


@pytest.mark.parametrize(("quota", "cores"), [("50000", 1), ("290000", 2), ("-1", 8)])
def test_a_container_of_cgroups_1_grants_less(tmp_path: Path, quota: str, cores: int) -> None:
    put(tmp_path / "memory", memory__limit_in_bytes="2000000")
    put(tmp_path / "cpu", cpu__cfs_quota_us=quota, cpu__cfs_period_us="100000")
    assert granted(tmp_path) == (2_000_000, cores)


@pytest.mark.parametrize("memory", ["max", "-1", "0", "", "garbage"])
@pytest.mark.parametrize("cpu", ["max 100000", "100000 0", "", "1 2 3", "garbage"])
def test_no_limit_is_the_machine(tmp_path: Path, memory: str, cpu: str) -> None:
    put(tmp_path, memory__max=memory, cpu__max=cpu)
    assert granted(tmp_path) == granted(tmp_path / "none")


def test_the_least_of_its_own_group_and_those_above_counts(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.write_text("0::/jobs/42/step\n")
    put(tmp_path / "jobs" / "42", memory__max="3000000", cpu__max="300000 100000")
    put(tmp_path / "jobs" / "42" / "step", memory__max="max", cpu__max="max 100000")
    put(tmp_path / "jobs" / "43", memory__max="1000000", cpu__max="100000 100000")
    assert granted(tmp_path, own) == (3_000_000, 3)


def test_groups_of_cgroups_1_have_a_tree_for_each_controller(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.write_text("5:memory:/jobs/42\n4:cpu,cpuacct:/jobs/42\n1:name=systemd:/other\n")
    put(tmp_path / "memory" / "jobs", memory__limit_in_bytes="4000000")
    put(
        tmp_path / "cpu,cpuacct" / "jobs" / "42",
        cpu__cfs_quota_us="200000",
        cpu__cfs_period_us="100000",
    )
    assert granted(tmp_path, own) == (4_000_000, 2)
