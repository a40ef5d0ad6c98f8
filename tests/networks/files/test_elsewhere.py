"""What other programs make of our files: every key is used, and the model says the same."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline, StableDiffusionXLPipeline
from diffusers.utils import USE_PEFT_BACKEND
from torch import Tensor

from tests.helpers.some_networks import apply_by_lycoris, predict, some_network, some_settings
from trainer.models.base import Bundle
from trainer.models.registry import load_bundle
from trainer.networks.files import file
from trainer.networks.files.read import network_from_file


def saved(model: Path, network_type: str, folder: Path) -> tuple[Path, Tensor, Tensor]:
    """A file; what the model says with our network on it, and without."""
    bundle = load_bundle(model)
    network = some_network(bundle, some_settings(network_type))
    path = file.save(folder / "x.safetensors", network.tensors(), {"ss_base_model_version": "sd_v1"})
    base = predict(bundle)
    with network.attached():
        wanted = predict(bundle)
    assert (wanted - base).abs().max() > 0.05
    again = network_from_file(path, bundle)
    assert {one.name for one in again} == {one.name for one in network}
    with again.attached():
        torch.testing.assert_close(predict(bundle), wanted, rtol=1e-4, atol=1e-4)
    return path, wanted, base


def pipeline(bundle: Bundle) -> Any:
    parts = {
        "vae": bundle.vae, "text_encoder": bundle.text_encoders[0], "tokenizer": bundle.tokenizers[0],
        "unet": bundle.denoiser,
        "scheduler": DDIMScheduler(clip_sample=False),
    }  # fmt: skip
    if len(bundle.text_encoders) == 1:
        return StableDiffusionPipeline(**parts, safety_checker=None, feature_extractor=None)
    second = {"text_encoder_2": bundle.text_encoders[1], "tokenizer_2": bundle.tokenizers[1]}
    return StableDiffusionXLPipeline(**parts, **second)


@pytest.mark.skipif(not USE_PEFT_BACKEND, reason="diffusers loads no LoRA with this old transformers")
@pytest.mark.parametrize("family", ["SD1", "SDXL"])
@pytest.mark.parametrize("network_type", ["lierla", "c3lier"])
def test_diffusers_and_peft(models, family: str, network_type: str, tmp_path: Path, caplog) -> None:
    path, wanted, _ = saved(models[family], network_type, tmp_path)
    fresh = load_bundle(models[family])
    pipe = pipeline(fresh)
    with caplog.at_level("WARNING"):
        pipe.load_lora_weights(str(path), adapter_name="ours")
    assert not re.search("not used|unexpected|missing", caplog.text, re.IGNORECASE)
    stored = file.read(path)[0]
    loaded = [name for part in (fresh.denoiser, *fresh.text_encoders) for name, _ in part.named_modules()]
    assert len([name for name in loaded if name.endswith("lora_A.ours")]) == len(stored) / 3
    torch.testing.assert_close(predict(fresh), wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("family", ["SD1", "SDXL"])
@pytest.mark.parametrize("network_type", ["lierla", "c3lier", "loha"])
def test_lycoris(models, family: str, network_type: str, tmp_path: Path) -> None:
    """Its modules, made by it from our tensors; which layer a name means is told by the conversion of diffusers."""
    path, wanted, _ = saved(models[family], network_type, tmp_path)
    fresh = load_bundle(models[family])
    apply_by_lycoris(path, fresh)
    torch.testing.assert_close(predict(fresh), wanted, rtol=1e-4, atol=1e-4)
