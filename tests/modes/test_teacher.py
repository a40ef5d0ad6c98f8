"""What the base predicts is computed for some steps in one launch, and is the same as in a launch for each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.helpers.merged import double_network
from trainer.config.choices import BLOCKS
from trainer.config.settings import Settings
from trainer.config.size import Size
from trainer.diffusion.random import StepRandom
from trainer.models.base import Bundle, Conditioning
from trainer.modes.base import Pass, PassContext
from trainer.modes.ileco import ILECO
from trainer.networks.base import Network

CPU = torch.device("cpu")
STEPS = 6
KINDS: dict[str, dict[str, Any]] = {
    "concepts": {"original_prompt": "a red dog\na cat\na fox", "target_prompt": "a blue dog\na hat\n"},
    "beyond": {"ileco_scale": 2.0, "keep_prompts": "a tree", "hold_unconditional": "yes"},
    "slider": {"target_prompt": "", "slider_positive": "a large dog", "slider_negative": "a small dog"},
    "text encoder": {"network_train_text_encoder": True, "keep_prompts": "a tree"},
}


class Launches:
    """How many samples the base was asked for, launch by launch."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sizes: list[int] = []
        predict = Bundle.predict

        def noted(bundle: Bundle, latents: Tensor, timesteps: Tensor, conditioning: Conditioning) -> Tensor:
            if not torch.is_grad_enabled():
                self.sizes.append(len(latents))
            return predict(bundle, latents, timesteps, conditioning)

        monkeypatch.setattr(Bundle, "predict", noted)


@pytest.fixture
def launches(monkeypatch: pytest.MonkeyPatch) -> Launches:
    return Launches(monkeypatch)


@pytest.fixture
def network(bundles: tuple[Bundle, Bundle], request: pytest.FixtureRequest) -> Iterator[Network]:
    made = double_network(bundles[0], text=getattr(request, "param", False))
    with made.attached():
        yield made


def concept_pass(bundle: Bundle, network: Network, *, looks_ahead: bool = True, **changes: Any) -> Pass:
    settings = replace(
        Settings(), mode="iLECO", original_prompt="a red dog", target_prompt="a blue cat", image_size=Size(64, 64),
        train_batch_size=1, train_iterations=STEPS, network_blocks=BLOCKS,
    )  # fmt: skip
    settings = replace(settings, **changes)
    training = ILECO().passes(settings)[0]
    training.prepare(PassContext(settings, bundle, network, bundle.diffusion, looks_ahead=looks_ahead))
    return training


def losses(training: Pass, first: int = 1) -> list[float]:
    return [training.loss(StepRandom.of_step(1, step, CPU)).samples.item() for step in range(first, STEPS + 1)]


@pytest.mark.parametrize(
    ("kind", "network"), [(kind, kind == "text encoder") for kind in KINDS], indirect=["network"], ids=list(KINDS)
)
def test_a_launch_for_some_steps_is_one_for_each(
    bundles: tuple[Bundle, Bundle], network: Network, launches: Launches, kind: str
) -> None:
    one_by_one = losses(concept_pass(bundles[0], network, looks_ahead=False, **KINDS[kind]))
    assert len(launches.sizes) == STEPS
    samples = sum(launches.sizes)
    launches.sizes.clear()
    together = losses(concept_pass(bundles[0], network, **KINDS[kind]))
    assert together == pytest.approx(one_by_one, rel=1e-9)
    assert len(launches.sizes) == 2, "four steps, and the two that are left"
    assert sum(launches.sizes) == samples, "nothing is computed for steps that are not taken"


def test_a_run_that_is_resumed_computes_the_same(bundles: tuple[Bundle, Bundle], network: Network) -> None:
    assert losses(concept_pass(bundles[0], network))[2:] == losses(concept_pass(bundles[0], network), first=3)


@pytest.mark.parametrize(
    "changes", [{"train_batch_size": 4}, {"use_gradient_checkpointing": True}, {"train_memory_saving": "light"}]
)
def test_where_memory_is_short_or_a_step_is_large_each_is_on_its_own(
    bundles: tuple[Bundle, Bundle], network: Network, launches: Launches, changes: dict[str, Any]
) -> None:
    training = concept_pass(bundles[0], network, hold_unconditional="no", **changes)
    training.loss(StepRandom.of_step(1, 1, CPU))
    assert launches.sizes == [changes.get("train_batch_size", 1)]


def test_what_the_network_starts_from_is_not_known_ahead(
    bundles: tuple[Bundle, Bundle], network: Network, launches: Launches
) -> None:
    """Two strides with the network, and then the base's prediction, for one step alone."""
    concept_pass(bundles[0], network, ileco_denoise_steps=2).loss(StepRandom.of_step(1, 2, CPU))
    assert launches.sizes == [1, 1, 1]
