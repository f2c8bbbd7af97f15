"""Many run folders, made of one: the same results under other ids, hashes and panels as they go."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from msm_py.store import layout, run_folder
from msm_py.store.formats import write_json

SHARED = tuple(name for _, name in layout.PANELS.values())


def copies_of(run: Path, runs: Path, numbers: range) -> None:
    """Write copies of a run, each of an experiment of its own; what runs share stays shared.

    Parameters
    ----------
    run
        A run folder on the same file system.
    runs
        The runs folder.
    numbers
        One copy per number: the same number gives the same run id.
    """
    runs.mkdir(parents=True, exist_ok=True)
    manifest = json.loads((run / layout.MANIFEST).read_bytes())
    entry = json.loads((run / layout.CATALOG_ENTRY).read_bytes())
    own = {
        name: (run / name).read_bytes()
        for name in run_folder.written_files(run)
        if name not in SHARED
    }
    for number in numbers:
        digest = hashlib.sha256(str(number).encode()).hexdigest()
        experiment = f"copied_{digest[:10]}"
        run_id = f"{experiment}-{digest[10:20]}"
        folder = runs / run_id
        folder.mkdir()
        for name in SHARED:
            os.link(run / name, folder / name)
        for name, content in own.items():
            (folder / name).write_bytes(content)
        named = {"run_id": run_id, "experiment_id": experiment}
        write_json({**entry, **named}, folder / layout.CATALOG_ENTRY)
        written = (folder / layout.CATALOG_ENTRY).read_bytes()
        files = {**manifest["files"], layout.CATALOG_ENTRY: hashlib.sha256(written).hexdigest()}
        spec = {**manifest["spec"], "experiment_id": experiment}
        write_json(
            {**manifest, "run_id": run_id, "spec": spec, "files": files}, folder / layout.MANIFEST
        )
