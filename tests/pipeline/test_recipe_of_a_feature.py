"""Whoever follows the recipe of a feature has one: here a dispersion across alts."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml
from support.lakes import tiny_lake
from support.pipeline import ROOT, msm_process
from support.specs import spec_of

OF_PROJECT = ("models", "macros", "seeds", "msm_py", "tests/dbt", "dbt_project.yml", "profiles.yml")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project with one more feature, by the two places that a run reads."""
    project = tmp_path / "project"
    for name in OF_PROJECT:
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile
        copy(ROOT / name, project / name)
    model = project / "models" / "features" / "breadth.sql"
    text = model.read_text()
    column = "median(return_1d) as alt_breadth_median_return,"
    assert text.count(column) == 1
    decile = "quantile_cont(return_1d, 0.9) - quantile_cont(return_1d, 0.1) as alt_breadth_spread,"
    text = text.replace(column, f"{column}\n        {decile}")
    passed = "daily.alt_breadth_median_return,"
    text = text.replace(passed, f"{passed}\n        daily.alt_breadth_spread,")
    text = text.replace("'alt_breadth_iqr',", "'alt_breadth_iqr', 'alt_breadth_spread',")
    model.write_text(text)
    with (project / "seeds" / "feature_registry.csv").open("a") as file:
        file.write('alt_breadth_spread,breadth,,decimal return per day,"90% minus 10% quantile"\n')
    return project


def test_a_feature_across_alts_in_two_places(project: Path, tmp_path: Path) -> None:
    tiny_lake(tmp_path / "lake", seed=3)
    spec = spec_of("dispersed", {})
    spec["features"] = [{"id": "alt_breadth_spread", "weight": 1}, {"id": "momentum", "weight": 1}]
    file = tmp_path / "dispersed.yaml"
    file.write_text(yaml.safe_dump(spec))
    done = msm_process(
        *("run", str(file), "--lake", str(tmp_path / "lake")),
        place=tmp_path,
        MSM_PROJECT_DIR=str(project),
    )
    assert done.code == 0, done.err
    features = pd.read_parquet(done.folder("dispersed") / "features.parquet")
    own = features[features["feature_id"] == "alt_breadth_spread"]
    assert own["raw_value"].notna().mean() > 0.9
    assert (own["raw_value"].dropna() > 0).all()
    assert own["z_score"].notna().any()
