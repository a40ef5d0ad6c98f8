"""iLECO does what it was asked and nothing else: pictures of the embedded checkpoint, judged and counted.

``--all`` counts them; ``studies/ileco.py`` says what is trained and how it is counted. The second tier counts a
background that another one becomes, in ``tests/engine/test_asked.py``.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from studies.ileco import CASES, ERASED, KEEPING_CASES, Case, measure, prompts, study, study_erasing, train
from studies.studio import SEEDS, Studio
from trainer.config.size import Size
from trainer.models.image_spec import ImageSpec
from trainer.models.sample import sample
from trainer.networks.files.read import network_from_file


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "seeds"),
    [
        pytest.param(CASES[0], SEEDS[:1], id=f"{CASES[0].name}, one seed"),
        *(pytest.param(each, SEEDS, id=f"{each.name}, all seeds") for each in CASES),
    ],
)
def test_the_concept_becomes_the_target_and_the_rest_stays(
    studio: Studio, case: Case, seeds: tuple[int, ...], tmp_path: Path
) -> None:
    before = measure(studio, case, None)
    assert before.remained >= 0.95 * before.of
    assert before.became == 0
    after = study(studio, case, tmp_path, seeds)
    enough = 0.95 if len(seeds) > 1 else 0.9  # of the 24 pictures of one seed, one more or less is chance
    assert after.became >= 0.9 * after.of
    assert after.kept >= enough * after.of
    assert after.shapes >= enough * 2 * after.of


@pytest.mark.slow
def test_colours_that_are_kept_stay(studio: Studio, tmp_path: Path) -> None:
    after = study(studio, KEEPING_CASES[0], tmp_path)
    assert after.became >= 0.9 * after.of
    assert after.named >= 0.9 * after.of_named


@pytest.mark.slow
def test_an_erased_colour_is_as_rare_as_without_the_word(studio: Studio, tmp_path: Path) -> None:
    erased = study_erasing(studio, ERASED, tmp_path, SEEDS)
    assert erased.before >= 0.95 * erased.of
    assert abs(erased.after - erased.without_word) <= 0.1 * erased.of
    assert erased.kept >= 0.9 * erased.of


def test_strength_zero_is_the_base_bit_for_bit(studio: Studio, tmp_path: Path) -> None:
    short = replace(CASES[0], changes=(*CASES[0].changes, ("train_iterations", "20")))
    lora, _ = train(short, 0, tmp_path)
    requests = [
        ImageSpec(prompt, seed=number, steps=6, cfg=4.0, size=Size(64, 64))
        for number, prompt in enumerate(prompts("blue")[:6])
    ]
    base = [np.asarray(picture) for picture in sample(studio.bundle, requests)]
    network = network_from_file(lora, studio.bundle)
    with network.attached():
        network.strength = 0.0
        off = [np.asarray(picture) for picture in sample(studio.bundle, requests)]
        network.strength = 1.0
        on = [np.asarray(picture) for picture in sample(studio.bundle, requests)]
    assert all(np.array_equal(one, two) for one, two in zip(base, off, strict=True))
    assert not any(np.array_equal(one, two) for one, two in zip(base, on, strict=True))
