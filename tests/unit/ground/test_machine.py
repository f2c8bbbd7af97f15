"""What a process may use of a machine, as a container grants it."""

from __future__ import annotations

from pathlib import Path

from msm_py import machine


def test_without_a_container_it_is_the_machine(tmp_path: Path) -> None:
    assert machine.memory_bytes(tmp_path) == machine.memory_bytes(tmp_path / "none") > 10**8
    assert machine.n_cores(tmp_path) == machine.n_cores(tmp_path / "none") >= 1


def test_a_container_of_cgroups_2_grants_less(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("1000000\n")
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    assert machine.memory_bytes(tmp_path) == 1_000_000
    assert machine.n_cores(tmp_path) == 1
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    assert machine.n_cores(tmp_path) == 1


def test_a_container_of_cgroups_1_grants_less(tmp_path: Path) -> None:
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text("2000000\n")
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("100000\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert machine.memory_bytes(tmp_path) == 2_000_000
    assert machine.n_cores(tmp_path) == 1


def test_no_limit_is_the_machine(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "cpu.max").write_text("max 100000\n")
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("-1\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert machine.memory_bytes(tmp_path) == machine.memory_bytes(tmp_path / "none")
    assert machine.n_cores(tmp_path) == machine.n_cores(tmp_path / "none")
