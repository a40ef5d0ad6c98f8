"""Regularisation images keep the class: pictures of the embedded checkpoint, judged and counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from studies.regularisation import WITH, WITHOUT, study
from studies.studio import SEEDS, Studio


@pytest.mark.slow
def test_the_class_stays_with_them_and_goes_without(studio: Studio, tmp_path: Path) -> None:
    without, kept = (study(studio, tmp_path, case, SEEDS[:1]) for case in (WITHOUT, WITH))
    assert without.of_class >= 0.9 * without.of
    assert kept.of_class <= 0.2 * kept.of
    assert kept.learned >= 0.6 * kept.of
