"""The study of killed runs, a short one: nothing is lost wherever a run is killed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.more
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the study forks its programs")
def test_runs_that_are_killed_anywhere_lose_nothing() -> None:
    kinds = ("lora", "difference")
    command = [sys.executable, "-m", "studies.survive", "--kills", "6", "--seed", "7"]
    for kind in kinds:
        command += ["--only", kind]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    killed = re.match(r"(\d+) kills of", done.stdout)
    assert killed is not None, done.stdout
    assert int(killed[1]) >= 6  # the last job may be killed more than once
