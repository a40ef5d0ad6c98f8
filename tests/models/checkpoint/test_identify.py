"""What a file is, from its header alone; and the sentence for each file that is not what it was chosen as."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.helpers.checkpoints import (
    CLIP_L,
    FULL,
    FULL_SD2,
    FULL_SDXL,
    SD2,
    SDXL,
    TEXT,
    UNET,
    VAE,
    Shapes,
    Sizes,
    sd1_shapes,
    sd1_tensors,
    sd2_shapes,
    sdxl_shapes,
    text_shapes,
    unet_shapes,
    vae_shapes,
    write_checkpoint,
    write_diffusers,
)
from trainer.errors import ModelError, UserError
from trainer.models.checkpoint import weights
from trainer.models.checkpoint.header import Header, TensorInfo
from trainer.models.checkpoint.identify import Kind, classify, identify
from trainer.models.checkpoint.parts import DENOISER, TEXT_ENCODER
from trainer.models.checkpoint.parts import VAE as VAE_PART
from trainer.models.registry import check_files, load_bundle, refuse_unless_checkpoint, refuse_unless_vae

ROOT = Path(__file__).resolve().parents[3]


def write_header(path: Path, shapes: Shapes, metadata: Mapping[str, str] | None = None) -> Path:
    """A safetensors file of these shapes in fp16 whose weights are a hole: full size, and no room on the disk."""
    table: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    end = 0
    for name, shape in shapes.items():
        start, end = end, end + 2 * int(torch.Size(shape).numel())
        table[name] = {"dtype": "F16", "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(table).encode()
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + end)
    return path


def prefixed(prefix: str, shapes: Shapes) -> dict[str, tuple[int, ...]]:
    return {prefix + name: shape for name, shape in shapes.items()}


def sd2(channels: int = 4) -> Shapes:
    return sd2_shapes(replace(FULL_SD2, in_channels=channels))


def sdxl(sizes: Sizes = FULL_SDXL, **changes: Any) -> Shapes:
    return sdxl_shapes(replace(sizes, **changes))


def refiner() -> Shapes:
    """One text encoder, OpenCLIP-G, and a context of its width."""
    text = {name.replace("embedders.1.", "embedders.0."): shape for name, shape in sdxl(context=1280).items()}
    return {name: shape for name, shape in text.items() if not name.startswith(CLIP_L)}


def unclip() -> Shapes:
    label = {"label_emb.0.0.weight": (1280, 2048), "label_emb.0.0.bias": (1280,)}
    return {**sd2(), **prefixed(UNET, label), "embedder.model.visual.proj": (1280, 1024)}


def lora(*endings: str, prefix: str = "lora_unet_down_blocks_0_attentions_0_proj_in") -> dict[str, tuple[int, ...]]:
    return {f"{prefix}{number}.{ending}": (4, 4) for number in range(3) for ending in endings}


FILES: dict[str, tuple[Kind, dict[str, tuple[int, ...]]]] = {
    "sd1": (Kind.SD1, sd1_shapes()),
    "sd1 small": (Kind.SD1, sd1_shapes(Sizes())),
    "sd1 diffusers' unet": (Kind.SD1, {
        "conv_in.weight": (320, 4, 3, 3), "time_embedding.linear_1.weight": (1280, 320),
        "down_blocks.0.attentions.0.proj_in.weight": (320, 320, 1, 1),
    }),
    "sd1 inpainting": (Kind.SD1_INPAINTING, sd1_shapes(Sizes(in_channels=9))),
    "instruct-pix2pix": (Kind.UNKNOWN, sd1_shapes(Sizes(in_channels=8))),
    "sd2": (Kind.SD2, sd2()),
    "sd2 small": (Kind.SD2, sd2_shapes(SD2)),
    "sd2 inpainting": (Kind.SD2_INPAINTING, sd2(9)),
    "sd2 depth": (Kind.SD2_DEPTH, sd2(5)),
    "sd2 unclip": (Kind.SD2_UNCLIP, unclip()),
    "sd2 upscaler": (Kind.SD2_UPSCALER, {**sd2(7), **prefixed(UNET, {"label_emb.weight": (1000, 1024)})}),
    "sdxl": (Kind.SDXL, sdxl()),
    "sdxl small": (Kind.SDXL, sdxl(SDXL)),
    "sdxl inpainting": (Kind.SDXL_INPAINTING, sdxl(in_channels=9)),
    "sdxl refiner": (Kind.SDXL_REFINER, refiner()),
    "playground 2.5": (Kind.SDXL_EDM, {**sdxl(), "edm_mean": (1, 4, 1, 1), "edm_std": (1, 4, 1, 1)}),
    "cosxl": (Kind.SDXL_EDM, {**sdxl(), "edm_vpred.sigma_max": (), "edm_vpred.sigma_min": ()}),
    "kohya lora": (Kind.LORA, lora("lora_down.weight", "lora_up.weight", "alpha")),
    "loha": (Kind.LORA, lora("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b", "alpha")),
    "lokr": (Kind.LORA, lora("lokr_w1", "lokr_w2_a", "lokr_w2_b", "alpha")),
    "lycoris full": (Kind.LORA, lora("diff", "diff_b")),
    "diffusers lora": (Kind.LORA, lora("lora.down.weight", "lora.up.weight", prefix="unet.mid_block.attn1.to_q")),
    "old diffusers lora": (Kind.LORA, {
        f"mid_block.attn1.processor.to_{part}_lora.{way}.weight": (4, 4) for part in "qkv" for way in ("up", "down")
    }),
    "peft lora": (Kind.LORA, lora("lora_A.weight", "lora_B.weight", prefix="base_model.model.conv_in")),
    "peft lora, named": (Kind.LORA, lora("lora_A.default.weight", "lora_B.default.weight", prefix="transformer.x")),
    "controlnet": (Kind.CONTROLNET, {"control_model.input_blocks.0.0.weight": (320, 4, 3, 3)}),
    "diffusers controlnet": (Kind.CONTROLNET, {
        "controlnet_cond_embedding.conv_in.weight": (16, 3, 3, 3), "conv_in.weight": (320, 4, 3, 3),
        "time_embedding.linear_1.weight": (1280, 320),
    }),
    "ip-adapter": (Kind.IP_ADAPTER, {"image_proj.proj.weight": (3072, 1024)}),
    "embedding": (Kind.EMBEDDING, {"emb_params": (8, 768)}),
    "sdxl embedding": (Kind.EMBEDDING, {"clip_l": (8, 768), "clip_g": (8, 1280)}),
    "vae": (Kind.VAE, vae_shapes(FULL)),
    "vae with prefix": (Kind.VAE, prefixed(VAE, vae_shapes(FULL))),
    "clip": (Kind.CLIP, prefixed("text_model.", text_shapes(FULL))),
    "clip without level": (Kind.CLIP, text_shapes(FULL)),
    "openclip": (Kind.CLIP, {"transformer.resblocks.0.attn.in_proj_weight": (3840, 1280)}),
    "clip vision": (Kind.CLIP_VISION, {"vision_model.encoder.layers.0.self_attn.k_proj.weight": (1024, 1024)}),
    "t5": (Kind.T5, {"encoder.block.0.layer.0.SelfAttention.q.weight": (4096, 4096)}),
    "qwen": (Kind.LANGUAGE_MODEL, {"model.layers.0.self_attn.q_proj.weight": (4096, 2560)}),
    "esrgan": (Kind.UPSCALER, {"conv_first.weight": (64, 3, 3, 3)}),
    "something": (Kind.UNKNOWN, {f"layer{number}.weight": (3, 3, 3) for number in range(9)}),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_kinds(tmp_path: Path, name: str) -> None:
    kind, shapes = FILES[name]
    found = identify(write_header(tmp_path / "file.safetensors", shapes))
    assert found.kind is kind
    assert found.name == "file.safetensors"
    assert {each: info.shape for each, info in found.tensors.items()} == shapes


def test_parts_and_family(tmp_path: Path) -> None:
    found = identify(write_header(tmp_path / "whole.safetensors", sd1_shapes()))
    assert found.family == "SD1"
    assert found.parts == {DENOISER, VAE_PART, TEXT_ENCODER}
    alone = identify(write_header(tmp_path / "unet.safetensors", prefixed(UNET, unet_shapes(FULL))))
    assert alone.parts == {DENOISER}
    assert str(alone.label) == "the U-Net of an SD1 checkpoint"


V, E, F = "v_prediction", "epsilon", "flow"


@pytest.mark.parametrize(
    ("extra", "metadata", "beside", "expected"),
    [
        ({}, {}, "", None),
        ({"v_pred": (0,)}, {}, "", V),
        ({"v_pred": (0,)}, {"modelspec.prediction_type": "epsilon"}, "", V),
        ({}, {"modelspec.prediction_type": "v"}, "", V),
        ({}, {"modelspec.prediction_type": "epsilon"}, "", E),
        ({}, {"modelspec.architecture": "stable-diffusion-v2-768-v"}, "", V),
        ({}, {"modelspec.architecture": "stable-diffusion-v2-512"}, "", E),
        ({}, {}, 'model:\n  params:\n    parameterization: "v"\n', V),
        ({}, {"modelspec.prediction_type": "epsilon"}, "    parameterization: v\n", V),
        ({}, {}, "    parameterization: eps", E),
        ({}, {}, "model:\n  target: ldm.models.diffusion.ddpm.LatentDiffusion\n", E),
        ({}, {}, "# parameterization: v\nsomething: else", None),
        ({}, {"modelspec.prediction_type": "flow"}, "", F),
        ({}, {"modelspec.prediction_type": "Rectified_Flow"}, "", F),
        ({}, {"trainyard_config": '{"unet_norm_groups": 8, "prediction": "flow"}'}, "", F),
        ({}, {"trainyard_config": '{"prediction": "velocity"}', "modelspec.prediction_type": "epsilon"}, "", V),
        ({}, {"trainyard_config": "[", "modelspec.prediction_type": "epsilon"}, "", E),
        ({}, {"modelspec.prediction_type": " none "}, "", None),
        ({}, {"modelspec.prediction_type": "EDM"}, "", "EDM"),
        ({}, {}, "    parameterization: x0", "x0"),
    ],
)
def test_prediction_type(
    tmp_path: Path, extra: Shapes, metadata: Mapping[str, str], beside: str, expected: str | None
) -> None:
    path = write_header(tmp_path / "x.safetensors", {**sd1_shapes(Sizes()), **extra}, metadata)
    if beside:
        (tmp_path / "x.yaml").write_text(beside)
    found = identify(path)
    assert found.prediction_type == expected
    assert found.metadata == metadata


@pytest.mark.parametrize(
    ("name", "flows"),
    [
        ("ChenkinNoob-XL-v0.2-Rectified-Flow", True), ("noob_rf_v1", True), ("NoobRF-epoch3", True), ("x-RF", True),
        ("rf", True), ("SURF-style", False), ("surf_xl", False), ("perf-RFX", False), ("dwarf", False), ("nerf", False),
    ],
)  # fmt: skip
def test_a_rectified_flow_of_sdxl_is_known_by_its_name(tmp_path: Path, name: str, *, flows: bool) -> None:
    tmp_path = tmp_path / "models"  # whatever the test's own folder is called
    tmp_path.mkdir()
    found = identify(write_header(tmp_path / f"{name}.safetensors", sdxl(SDXL)))
    assert (found.prediction_type, found.prediction_reason) == ((F, "name") if flows else (None, ""))
    marked = identify(write_header(tmp_path / f"{name}-v.safetensors", {**sdxl(SDXL), "v_pred": (0,)}))
    assert (marked.prediction_type, marked.prediction_reason) == (V, "mark")
    told = identify(write_header(tmp_path / f"{name}-n.safetensors", sdxl(SDXL), {"modelspec.prediction_type": "eps"}))
    assert (told.prediction_type, told.prediction_reason) == (E, "metadata")
    assert identify(write_header(tmp_path / f"{name}-1.safetensors", sd1_shapes())).prediction_type is None


def test_the_whole_word_in_a_folders_name_will_do(tmp_path: Path) -> None:
    for folder, expected in (("my rectified ones", F), ("RF", None)):
        (tmp_path / folder).mkdir()
        assert identify(write_header(tmp_path / folder / "x.safetensors", sdxl(SDXL))).prediction_type == expected


def test_what_a_folders_scheduler_says_by_its_class() -> None:
    header = Header({name: TensorInfo("F16", shape) for name, shape in sdxl(SDXL).items()})
    for name, kind, expected in (
        ("FlowMatchEulerDiscreteScheduler", Kind.SDXL, (F, "scheduler")),
        ("EulerDiscreteScheduler", Kind.SDXL, (E, "scheduler")),
        ("EDMDPMSolverMultistepScheduler", Kind.SDXL_EDM, (E, "scheduler")),
    ):
        config = {"_class_name": name} | ({} if expected[0] == F else {"prediction_type": "epsilon"})
        found = classify("it", header, configs={"scheduler": config})
        assert (found.kind, found.prediction_type, found.prediction_reason) == (kind, *expected)


def test_zero_terminal_snr_is_marked(tmp_path: Path) -> None:
    assert not identify(write_header(tmp_path / "x.safetensors", sdxl(SDXL))).zero_terminal_snr
    assert identify(write_header(tmp_path / "y.safetensors", {**sdxl(SDXL), "ztsnr": (0,)})).zero_terminal_snr


def test_a_checkpoint_saved_by_torch(tmp_path: Path) -> None:
    tensors = sd1_tensors()
    found = identify(write_checkpoint(tmp_path / "x.ckpt", tensors))
    assert found.kind is Kind.SD1
    assert {name: info.shape for name, info in found.tensors.items()} == {
        name: tuple(tensor.shape) for name, tensor in tensors.items()
    }
    assert found.tensors[TEXT + "embeddings.position_ids"].dtype == "I64"


def test_a_folder(tmp_path: Path) -> None:
    found = identify(write_diffusers(tmp_path / "some model"))
    assert (found.kind, found.family, found.prediction_type) == (Kind.SD1, "SD1", "v_prediction")
    assert found.parts == {DENOISER, VAE_PART, TEXT_ENCODER}
    assert found.name == "some model"


def test_identify_needs_no_torch(tmp_path: Path) -> None:
    model = write_header(tmp_path / "x.safetensors", sd1_shapes())
    pickled = write_checkpoint(tmp_path / "x.ckpt", {"conv_first.weight": torch.zeros(1)})
    code = (
        "import sys; from trainer.models.checkpoint.identify import identify\n"
        f"print(identify({str(model)!r}).kind.name, identify({str(pickled)!r}).kind.name, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["SD1", "UPSCALER", "False"]


CHOOSE = "Choose a checkpoint of one of these families: SD1, SD2, SDXL."
REFUSED = {
    "kohya lora": (ModelError, f"it.safetensors is a LoRA (3 modules), not a checkpoint. {CHOOSE}"),
    "loha": (ModelError, f"it.safetensors is a LoHa (3 modules), not a checkpoint. {CHOOSE}"),
    "peft lora": (ModelError, f"it.safetensors is a LoRA (3 modules), not a checkpoint. {CHOOSE}"),
    "vae": (ModelError, f"it.safetensors is a VAE, not a checkpoint. {CHOOSE}"),
    "clip": (ModelError, f"it.safetensors is a CLIP text encoder, not a checkpoint. {CHOOSE}"),
    "t5": (ModelError, f"it.safetensors is a T5 text encoder, not a checkpoint. {CHOOSE}"),
    "controlnet": (ModelError, f"it.safetensors is a ControlNet, not a checkpoint. {CHOOSE}"),
    "embedding": (ModelError, f"it.safetensors is a textual inversion embedding, not a checkpoint. {CHOOSE}"),
    "esrgan": (ModelError, f"it.safetensors is an upscaler, not a checkpoint. {CHOOSE}"),
    "something": (ModelError, f"it.safetensors is a model of a kind Trainyard does not know. {CHOOSE}"),
    "sd1 inpainting": (
        ModelError, "it.safetensors is an SD1 inpainting checkpoint. Choose the plain checkpoint it was made from."
    ),
    "sd2 inpainting": (
        ModelError, "it.safetensors is an SD2 inpainting checkpoint. Choose the plain checkpoint it was made from."
    ),
    "sd2 depth": (
        ModelError, "it.safetensors is an SD2 depth checkpoint. Choose the plain checkpoint it was made from."
    ),
    "sd2 unclip": (
        ModelError, "it.safetensors is an SD2 unCLIP checkpoint. Choose the plain checkpoint it was made from."
    ),
    "sd2 upscaler": (ModelError, f"it.safetensors is the SD2 upscaler, not a base model. {CHOOSE}"),
    "sdxl inpainting": (
        ModelError, "it.safetensors is an SDXL inpainting checkpoint. Choose the plain checkpoint it was made from."
    ),
    "sdxl refiner": (ModelError, f"it.safetensors is the SDXL refiner, not a base model. {CHOOSE}"),
    "playground 2.5": (
        ModelError,
        (
            "it.safetensors is an SDXL checkpoint with EDM's way of noising (Playground 2.5, CosXL), "
            f"which Trainyard cannot train. {CHOOSE}"
        ),
    ),
}  # fmt: skip


@pytest.fixture
def no_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading a weight is a failure."""

    def reads(path: Path) -> None:
        raise AssertionError(f"{path} was read")

    monkeypatch.setattr(weights, "map_file", reads)


@pytest.mark.usefixtures("no_weights")
@pytest.mark.parametrize("name", REFUSED)
def test_not_a_checkpoint_we_can_train_on(tmp_path: Path, name: str) -> None:
    error, sentence = REFUSED[name]
    path = write_header(tmp_path / "it.safetensors", FILES[name][1])
    for refuse in (load_bundle, refuse_unless_checkpoint):
        with pytest.raises(error) as caught:
            refuse(path)
        assert str(caught.value) == sentence


CONTENTS = {
    "empty.safetensors": (b"", "empty.safetensors is empty (0 bytes). Download or copy it again."),
    "notes.safetensors": (
        b"Best settings: 20 steps, CFG 7\r\n" * 30,
        "notes.safetensors is text, not a model. Choose a .safetensors or .ckpt checkpoint.",
    ),
    "short.ckpt": (b"hello", "short.ckpt is text, not a model. Choose a .safetensors or .ckpt checkpoint."),
    "page.safetensors": (
        b"\n<!DOCTYPE html><html>Log in</html>",
        "page.safetensors is a web page, not a model. The download did not work; try it again.",
    ),
    "pointer.safetensors": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 4265380512\n",
        "pointer.safetensors is a Git LFS pointer, not the model itself. Fetch it with git lfs pull.",
    ),
    "flux.gguf": (
        b"GGUF\x03\x00\x00\x00" + bytes(90),
        "flux.gguf is a GGUF file, whose weights cannot be trained on. Choose a .safetensors file.",
    ),
    "noise.safetensors": (
        bytes(range(256)) * 4,
        "noise.safetensors is not a model file. Choose a .safetensors or .ckpt checkpoint.",
    ),
    "absurd.safetensors": (
        (10**12).to_bytes(8, "little") + b'{"x":',
        "absurd.safetensors is not a model file. Choose a .safetensors or .ckpt checkpoint.",
    ),
    "header.safetensors": (
        (5000).to_bytes(8, "little") + b'{"x":' + bytes(10),
        "header.safetensors is cut short: it has 23 of at least 5,008 bytes. Download or copy it again.",
    ),
    "broken.safetensors": (
        (8).to_bytes(8, "little") + b'{"x": 1}',
        "broken.safetensors is not a model file. Choose a .safetensors or .ckpt checkpoint.",
    ),
    "list.safetensors": (
        (12).to_bytes(8, "little") + b'{"x": [1,2]}',
        "list.safetensors is not a model file. Choose a .safetensors or .ckpt checkpoint.",
    ),
    "pickle.pt": (
        b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00\x8c\x02os.",
        "pickle.pt is not a model file. Choose a .safetensors or .ckpt checkpoint.",
    ),
}


@pytest.mark.usefixtures("no_weights")
@pytest.mark.parametrize("name", CONTENTS)
def test_not_a_model_at_all(tmp_path: Path, name: str) -> None:
    content, sentence = CONTENTS[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError) as caught:
        load_bundle(tmp_path / name)
    assert str(caught.value) == sentence


@pytest.mark.usefixtures("no_weights")
def test_a_download_that_stopped(tmp_path: Path) -> None:
    path = write_header(tmp_path / "anime.safetensors", sd1_shapes())
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.truncate(size // 2)
    with pytest.raises(ModelError) as caught:
        load_bundle(path)
    half = f"{size // 2:,} of at least {size:,} bytes"
    assert str(caught.value) == f"anime.safetensors is cut short: it has {half}. Download or copy it again."


@pytest.mark.usefixtures("no_weights")
def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        load_bundle(tmp_path / "gone.safetensors")
    assert str(caught.value) == f"There is no file gone.safetensors in {tmp_path}. Choose one that is there."


@pytest.mark.usefixtures("no_weights")
def test_a_folder_without_a_model(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    with pytest.raises(ModelError) as caught:
        load_bundle(tmp_path / "pictures")
    assert str(caught.value) == (
        "pictures is a folder without a model in it (no model_index.json). "
        "Choose a checkpoint file, or a folder in diffusers' layout."
    )
    (tmp_path / "pictures" / "model_index.json").write_text("{}")
    with pytest.raises(ModelError, match="pictures has no weights in unet, vae or text_encoder"):
        load_bundle(tmp_path / "pictures")


PRUNED = {
    "no VAE": (VAE, "it.safetensors has no VAE. Choose a VAE file as well, or a full checkpoint."),
    "no text encoder": (TEXT, "it.safetensors lacks: text encoder. Choose a full checkpoint."),
}


@pytest.mark.usefixtures("no_weights")
@pytest.mark.parametrize("name", PRUNED)
def test_a_part_is_missing(tmp_path: Path, name: str) -> None:
    prefix, sentence = PRUNED[name]
    left = {each: shape for each, shape in sd1_shapes().items() if not each.startswith(prefix)}
    with pytest.raises(ModelError) as caught:
        load_bundle(write_header(tmp_path / "it.safetensors", left))
    assert str(caught.value) == sentence


@pytest.mark.usefixtures("no_weights")
def test_a_unet_alone(tmp_path: Path) -> None:
    path = write_header(tmp_path / "it.safetensors", unet_shapes(FULL))
    with pytest.raises(ModelError) as caught:
        load_bundle(path)
    assert str(caught.value) == "it.safetensors lacks: text encoder, VAE. Choose a full checkpoint."


@pytest.mark.usefixtures("no_weights")
def test_a_file_chosen_as_vae(tmp_path: Path) -> None:
    model = write_header(tmp_path / "anime.safetensors", sd1_shapes())
    pruned = write_header(
        tmp_path / "pruned.safetensors", {**prefixed(UNET, unet_shapes(FULL)), **prefixed(TEXT, text_shapes(FULL))}
    )
    vae = write_header(tmp_path / "good.vae.pt", vae_shapes(FULL))
    style = write_header(tmp_path / "style.safetensors", FILES["kohya lora"][1])
    wide = write_header(tmp_path / "ae.safetensors", {**vae_shapes(FULL), "decoder.conv_in.weight": (512, 16, 3, 3)})
    assert refuse_unless_vae(vae).kind is Kind.VAE
    assert check_files(pruned, vae=vae)[0].kind is Kind.SD1
    with pytest.raises(
        UserError, match=r"style\.safetensors is a LoRA \(3 modules\), not a VAE. Choose a VAE file, or none"
    ):
        check_files(model, vae=style)
    with pytest.raises(UserError, match=r"ae\.safetensors is a VAE with 16 latent channels, SD1 has 4"):
        check_files(model, vae=wide)
