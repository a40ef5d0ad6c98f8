"""The modes of pairs move the attribute they were shown, both ways, and nothing else: pictures, judged and counted.

The first tier takes the fastest case with one seed, ``--all`` the strongest ones with every seed; ``studies/addift.py``
says what is trained and how it is counted.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from studies.addift import CAPTIONED, PRESETS, STRONGEST, Case, Counts, measure, study, train
from studies.studio import SEEDS, Studio


def named(case: Case) -> str:
    return f"{case.kind}, {case.name}"


def holds(counts: Counts, enough: float = 0.9) -> None:
    assert counts.plus >= enough * counts.of
    assert counts.minus < counts.base
    assert counts.least_kept() >= enough * counts.of


def latents_move(counts: Counts, enough: float = 0.9) -> None:
    assert counts.up >= enough * counts.of
    assert counts.down >= enough * counts.of


def test_a_pair_in_60_steps(studio: Studio, tmp_path: Path) -> None:
    counts = study(studio, STRONGEST[1], tmp_path, SEEDS[:1])
    holds(counts, enough=0.85)  # of 24 pictures; one more or less is chance
    latents_move(counts, enough=0.85)


@pytest.mark.slow
@pytest.mark.parametrize("case", STRONGEST, ids=named)
def test_the_difference_comes_and_goes_and_the_rest_stays(studio: Studio, case: Case, tmp_path: Path) -> None:
    counts = study(studio, case, tmp_path)
    holds(counts)
    latents_move(counts)


@pytest.mark.slow
@pytest.mark.parametrize("case", CAPTIONED, ids=named)
def test_with_captions_nothing_else_is_lost_either_way(studio: Studio, case: Case, tmp_path: Path) -> None:
    counts = study(studio, case, tmp_path)
    holds(counts)
    latents_move(counts)
    assert counts.least_kept(-1.0) >= 0.9 * counts.of
    if case.kind == "size":  # of two values, what is not the one is the other
        assert counts.minus_original >= 0.9 * counts.of


@pytest.mark.slow
def test_the_preset_for_actions_moves_latents_the_right_way(studio: Studio, tmp_path: Path) -> None:
    """It does next to nothing to pictures of this small checkpoint; but what it does has the right sign."""
    lora, _ = train(PRESETS[0], 0, tmp_path)
    counts = measure(studio, PRESETS[0], lora)
    assert counts.shift_up > 0
    assert counts.shift_down < 0
