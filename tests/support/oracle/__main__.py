"""Run the oracle: LAKE SPEC.json OUT_FOLDER."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from support.oracle import run, write

experiment = json.loads(Path(sys.argv[2]).read_text())
write(run(Path(sys.argv[1]), experiment), experiment, Path(sys.argv[3]))
