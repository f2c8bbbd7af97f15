"""Experiments as somebody writes them who tries this and that: seeded, of every kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import yaml

from msm_py.experiment.registry import feature_registry


def random_experiment(name: str, rng: np.random.Generator) -> dict[str, Any]:
    """Return an experiment of one to eight features with weights of either sign."""
    known = np.array(sorted(feature_registry()))
    chosen = rng.choice(known, rng.integers(1, 9), replace=False)
    cut = float(rng.uniform(0.1, 0.4))
    return {
        "experiment_id": name,
        "title": f"A try: {', '.join(chosen)}",
        "window": {"start": "2023-07-01", "end": "2025-12-31"},
        "features": [
            {"id": str(x), "weight": round(float(rng.uniform(-0.3, 0.3)), 3)} for x in chosen
        ],
        "feature_params": {"zscore_window_days": int(rng.choice([30, 60, 90]))},
        "state_mapping": {
            "n_regimes": 3,
            "thresholds": {"low": -round(cut, 3), "high": round(cut, 3)},
            "persistence": {"min_duration_days": int(rng.integers(1, 8))},
        },
        "target": {"short_leg": {"n": int(rng.choice([10, 20, 30]))}},
    }


def write_random_experiments(folder: Path, number: int, *, seed: int) -> list[Path]:
    """Write experiments, one file each, and return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    files = []
    for i in range(number):
        files.append(folder / f"try_{i:02}.yaml")
        files[-1].write_text(yaml.safe_dump(random_experiment(f"try_{i:02}", rng)))
    return files
