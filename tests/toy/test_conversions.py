"""The embedded checkpoint's predictions, converted: whatever is predicted, the same image is found."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import pytest
import torch

from studies.conversions import checkpoint_of, converted
from trainer.models.placement import place_for_images
from trainer.models.registry import load_bundle
from trainer.models.stable_diffusion.family import StableDiffusion


@pytest.mark.parametrize("ratio", [0.2, 1.0, 4.0])
def test_the_same_image_is_found_whatever_is_predicted(tmp_path: Path, ratio: float) -> None:
    """At the timesteps of each where noise and signal have this ratio, as nearly as there are any."""
    found = []
    z, n = torch.randn(2, 1, 4, 8, 8, generator=torch.Generator().manual_seed(3))
    for prediction in ("noise", "velocity", "flow"):
        bundle = load_bundle(checkpoint_of(prediction, tmp_path))
        place_for_images(bundle, torch.device("cpu"))
        diffusion = bundle.diffusion
        ratios = diffusion.schedule.noise / diffusion.schedule.signal
        t = (ratios.log() - torch.tensor(ratio).log()).abs().argmin()[None]
        x = diffusion.noised(z, n, t)
        with torch.no_grad(), patch.object(StableDiffusion, "predict", converted):
            predicted = bundle.predict(x, t, bundle.encode(["a red circle"]))
        found.append(diffusion.split(x, predicted, t)[0])
        torch.testing.assert_close(diffusion.noised(*diffusion.split(x, predicted, t), t), x, rtol=0, atol=1e-4)
    torch.testing.assert_close(found[1], found[0], rtol=0, atol=1e-3)
    distance = (found[2] - found[0]).norm() / (found[0] - z).norm()
    assert distance < 0.02, "its timesteps lie a little beside those of the others"
