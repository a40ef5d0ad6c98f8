"""SD1 checkpoints in every form they come in: nothing is copied, nothing is lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.helpers.checkpoints import (
    FULL,
    TEXT,
    UNET,
    VAE,
    Sizes,
    random_tensors,
    sd1_tensors,
    text_shapes,
    unet_shapes,
    vae_shapes,
    write_checkpoint,
    write_diffusers,
    write_safetensors,
)
from trainer.config.size import Size
from trainer.diffusion.parameterisation import EPSILON, VELOCITY
from trainer.errors import ModelError
from trainer.models.base import Bundle
from trainer.models.checkpoint.identify import identify
from trainer.models.checkpoint.weights import Source, build_empty, cast
from trainer.models.latents import decode, encode_images
from trainer.models.registry import FAMILIES, load_bundle
from trainer.models.stable_diffusion import ldm, shapes

Change = Callable[[dict[str, Tensor]], dict[str, Tensor]]


@pytest.fixture(scope="module")
def tensors() -> dict[str, Tensor]:
    return sd1_tensors()


@pytest.fixture(scope="module")
def expected(tensors: dict[str, Tensor]) -> list[Tensor]:
    return outputs(FAMILIES["SD1"].take(Source.of_tensors(tensors, "reference")))


@torch.no_grad()
def outputs(bundle: Bundle) -> list[Tensor]:
    """Everything a bundle computes, on fixed inputs."""
    generator = torch.Generator().manual_seed(1)
    conditioning = bundle.encode(["a red circle", ""])
    noisy = torch.randn(2, 4, 8, 8, generator=generator)
    latents = encode_images(bundle, torch.rand(1, 3, 64, 64, generator=generator))
    prediction = bundle.predict(noisy, torch.tensor([10, 900]), conditioning)
    return [conditioning.sequence, prediction, latents, decode(bundle, latents)]


def _assert_same(found: list[Tensor], wanted: list[Tensor]) -> None:
    """Where a file lies in memory decides on some processors which kernel adds up: the last bits may differ."""
    for left, right in zip(found, wanted, strict=True):
        torch.testing.assert_close(left, right, rtol=1e-4, atol=1e-5)


def _pages(tensors: dict[str, Tensor] | torch.nn.Module) -> set[int]:
    found = tensors.state_dict() if isinstance(tensors, torch.nn.Module) else tensors
    return {tensor.data_ptr() for tensor in found.values()}


def _storage_is_shared(bundle: Bundle, source: Source) -> None:
    """Every parameter of every module lies where the source's tensor lies."""
    pages = _pages(dict(source.tensors))
    for module in bundle.modules.values():
        ours = {parameter.data_ptr() for parameter in module.parameters()}
        assert ours <= pages
        assert len(ours) == len(list(module.parameters()))


@pytest.mark.parametrize("form", ["safetensors", "ckpt", "folder", "host"])
def test_no_weight_is_copied(tmp_path: Path, tensors: dict[str, Tensor], form: str) -> None:
    if form == "host":
        source = Source.of_tensors(tensors, "held by the host")
    elif form == "folder":
        source = Source.of_file(identify(write_diffusers(tmp_path / "folder")))
    elif form == "ckpt":
        source = Source.of_file(identify(write_checkpoint(tmp_path / "x.ckpt", tensors)))
    else:
        source = Source.of_file(identify(write_safetensors(tmp_path / "x.safetensors", tensors)))
    bundle = FAMILIES["SD1"].take(source)
    _storage_is_shared(bundle, source)
    for module in bundle.modules.values():
        assert not module.training
        assert not any(parameter.requires_grad for parameter in module.parameters())
        assert not any(tensor.is_meta for tensor in (*module.parameters(), *module.buffers()))


def test_a_mapped_file_stays_on_its_pages(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    """Not the reader's copy of them either: the addresses are in the file's own mapping."""
    maps = Path("/proc/self/maps")
    if not maps.exists():
        pytest.skip("this system does not list its mappings")
    bundle = load_bundle(write_safetensors(tmp_path / "mapped.safetensors", tensors))
    rows = [line.split()[0].split("-") for line in maps.read_text().splitlines() if "mapped.safetensors" in line]
    ranges = [(int(low, 16), int(high, 16)) for low, high in rows]
    for module in bundle.modules.values():
        for parameter in module.parameters():
            assert any(low <= parameter.data_ptr() < high for low, high in ranges)


def test_a_hosts_own_parameters_keep_their_flags(tensors: dict[str, Tensor]) -> None:
    held = {name: torch.nn.Parameter(tensor, tensor.is_floating_point()) for name, tensor in tensors.items()}
    FAMILIES["SD1"].take(Source.of_tensors(held, "held"))
    assert all(parameter.requires_grad for name, parameter in held.items() if parameter.is_floating_point())


def linear_attention(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: t.reshape(t.shape[:2]) if "mid.attn_1" in name and t.ndim == 4 else t for name, t in tensors.items()}


def without_level(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.replace(".transformer.text_model.", ".transformer."): tensor for name, tensor in tensors.items()}


def with_leftovers(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """What training leaves in a file: averaged weights, schedules, the VAE's loss."""
    averaged = {"model_ema." + name.replace(".", ""): tensor * 2 for name, tensor in tensors.items()}
    schedule = {"betas": torch.rand(1000), "alphas_cumprod": torch.rand(1000), "model_ema.decay": torch.tensor(1.0)}
    loss = {VAE + "loss.logvar": torch.zeros(1), VAE + "model_ema.decay": torch.zeros(1)}
    return {**averaged, **tensors, **schedule, **loss}


def half_positions(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    name = TEXT + "embeddings.position_ids"
    return {**tensors, name: tensors[name].half() + 0.6}


def no_positions(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in tensors.items() if "position_ids" not in name}


@pytest.mark.parametrize("change", [linear_attention, without_level, with_leftovers, half_positions, no_positions])
@pytest.mark.parametrize("ending", ["safetensors", "ckpt", "legacy.ckpt"])
def test_forms_of_one_checkpoint(
    tmp_path: Path, tensors: dict[str, Tensor], expected: list[Tensor], change: Change, ending: str
) -> None:
    path = tmp_path / f"model.{ending}"
    if ending == "safetensors":
        write_safetensors(path, change(tensors))
    else:
        write_checkpoint(path, change(tensors), legacy=ending.startswith("legacy"))
    _assert_same(outputs(load_bundle(path)), expected)


@pytest.mark.parametrize(("variant", "binary"), [("", False), ("fp16", False), ("", True)])
@torch.no_grad()
def test_a_diffusers_folder(tmp_path: Path, variant: str, binary: bool) -> None:
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextModel

    folder = write_diffusers(tmp_path / "anime", variant=variant, binary=binary)
    bundle = load_bundle(folder)
    assert bundle.diffusion.parameterisation is VELOCITY
    assert (bundle.path, bundle.name) == (None, "anime")
    if not binary:
        text = CLIPTextModel.from_pretrained(folder / "text_encoder", variant=variant or None)
        ids = torch.arange(77).unsqueeze(0)
        torch.testing.assert_close(bundle.text_encoders[0](ids)[0], text(ids)[0], rtol=0, atol=0)
    unet = UNet2DConditionModel.from_pretrained(folder / "unet", variant=variant or None)
    vae = AutoencoderKL.from_pretrained(folder / "vae", variant=variant or None)
    x, context = torch.randn(1, 4, 8, 8), torch.randn(1, 77, 64)
    torch.testing.assert_close(bundle.denoiser(x, 5, context).sample, unet(x, 5, context).sample, rtol=0, atol=0)
    torch.testing.assert_close(decode(bundle, x), vae.decode(x / 0.18215).sample, rtol=0, atol=0)


def test_group_counts_from_the_metadata(tmp_path: Path, tensors: dict[str, Tensor], expected: list[Tensor]) -> None:
    stated = {"trainyard_config": json.dumps({"unet_norm_groups": 8, "vae_norm_groups": 16})}
    bundle = load_bundle(write_safetensors(tmp_path / "toy.safetensors", tensors, stated))
    norms = {
        name: {each.num_groups for each in module.modules() if isinstance(each, torch.nn.GroupNorm)}
        for name, module in bundle.modules.items()
    }
    assert norms == {"denoiser": {8}, "vae": {16}, "text_encoder": set()}
    broken = write_safetensors(tmp_path / "broken.safetensors", tensors, {"trainyard_config": "{"})
    with pytest.raises(ModelError, match="trainyard_config in the metadata"):
        load_bundle(broken)
    odd = write_safetensors(tmp_path / "odd.safetensors", tensors, {"trainyard_config": '{"unet_norm_groups": 7}'})
    with pytest.raises(ModelError, match="sizes that do not go together"):
        load_bundle(odd)


def _old_name(name: str) -> str:
    """What diffusers before 0.17 called the parts of a VAE's attention."""
    for new, old in (("to_q", "query"), ("to_k", "key"), ("to_v", "value"), ("to_out.0", "proj_attn")):
        name = name.replace(new, old)
    return name


@pytest.mark.parametrize("naming", ["ldm", "prefixed", "diffusers", "old diffusers"])
def test_a_separate_vae(tmp_path: Path, tensors: dict[str, Tensor], naming: str) -> None:
    own = random_tensors(vae_shapes(Sizes()), seed=9)
    renamed = {
        "ldm": own,
        "prefixed": {VAE + name: tensor for name, tensor in own.items()},
        "diffusers": ldm.vae_from_ldm(own),
        "old diffusers": {
            name.replace("to_q", "query")
            .replace("to_k", "key")
            .replace("to_v", "value")
            .replace("to_out.0", "proj_attn"): t
            for name, t in ldm.vae_from_ldm(own).items()
        },
    }[naming]
    # safetensors refuses views of one tensor under two names, and wants them contiguous.
    vae = write_safetensors(tmp_path / "fine.vae.safetensors", {name: t.clone() for name, t in renamed.items()})
    pruned = {name: tensor for name, tensor in tensors.items() if not name.startswith(VAE)}
    for whose in (tensors, pruned):
        bundle = load_bundle(write_safetensors(tmp_path / "x.safetensors", whose), vae=vae)
        assert bundle.vae_name == "fine.vae.safetensors"
        wanted = FAMILIES["SD1"].take(
            Source.of_tensors({**tensors, **{VAE + name: t for name, t in own.items()}}, "reference")
        )
        _assert_same(outputs(bundle), outputs(wanted))


def test_a_vae_pt_file(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    own = random_tensors(vae_shapes(Sizes()), seed=9)
    vae = write_checkpoint(tmp_path / "fine.vae.pt", {**own, "loss.logvar": torch.zeros(())})
    bundle = load_bundle(write_safetensors(tmp_path / "x.safetensors", tensors), vae=vae)
    assert torch.equal(bundle.vae.get_parameter("encoder.conv_in.weight"), own["encoder.conv_in.weight"])


BROKEN: dict[str, tuple[Change, str]] = {
    "one missing": (
        lambda t: {name: x for name, x in t.items() if name != UNET + "out.2.bias"},
        "the U-Net of x.safetensors does not fit together: conv_out.bias is missing",
    ),
    "unknown one": (
        lambda t: {**t, TEXT + "surprise": torch.zeros(1)},
        "surprise is not known. Choose another checkpoint.",
    ),
    "wrong shape": (
        lambda t: {**t, VAE + "decoder.conv_in.bias": torch.zeros(5)},
        "the VAE of x.safetensors does not fit together: decoder.conv_in.bias has another shape",
    ),
    "half the U-Net": (
        lambda t: {name: x for name, x in t.items() if "output_blocks" not in name},
        "the U-Net of x.safetensors",
    ),
    "only the first convolution": (
        lambda t: {n: x for n, x in t.items() if not n.startswith(UNET) or "input_blocks.0." in n or "proj_in" in n},
        "the U-Net of x.safetensors is incomplete",
    ),
    "no CLIP layers": (
        lambda t: {name: x for name, x in t.items() if "encoder.layers" not in name},
        "the text encoder of x.safetensors is incomplete",
    ),
    "quantised": (
        lambda t: {**t, UNET + "out.2.weight": t[UNET + "out.2.weight"].to(torch.int8)},
        "the U-Net of x.safetensors is stored as whole numbers (conv_out.weight), which cannot be trained on",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_does_not_fit_is_named(tmp_path: Path, tensors: dict[str, Tensor], name: str) -> None:
    change, sentence = BROKEN[name]
    with pytest.raises(ModelError) as caught:
        load_bundle(write_safetensors(tmp_path / "x.safetensors", change(tensors)))
    assert sentence in str(caught.value)


def test_facts_of_a_bundle(tmp_path: Path) -> None:
    stored = sd1_tensors(dtype=torch.float16)
    stored = {name: tensor.bfloat16() if name.startswith(VAE) else tensor for name, tensor in stored.items()}
    path = write_safetensors(tmp_path / "anime.safetensors", stored)
    bundle = load_bundle(path)
    assert bundle.dtypes == {"denoiser": torch.float16, "vae": torch.bfloat16, "text_encoder": torch.float16}
    assert (bundle.family.scaling_factor, bundle.latent_channels) == (0.18215, 4)
    assert bundle.latent_shape(Size(768, 512)) == (4, 64, 96)
    assert bundle.diffusion.parameterisation is EPSILON
    assert bundle.diffusion.schedule.betas.shape == (1000,)
    assert bundle.diffusion.schedule.betas[[0, -1]].tolist() == pytest.approx([0.00085, 0.012])
    assert bundle.path == path
    assert bundle.name == "anime.safetensors"
    assert bundle.family.name == "SD1"
    assert len(bundle.family.blocks) == 26


def test_casting_copies_only_what_must_change() -> None:
    tensors = sd1_tensors(dtype=torch.float16)
    bundle = FAMILIES["SD1"].take(Source.of_tensors(tensors, "half"))
    before = _pages(bundle.denoiser)
    assert before <= _pages(tensors)
    assert _pages(cast(bundle.denoiser, torch.float16)) == before
    assert _pages(cast(bundle.denoiser, torch.float32)).isdisjoint(before)


def test_full_size_from_shapes_alone() -> None:
    """SD1.5: 686 tensors in the U-Net and 248 in the VAE, without a byte of memory for any."""
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    def empty(of: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
        return {name: torch.empty(shape, device="meta") for name, shape in of.items()}

    unet = ldm.shapes_of(ldm.unet_from_ldm(empty(unet_shapes(FULL))))
    vae = ldm.shapes_of(ldm.vae_from_ldm(empty(vae_shapes(FULL))))
    made = build_empty(lambda: UNet2DConditionModel(**shapes.unet_config(unet, heads=lambda width: 8, norm_groups=32)))
    assert ldm.shapes_of(made.state_dict()) == unet
    assert len(unet) == 686
    assert sum(tensor.numel() for tensor in made.parameters()) == 859_520_964
    config = shapes.vae_config(vae, norm_groups=32, scaling_factor=0.18215)
    made = build_empty(lambda: AutoencoderKL(**config))
    assert ldm.shapes_of(made.state_dict()) == vae
    assert len(vae) == 248
    assert sum(tensor.numel() for tensor in made.parameters()) == 83_653_863
    clip = text_shapes(FULL)
    made = build_empty(lambda: CLIPTextModel(CLIPTextConfig(**shapes.clip_config(clip))))
    names = ldm.shapes_of(ldm.clip_without_level(made.state_dict()))
    assert {name: shape for name, shape in names.items() if not name.endswith("position_ids")} == clip
    assert sum(tensor.numel() for tensor in made.parameters()) == 123_060_480
    assert made.config.num_attention_heads == 12
