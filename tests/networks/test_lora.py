"""LoRA on a model: what it is attached to, what it computes, that it comes off, and what others make of its file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel
from diffusers.utils import USE_PEFT_BACKEND
from torch import Tensor, nn

from tests.helpers.checkpoints import FULL, sd1_tensors, write_safetensors
from trainer.config.choices import BLOCKS
from trainer.errors import NetworkError
from trainer.models.base import Bundle
from trainer.models.lora_target import Target
from trainer.models.registry import load_bundle
from trainer.models.stable_diffusion.blocks import unet_block
from trainer.models.stable_diffusion.lora_targets import text_targets, unet_targets
from trainer.networks.base import Network, Ranks, Strength, build, builder_of
from trainer.networks.files import file
from trainer.networks.files.read import network_from_file
from trainer.networks.lora import LoRA

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    path = tmp_path_factory.mktemp("model") / "small.safetensors"
    return load_bundle(write_safetensors(path, sd1_tensors(), {"trainyard_config": '{"unet_norm_groups": 8}'}))


@pytest.fixture(scope="module")
def full_unet() -> nn.Module:
    """SD1.5's U-Net at full size, without weights."""
    with torch.device("meta"):
        return UNet2DConditionModel(
            block_out_channels=FULL.unet, cross_attention_dim=FULL.context, attention_head_dim=8, sample_size=64
        )


def random_network(bundle: Bundle, *, text: bool = False, size: float = 0.05) -> Network:
    targets = unet_targets(bundle.denoiser, BLOCKS, "Full")
    if text:
        targets += text_targets(bundle.text_encoders[0])
    generator = torch.Generator().manual_seed(3)
    network = build(targets, builder_of(LoRA, Ranks(4, 2.0), torch.float32, CPU), generator)
    for parameter in network.parameters():
        parameter.data += size * torch.randn(parameter.shape, generator=generator)
    return network


def predict(bundle: Bundle) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(2, 4, 8, 8, generator=generator)
    with torch.no_grad():
        conditioning = bundle.encode(["a red circle", "something else, large"])
        return bundle.predict(latents, torch.tensor([10, 800]), conditioning)


# ---- what it is attached to ----------------------------------------------------------------------


def test_full_size_modules_and_parameters(full_unet: nn.Module) -> None:
    """As sd-scripts trains SD1.5: 192 modules, 6.783 M parameters at rank 16."""
    targets = unet_targets(full_unet, BLOCKS, "Full")
    assert len(targets) == 192
    parameters = sum(16 * (target.module.weight.shape[0] + target.module.weight[0].numel()) for target in targets)
    assert parameters == pytest.approx(6.783e6, rel=1e-3)
    assert len({target.name for target in targets}) == 192


def test_elements(full_unet: nn.Module) -> None:
    cross = unet_targets(full_unet, BLOCKS, "CrossAttention")
    own = unet_targets(full_unet, BLOCKS, "SelfAttention")
    assert len(cross) == len(own) == 64
    assert all("_attn2_" in target.name for target in cross)
    assert all("_attn1_" in target.name for target in own)


def test_blocks_are_stable_diffusions(full_unet: nn.Module) -> None:
    """The blocks with transformers, known from the original code: input 1, 2, 4, 5, 7, 8, middle, output 3 to 11."""
    counts = {block: len(unet_targets(full_unet, [block], "Full")) for block in BLOCKS}
    attending = {f"IN{n:02d}" for n in (1, 2, 4, 5, 7, 8)} | {"M00"} | {f"OUT{n:02d}" for n in range(3, 12)}
    assert {block for block, count in counts.items() if count} == attending
    assert set(counts.values()) == {0, 12}


def test_block_of_a_module_is_its_number_in_the_checkpoint(full_unet: nn.Module) -> None:
    """Against the channel counts of the original's numbered blocks, which the conversion to diffusers keeps."""
    assert unet_block("conv_in") == "IN00"
    assert unet_block("down_blocks.0.downsamplers.0.conv") == "IN03"
    assert unet_block("down_blocks.3.resnets.1.conv1") == "IN11"
    assert unet_block("up_blocks.0.resnets.0.conv1") == "OUT00"
    assert unet_block("up_blocks.0.upsamplers.0.conv") == "OUT02"
    assert unet_block("up_blocks.3.attentions.2.proj_in") == "OUT11"
    assert unet_block("time_embedding.linear_1") is None
    names = [target.name for target in unet_targets(full_unet, ["OUT03"], "Full")]
    assert all(name.startswith("lora_unet_up_blocks_1_attentions_0_") for name in names)


def test_text_modules_carry_the_name_every_host_knows(bundle: Bundle) -> None:
    names = [target.name for target in text_targets(bundle.text_encoders[0])]
    assert len(names) == 2 * 6  # 12 layers have the 72 of SD1.5
    assert "lora_te_text_model_encoder_layers_0_self_attn_q_proj" in names
    assert "lora_te_text_model_encoder_layers_1_mlp_fc2" in names


def test_nothing_to_train_is_said(bundle: Bundle) -> None:
    make = builder_of(LoRA, Ranks(4, 4.0), torch.float32, CPU)
    targets = unet_targets(bundle.denoiser, ["IN00", "IN03"], "Full")
    with pytest.raises(NetworkError, match=r"network blocks: Nothing is left to train"):
        build(targets, make, torch.Generator())


# ---- what it computes ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "module",
    [nn.Linear(6, 5), nn.Conv2d(6, 5, 1), nn.Conv2d(6, 5, 3, stride=2, padding=1)],
    ids=["linear", "1x1", "3x3"],
)
@pytest.mark.parametrize("strength", [1.0, -0.5])
def test_equals_a_merged_weight(module: nn.Module, strength: float) -> None:
    shared = Strength(strength)
    make = builder_of(LoRA, Ranks(3, 6.0), torch.float32, CPU)
    adapter = make(Target("m", module, "denoiser"), shared, torch.Generator().manual_seed(0))
    assert isinstance(adapter, LoRA)
    adapter.up.data.normal_(generator=torch.Generator().manual_seed(1))
    x = torch.randn(4, 6, 8, 8) if isinstance(module, nn.Conv2d) else torch.randn(4, 6)
    plain = module(x)
    product = (adapter.up.flatten(1) @ adapter.down.flatten(1)).view_as(module.weight)
    adapter.attach()
    changed = module(x)
    adapter.detach()
    assert torch.equal(module(x), plain)
    with torch.no_grad():
        module.weight += strength * 6.0 / 3 * product
    torch.testing.assert_close(changed, module(x), rtol=1e-5, atol=1e-5)


def test_strength_can_differ_from_sample_to_sample(bundle: Bundle) -> None:
    network = random_network(bundle)
    with network.attached():
        network.strength = 0.25
        quarter = predict(bundle)
        network.strength = -1.0
        minus = predict(bundle)
        network.strength = torch.tensor([0.25, -1.0])
        mixed = predict(bundle)
    torch.testing.assert_close(mixed[0], quarter[0], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(mixed[1], minus[1], rtol=1e-4, atol=1e-4)


def test_new_network_and_strength_zero_are_the_base_bit_for_bit(bundle: Bundle) -> None:
    base = predict(bundle)
    generator = torch.Generator().manual_seed(0)
    fresh = build(
        unet_targets(bundle.denoiser, BLOCKS, "Full"), builder_of(LoRA, Ranks(4, 4.0), torch.float32, CPU), generator
    )
    with fresh.attached():
        torch.testing.assert_close(predict(bundle), base, rtol=0, atol=0)
    network = random_network(bundle)
    with network.attached():
        assert not torch.equal(predict(bundle), base)
        with network.off():
            assert torch.equal(predict(bundle), base)
        assert network.strength == 1.0
        network.strength = 0.0
        assert torch.equal(predict(bundle), base)
    assert torch.equal(predict(bundle), base)


def test_two_networks_add_up_and_come_off_again(bundle: Bundle) -> None:
    base = predict(bundle)
    one, two = random_network(bundle, size=0.02), random_network(bundle, size=0.02)
    with one.attached():
        alone = predict(bundle)
        with two.attached():
            both = predict(bundle)
        assert torch.equal(predict(bundle), alone)
    assert torch.equal(predict(bundle), base)
    with one.attached():
        one.strength = 2.0
        torch.testing.assert_close(predict(bundle), both, rtol=1e-4, atol=1e-4)


def test_comes_off_after_an_error(bundle: Bundle) -> None:
    def broken() -> Iterator[None]:
        with random_network(bundle).attached():
            raise RuntimeError
        yield

    with pytest.raises(RuntimeError):
        next(broken())
    assert all("forward" not in module.__dict__ for module in bundle.denoiser.modules())


def test_same_seed_same_first_weights(bundle: Bundle) -> None:
    targets = unet_targets(bundle.denoiser, BLOCKS, "Full")
    make = builder_of(LoRA, Ranks(4, 4.0), torch.float32, CPU)
    one, two, other = (build(targets, make, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    pairs = list(zip(one.tensors().items(), two.tensors().items(), strict=True))
    assert all(torch.equal(a[1], b[1]) for a, b in pairs)
    assert any(not torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


# ---- the file ------------------------------------------------------------------------------------


@pytest.mark.parametrize("factor", [1.0, 0.3, -2.0])
def test_file_read_back_predicts_the_same_times_its_strength(bundle: Bundle, tmp_path: Path, factor: float) -> None:
    network = random_network(bundle, text=True)
    path = file.save(tmp_path / "x.safetensors", network.tensors(factor=factor), {})
    with network.attached():
        network.strength = factor
        wanted = predict(bundle)
    again = network_from_file(path, bundle)
    assert len(again) == len(network)
    with again.attached():
        torch.testing.assert_close(predict(bundle), wanted, rtol=1e-4, atol=1e-4)


def test_factor_is_spread_over_both_factors(bundle: Bundle) -> None:
    network = random_network(bundle)
    plain, scaled = network.tensors(), network.tensors(factor=4.0)
    for name, tensor in plain.items():
        grown = 1.0 if name.endswith(".alpha") else 2.0
        torch.testing.assert_close(scaled[name], tensor * grown)


def test_keys_are_kohyas(bundle: Bundle) -> None:
    keys = random_network(bundle, text=True).tensors()
    shape = re.compile(
        r"lora_(unet_(down_blocks_\d|up_blocks_\d|mid_block)_attentions_\d_(proj_in|proj_out|transformer_blocks_0_"
        r"(attn[12]_to_(q|k|v|out_0)|ff_net_(0_proj|2)))|te_text_model_encoder_layers_\d+_(self_attn_(q|k|v|out)_proj|"
        r"mlp_fc[12]))\.(lora_down\.weight|lora_up\.weight|alpha)"
    )
    assert all(shape.fullmatch(key) for key in keys)
    assert len(keys) == 3 * (192 + 12)


def pipeline(bundle: Bundle) -> StableDiffusionPipeline:
    from diffusers import DDIMScheduler

    return StableDiffusionPipeline(
        bundle.vae, bundle.text_encoders[0], bundle.tokenizers[0], bundle.denoiser, DDIMScheduler(), None, None,
        requires_safety_checker=False,
    )  # fmt: skip


@pytest.mark.skipif(not USE_PEFT_BACKEND, reason="diffusers loads no LoRA with this old transformers")
def test_diffusers_and_peft_load_every_key_and_predict_the_same(bundle: Bundle, tmp_path: Path, caplog) -> None:
    network = random_network(bundle, text=True)
    path = file.save(tmp_path / "x.safetensors", network.tensors(), {"ss_base_model_version": "sd_v1"})
    with network.attached():
        wanted = predict(bundle)
    base = predict(bundle)
    fresh = load_bundle(bundle.path)
    pipe = pipeline(fresh)
    with caplog.at_level("WARNING"):
        pipe.load_lora_weights(str(path), adapter_name="ours")
    assert not re.search("not used|unexpected|missing", caplog.text, re.IGNORECASE)
    loaded = [name for name, _ in pipe.unet.named_modules() if name.endswith("lora_A.ours")]
    text_loaded = [name for name, _ in pipe.text_encoder.named_modules() if name.endswith("lora_A.ours")]
    assert (len(loaded), len(text_loaded)) == (192, 12)
    theirs = predict(fresh)
    torch.testing.assert_close(theirs, wanted, rtol=1e-4, atol=1e-4)
    assert (theirs - base).abs().max() > 0.05


def test_a_lora_for_something_else_is_refused_by_name(bundle: Bundle, tmp_path: Path) -> None:
    foreign = {
        "lora_unet_nothing.lora_down.weight": torch.zeros(2, 2),
        "lora_unet_nothing.lora_up.weight": torch.zeros(2, 2),
    }
    path = file.save(tmp_path / "other.safetensors", foreign, {})
    with pytest.raises(NetworkError, match=r"other.safetensors: 1 of its 1 modules have no place in this model"):
        network_from_file(path, bundle)
    wide = {
        "lora_unet_mid_block_attentions_0_proj_in.lora_down.weight": torch.zeros(2, 99, 1, 1),
        "lora_unet_mid_block_attentions_0_proj_in.lora_up.weight": torch.zeros(99, 2, 1, 1),
    }
    path = file.save(tmp_path / "wide.safetensors", wide, {})
    with pytest.raises(NetworkError, match="trained on another kind of model"):
        network_from_file(path, bundle)
