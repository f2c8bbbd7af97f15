"""Print, as JSON, what each node of one dbt invocation takes: `bench.py` asks for it.

    python bench/node_times.py EXPERIMENTS_FILE LAKE

The file is what `msm vars --out` wrote; MSM_RUNS and MSM_WAREHOUSE say where to write, MSM_CACHE
where to look for what was computed before (nowhere when it is empty).
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from msm_py.experiment.ids import ResolvedRun
from msm_py.experiment.load import from_resolved
from msm_py.runner.invocation import NodeFinished, build
from msm_py.settings import Places, cache_dir


def main(experiments: str, lake: str) -> None:
    """Build the experiments in this process, noting clock and CPU at the end of every node."""
    # one node at a time, so that its CPU can be told from that of others (a run has two at a time)
    os.environ["MSM_DBT_THREADS"] = "1"
    nodes: list[dict[str, str | float]] = []
    last = {"wall": 0.0, "cpu": 0.0}

    def note(node: NodeFinished) -> None:
        now = {"wall": time.perf_counter(), "cpu": time.process_time()}
        if last["wall"]:  # what comes before the end of the first node is dbt's own
            nodes.append(
                {"folder": node.folder, "name": node.name} | {k: now[k] - last[k] for k in now}
            )
        last.update(now)

    places = Places(
        lake=Path(lake).absolute(),
        runs=Path(os.environ["MSM_RUNS"]).absolute(),
        warehouse=Path(os.environ["MSM_WAREHOUSE"]).absolute(),
        cache=cache_dir(),
    )
    given = json.loads(Path(experiments).read_text())["experiments"]
    build([ResolvedRun(x.pop("run_id"), from_resolved(x)) for x in given], places, progress=note)
    json.dump(nodes, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
