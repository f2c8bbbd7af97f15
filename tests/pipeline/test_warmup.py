"""check-warmup: what less history changes, and from when on nothing does."""

from __future__ import annotations

import re
from pathlib import Path

import yaml
from support.lakes import tiny_lake
from support.pipeline import msm, msm_process
from support.specs import spec_of


def test_a_window_needs_as_much_history_as_its_features(tmp_path: Path) -> None:
    lake = tiny_lake(tmp_path / "lake", seed=3)
    changes = {
        "feature_params": {"zscore_window_days": 30},
        "backtest": {"walk_forward": False},  # the window is short
    }
    spec = spec_of("late", changes)
    spec["window"] = {"start": "2024-04-20", "end": None}
    file = tmp_path / "late.yaml"
    file.write_text(yaml.safe_dump(spec))
    done = msm("check-warmup", str(file), "--lake", str(lake), place=tmp_path)
    assert done.code == 0, done.err
    text = " ".join(done.out.split())
    assert "late: first decision day 2024-0" in text
    # 60 days, less the 20 of the z-score, are fewer than the longest feature looks back
    assert re.search(r" 30 z_scores [\d,]+ [\d,]+ ", text), text
    assert re.search(r"From (60|90) days of history on nothing changes\.", text), text
    assert not (tmp_path / "runs").exists()


def test_without_history_there_is_nothing_to_leave_out(tmp_path: Path) -> None:
    lake = tiny_lake(tmp_path / "lake", seed=3)
    spec = spec_of("early", {})
    spec["window"] = {"start": None, "end": None}
    file = tmp_path / "early.yaml"
    file.write_text(yaml.safe_dump(spec))
    (called_in := tmp_path / "empty").mkdir()
    words = ("check-warmup", str(file), "--lake", str(lake))
    done = msm_process(*words, place=tmp_path, cwd=called_in)
    assert done.code == 1
    assert [*called_in.iterdir()] == []  # nothing is written
    assert "too little history before the window" in done.err
