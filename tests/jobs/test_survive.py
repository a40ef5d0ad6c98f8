"""The study of killed runs, a short one: nothing is lost wherever a run is killed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.more
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the study forks its programs")
def test_runs_that_are_killed_anywhere_lose_nothing() -> None:
    kinds = ("ileco", "difference")
    command = [sys.executable, "-m", "studies.survive", "--kills", "6", "--seed", "5"]
    for kind in kinds:
        command += ["--only", kind]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 kills of" in done.stdout
