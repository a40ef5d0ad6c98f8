"""The study of a long queue, a shorter one: nothing is kept of jobs that are over."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_long_queue_keeps_nothing() -> None:
    command = [sys.executable, "-m", "studies.soak", "--jobs", "80"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "8 failed" in done.stdout
