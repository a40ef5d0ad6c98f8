"""A run in a process of its own, and what it took."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def measured(folder: Path, **settings: Any) -> dict[str, Any]:
    """What ``benchmarks.case`` prints of a run with these settings, which writes into ``folder``."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.case", str(folder), json.dumps(settings)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert isinstance(found, dict)
    return found
