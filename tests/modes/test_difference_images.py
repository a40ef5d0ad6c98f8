"""Difference moves the attribute its two pictures differ in, both ways, and nothing else: pictures, judged and counted.

``studies/difference.py`` says what is trained; all of it takes minutes, so ``--all`` runs it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from studies.addift import Case, study
from studies.difference import PRESETS, STRONGEST
from studies.studio import Studio


@pytest.mark.slow
@pytest.mark.parametrize(
    "case", [STRONGEST[0], STRONGEST[4], PRESETS[0]], ids=["colour", "background", "preset as shipped"]
)
def test_the_difference_comes_and_goes_and_the_rest_stays(studio: Studio, case: Case, tmp_path: Path) -> None:
    counts = study(studio, case, tmp_path)
    assert counts.plus >= 0.9 * counts.of
    assert counts.minus < counts.base / 3
    assert counts.least_kept() >= 0.9 * counts.of
    assert counts.least_kept(-1.0) >= 0.9 * counts.of
    assert counts.down >= 0.9 * counts.of
