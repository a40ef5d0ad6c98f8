"""SD1, SD2 and SDXL: no weight is copied, sizes follow from shapes, and each family's own facts hold."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from tests.helpers.checkpoints import (
    CLIP_G,
    FAMILIES,
    FULL_SD2,
    FULL_SDXL,
    OPEN_CLIP,
    UNET,
    Shapes,
    family_tensors,
    open_clip_shapes,
    random_tensors,
    sd2_tensors,
    sdxl_tensors,
    small_checkpoint,
    unet_shapes,
    vae_shapes,
    write_checkpoint,
    write_diffusers,
    write_safetensors,
)
from trainer.config.settings import PREDICTIONS, Settings
from trainer.config.size import Size
from trainer.data.buckets import notes_on_frames
from trainer.diffusion.parameterisation import VELOCITY
from trainer.diffusion.schedule import NoiseSchedule
from trainer.errors import ModelError
from trainer.models.base import Bundle
from trainer.models.checkpoint.identify import identify
from trainer.models.checkpoint.weights import Source, build_empty
from trainer.models.registry import FAMILIES as REGISTERED
from trainer.models.registry import defaults_for, family_of, load_bundle
from trainer.models.stable_diffusion import ldm, shapes


def _within(parameter: Tensor, spans: list[tuple[int, int, int]]) -> bool:
    """Whether a parameter lies in the memory, and in the storage, of one of the source's tensors."""
    storage, start = parameter.untyped_storage().data_ptr(), parameter.data_ptr()
    end = start + parameter.numel() * parameter.element_size()
    return any(storage == owner and low <= start and end <= high for owner, low, high in spans)


@pytest.mark.parametrize("form", ["safetensors", "ckpt", "host"])
@pytest.mark.parametrize("family", ["SD2", "SDXL"])
def test_no_weight_is_copied(tmp_path: Path, family: str, form: str) -> None:
    """Queries, keys and values are views of the one matrix OpenCLIP keeps; the projection is one from the side."""
    tensors = family_tensors(family)
    if form == "host":
        source = Source.of_tensors(tensors, "held by the host")
    elif form == "ckpt":
        source = Source.of_file(identify(write_checkpoint(tmp_path / "x.ckpt", tensors)))
    else:
        source = Source.of_file(identify(write_safetensors(tmp_path / "x.safetensors", tensors)))
    bundle = family_of(source.kind).take(source)
    spans = [
        (each.untyped_storage().data_ptr(), each.data_ptr(), each.data_ptr() + each.numel() * each.element_size())
        for each in source.tensors.values()
    ]
    for name, module in bundle.modules.items():
        copied = [each for each, parameter in module.named_parameters() if not _within(parameter, spans)]
        assert not copied, (name, copied[:3])
        assert not any(parameter.requires_grad for parameter in module.parameters())
        assert not module.training
    assert not _within(torch.zeros(4), spans)


def test_only_the_layers_that_act_are_built() -> None:
    """SD2's files have a layer more than take part; SDXL's have none, since the pooled vector comes from the last."""
    bundle = REGISTERED["SD2"].take(Source.of_tensors(sd2_tensors(), "sd2"))
    assert len(_inner(bundle.text_encoders[0]).encoder.layers) == 2
    bundle = REGISTERED["SDXL"].take(Source.of_tensors(sdxl_tensors(), "sdxl"))
    assert [len(_inner(each).encoder.layers) for each in bundle.text_encoders] == [3, 3]


def _inner(text_encoder: Any) -> Any:
    return getattr(text_encoder, "text_model", text_encoder)


FACTS = {
    "SD1": ("SD1", "epsilon", "stable-diffusion-v1", "sd_v1", 26, 0.18215, Size(512, 512), 0.012),
    "SD2": ("SD2", "epsilon", "stable-diffusion-v2-512", "sd_v2", 26, 0.18215, Size(512, 512), 0.012),
    "SD2-v": ("SD2", "v_prediction", "stable-diffusion-v2-768-v", "sd_v2", 26, 0.18215, Size(768, 768), 0.012),
    "SDXL": ("SDXL", "epsilon", "stable-diffusion-xl-v1-base", "sdxl_base_v1-0", 20, 0.13025, Size(1024, 1024), 0.012),
    "SDXL-v": (
        "SDXL",
        "v_prediction",
        "stable-diffusion-xl-v1-base",
        "sdxl_base_v1-0",
        20,
        0.13025,
        Size(1024, 1024),
        1.0,
    ),
}


@pytest.mark.parametrize("name", FAMILIES)
def test_facts(tmp_path: Path, name: str) -> None:
    path = small_checkpoint(tmp_path, name, dtype=torch.float16)
    bundle = load_bundle(path)
    family = bundle.family
    size = defaults_for(path, "LoRA")["image_size"]
    found = (
        family.name, bundle.diffusion.parameterisation.name, family.architecture_of(bundle), family.base_model_version,
        len(family.blocks), family.scaling_factor, size, pytest.approx(float(bundle.diffusion.schedule.betas[-1])),
    )  # fmt: skip
    assert found == FACTS[name]
    assert set(bundle.dtypes) == set(bundle.modules)
    assert set(bundle.dtypes.values()) == {torch.float16}
    assert len(bundle.text_encoders) == len(bundle.tokenizers) == (2 if family.name == "SDXL" else 1)
    assert (bundle.latent_shape(Size(768, 512)), bundle.notes) == ((4, 64, 96), ())


@pytest.mark.parametrize("velocity", [False, True])
def test_sd2_says_by_its_weights_what_it_predicts(tmp_path: Path, velocity: bool) -> None:
    """Files that say it themselves are believed; the published ones say nothing."""
    tensors = sd2_tensors(velocity=velocity)
    found, other = ("v_prediction", "epsilon") if velocity else ("epsilon", "v_prediction")
    assert load_bundle(write_checkpoint(tmp_path / "x.ckpt", tensors)).diffusion.parameterisation.name == found
    path = write_safetensors(tmp_path / "y.safetensors", tensors)
    assert load_bundle(path).diffusion.parameterisation.name == found
    path.with_suffix(".yaml").write_text(f"parameterization: {'eps' if velocity else 'v'}")
    assert load_bundle(path).diffusion.parameterisation.name == other
    assert defaults_for(path, "LoRA")["image_size"] == (Size(512, 512) if velocity else Size(768, 768))
    assert defaults_for(path, "LoRA", prediction="velocity")["image_size"] == Size(768, 768)


@pytest.mark.parametrize(
    ("told", "size"),
    [
        ("64x64", Size(64, 64)),
        ("512x768", Size(512, 768)),  # width first
        ("1024x1024", Size(1024, 1024)),
        ("100x100", Size(512, 512)),  # nothing that could be trained at
        ("8x8", Size(512, 512)),
        ("large", Size(512, 512)),
    ],
)
def test_a_file_that_says_its_size_is_believed(tmp_path: Path, told: str, size: Size) -> None:
    path = small_checkpoint(tmp_path)
    with safe_open(path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
    save_file(tensors, path, {"modelspec.resolution": told})
    found = {mode: defaults_for(path, mode) for mode in ("LoRA", "iLECO", "Difference", "ADDifT", "Multi-ADDifT")}
    small = {"image_size": Size(64, 64)} if told == "64x64" else {}
    folder = {"image_size": size} | ({"image_min_length": 64} if small else {})
    assert found == {"LoRA": folder, "iLECO": small, "Difference": {}, "ADDifT": {}, "Multi-ADDifT": folder}
    assert not notes_on_frames(replace(Settings(), **folder))


def test_defaults_are_of_family_and_mode(tmp_path: Path) -> None:
    sd1, sdxl = (small_checkpoint(tmp_path, family) for family in ("SD1", "SDXL"))
    found = {mode: defaults_for(sdxl, mode) for mode in ("LoRA", "iLECO", "Difference", "ADDifT", "Multi-ADDifT")}
    assert found == {
        "LoRA": {"image_size": Size(1024, 1024), "network_type": "c3lier"},
        "iLECO": {},
        "Difference": {},
        "ADDifT": {"train_learning_rate": 2e-4},
        "Multi-ADDifT": {"image_size": Size(1024, 1024), "train_learning_rate": 2e-4},
    }
    assert defaults_for(sd1, "ADDifT") == {}
    assert "network_type" not in defaults_for(sd1, "LoRA")


@pytest.mark.parametrize(("mode", "count"), [("ADDifT", 96), ("Multi-ADDifT", 0), ("Difference", 96)])
def test_one_pair_is_described_on_a_flow_alone(tmp_path: Path, mode: str, count: int) -> None:
    path = small_checkpoint(tmp_path, "SDXL")
    found = {each: defaults_for(path, mode, prediction=each).get("diff_descriptions", 0) for each in PREDICTIONS}
    assert found == {"found": 0, "noise": 0, "velocity": 0, "flow": count}


def test_full_size_from_shapes_alone() -> None:
    """The published models' numbers of tensors and parameters, without a byte of memory for any."""
    from diffusers import UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    for sizes, count, parameters in ((FULL_SD2, 686, 865_910_724), (FULL_SDXL, 1680, 2_567_463_684)):
        unet = ldm.shapes_of(ldm.unet_from_ldm(_empty(unet_shapes(sizes))))
        config = shapes.unet_config(unet, heads=REGISTERED["SDXL"].heads, norm_groups=32)
        made: Any = build_empty(lambda config=config: UNet2DConditionModel(**config))
        assert ldm.shapes_of(made.state_dict()) == unet
        assert (len(unet), _parameters(made)) == (count, parameters)
        heads = [each.heads for name, each in made.named_modules() if name.endswith("attn1")]
        assert set(heads) == ({5, 10, 20} if sizes is FULL_SD2 else {10, 20})
    for model, width, layers, last, parameters in (
        (CLIPTextModel, 1024, 24, False, 340_387_840),
        (CLIPTextModelWithProjection, 1280, 32, True, 694_659_840),
    ):
        tensors = _empty(open_clip_shapes(width, layers, 4 * width, 49408))
        clip = ldm.shapes_of(ldm.clip_from_open_clip(tensors, last_layer=last))
        config = shapes.clip_config(clip, exact_gelu=True)
        made = build_empty(lambda model=model, config=config: model(CLIPTextConfig(**config)))
        names = ldm.shapes_of(ldm.clip_without_level(made.state_dict()))
        projection = set() if last else {ldm.PROJECTION}
        assert set(names) - {"embeddings.position_ids"} == set(clip) - projection
        assert _parameters(made) == parameters
        assert made.config.num_attention_heads == width // 64


def _empty(of: Shapes) -> dict[str, Tensor]:
    return {name: torch.empty(shape, device="meta") for name, shape in of.items()}


def _parameters(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


# ---- folders --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["SD2", "SDXL"])
@torch.no_grad()
def test_a_diffusers_folder(tmp_path: Path, family: str) -> None:
    """Against diffusers' and transformers' own readers."""
    from diffusers import UNet2DConditionModel

    folder = write_diffusers(tmp_path / "anime", family)
    bundle = load_bundle(folder)
    assert (bundle.family.name, bundle.path, bundle.name) == (family, None, "anime")
    assert bundle.diffusion.parameterisation is VELOCITY
    assert float(bundle.diffusion.schedule.betas[-1]) == pytest.approx(1.0 if family == "SDXL" else 0.012)
    unet: Any = UNet2DConditionModel.from_pretrained(folder / "unet")
    bundled: Any = bundle.denoiser
    assert [each.heads for name, each in bundled.named_modules() if name.endswith("attn1")] == [
        each.heads for name, each in unet.named_modules() if name.endswith("attn1")
    ]
    conditioning = bundle.encode(["a cat!"], size=Size(64, 64))
    added = {"text_embeds": conditioning.pooled, "time_ids": torch.tensor([[64.0, 64, 0, 0, 64, 64]])}
    x = torch.randn(1, 4, 8, 8)
    expected = unet(x, 5, conditioning.sequence, added_cond_kwargs=added).sample
    torch.testing.assert_close(bundle.predict(x, torch.tensor([5]), conditioning), expected, rtol=0, atol=1e-6)


@torch.no_grad()
def test_sdxl_prompts_are_the_pipelines(tmp_path: Path) -> None:
    """One prompt of one window; diffusers takes a "!" for padding, so none is in it."""
    pipelines = pytest.importorskip("diffusers", reason="no pipelines")
    from transformers import CLIPTextModel, CLIPTextModelWithProjection

    from trainer.models.stable_diffusion.clip import clip_tokenizer

    try:
        pipeline = pipelines.StableDiffusionXLPipeline
    except (ImportError, RuntimeError):
        pytest.skip("this diffusers' pipelines do not import beside this transformers")
    folder = write_diffusers(tmp_path / "anime", "SDXL")
    bundle = load_bundle(folder)
    second = clip_tokenizer()
    second.pad_token = "!"
    made = pipeline(
        vae=bundle.vae,
        text_encoder=CLIPTextModel.from_pretrained(folder / "text_encoder"),
        text_encoder_2=CLIPTextModelWithProjection.from_pretrained(folder / "text_encoder_2"),
        tokenizer=clip_tokenizer(),
        tokenizer_2=second,
        unet=bundle.denoiser,
        scheduler=None,
        add_watermarker=False,
    )
    for clip_skip in (None, 1):
        sequence, _, pooled, _ = made.encode_prompt(
            "a red circle, large", do_classifier_free_guidance=False, clip_skip=clip_skip
        )
        ours = bundle.family.encode(bundle, ["a red circle, large"], clip_skip=1 if clip_skip is None else 2)
        torch.testing.assert_close(ours.sequence, sequence, rtol=0, atol=1e-5)
        torch.testing.assert_close(ours.pooled, pooled, rtol=0, atol=1e-5)


# ---- noise ----------------------------------------------------------------------------------------------------------


def test_zero_terminal_snr_is_diffusers_own() -> None:
    from diffusers.schedulers.scheduling_ddim import rescale_zero_terminal_snr

    from trainer.diffusion.schedule import scaled_linear_betas, zero_terminal_snr

    betas = scaled_linear_betas()
    expected = rescale_zero_terminal_snr(betas)
    torch.testing.assert_close(zero_terminal_snr(betas), expected, rtol=0, atol=1e-12)
    schedule = NoiseSchedule.of_betas(betas).with_zero_terminal_snr()
    assert (float(schedule.signal[-1]), float(schedule.noise[-1])) == (0.0, 1.0)
    assert schedule.signal[0] == NoiseSchedule.of_betas(betas).signal[0]
    assert float(schedule.snr(torch.tensor([999]))) == 0.0


# ---- what does not fit ----------------------------------------------------------------------------------------------


def test_what_does_not_fit_is_named(tmp_path: Path) -> None:
    def sentence(tensors: dict[str, Tensor]) -> str:
        with pytest.raises(ModelError) as caught:
            load_bundle(write_safetensors(tmp_path / "x.safetensors", tensors))
        return str(caught.value)

    sd2, sdxl = sd2_tensors(), sdxl_tensors()
    missing = {name: t for name, t in sd2.items() if name != f"{OPEN_CLIP}transformer.resblocks.0.ln_1.bias"}
    assert "the text encoder of x.safetensors does not fit together: " in sentence(missing)
    surprise = {**sd2, f"{OPEN_CLIP}surprise": torch.zeros(1)}
    assert "surprise is not known. Choose another checkpoint" in sentence(surprise)
    first_only = {name: t for name, t in sdxl.items() if not name.startswith(CLIP_G)}
    assert sentence(first_only) == "x.safetensors lacks: second text encoder. Choose a full checkpoint."
    unlabelled = {name: t for name, t in sdxl.items() if name != f"{UNET}label_emb.0.2.weight"}
    assert "the U-Net of x.safetensors is incomplete" in sentence(unlabelled)


VAES = {
    ("SD1", "sdxl_vae.safetensors"): "SDXL",
    ("SD2", "my-XL-vae.safetensors"): "SDXL",
    ("SDXL", "vae-ft-mse-840000-ema-pruned.safetensors"): "SD1 and SD2",
    ("SDXL", "kl-f8-anime2.ckpt.safetensors"): "SD1 and SD2",
    ("SDXL", "sdxl-vae-fp16-fix.safetensors"): "",
    ("SD1", "vae-ft-ema-560000.safetensors"): "",
    ("SDXL", "excellent.safetensors"): "",
    ("SD1", "excellent.safetensors"): "",
}


@pytest.mark.parametrize(("family", "name"), VAES)
def test_a_vae_of_another_family_is_told_by_its_name(tmp_path: Path, family: str, name: str) -> None:
    sizes = replace(FULL_SD2, vae=(32, 64), vae_layers=1)
    vae = write_safetensors(tmp_path / name, random_tensors(vae_shapes(sizes)))
    made_for = VAES[family, name]
    bundle = load_bundle(small_checkpoint(tmp_path, family), vae=vae)
    sentence = (
        f"{name} is by its name a VAE for {made_for}, and the model is {family}. If so, its images come out wrong: "
        "choose another VAE, or none."
    )
    assert [str(note) for note in bundle.notes] == ([sentence] if made_for else [])


@pytest.mark.parametrize(
    ("family", "name", "survives"),
    [
        ("SD1", "", True),
        ("SD2", "", True),
        ("SDXL", "", False),
        ("SDXL", "sdxl_vae.safetensors", False),
        ("SDXL", "sdxl-vae-fp16-fix.safetensors", True),
        ("SDXL", "SDXL.vae.FP16-fixed.safetensors", True),
    ],
)
def test_which_vae_survives_half(family: str, name: str, survives: bool) -> None:
    kind = Source.of_tensors(family_tensors(family), "x").kind
    assert family_of(kind).vae_survives_half(name) is survives


def test_norm_groups_are_read_for_every_family(tmp_path: Path) -> None:
    for family in ("SD2", "SDXL"):
        bundle: Bundle = load_bundle(small_checkpoint(tmp_path, family))
        groups = {each.num_groups for each in bundle.denoiser.modules() if isinstance(each, torch.nn.GroupNorm)}
        assert groups == {8}
        assert json.loads(identify(tmp_path / f"small-{family.lower()}.safetensors").metadata["trainyard_config"])
