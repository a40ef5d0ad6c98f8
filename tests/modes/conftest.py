"""What the modes' losses are computed on in double precision: a small model, twice."""

from __future__ import annotations

import pytest
import torch

from tests.helpers.checkpoints import GROUPS, TWO_LEVELS, sd1_tensors, write_safetensors
from trainer.models.base import Bundle
from trainer.models.placement import place
from trainer.models.registry import load_bundle


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> tuple[Bundle, Bundle]:
    """One to train on, and the same again, which is left untouched."""
    path = tmp_path_factory.mktemp("model") / "small.safetensors"
    write_safetensors(path, sd1_tensors(TWO_LEVELS), GROUPS)
    pair = load_bundle(path), load_bundle(path)
    for bundle in pair:
        place(bundle, torch.device("cpu"), dict.fromkeys(bundle.modules, torch.float64))
    return pair
