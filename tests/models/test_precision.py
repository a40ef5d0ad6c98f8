"""Which precision is chosen for what is stored where, and that half precision trains."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from studies.studio import CHECKPOINT
from tests.helpers.checkpoints import GROUPS, TWO_LEVELS, UNET, sd1_tensors, write_safetensors
from tests.helpers.home import host_in
from trainer.config.settings import Settings
from trainer.config.size import Size
from trainer.engine import run as run_module
from trainer.engine.run import run
from trainer.errors import UserError
from trainer.job import Control, Event, Job, Step, Warned
from trainer.models.placement import place, stored_types
from trainer.models.precision import Precision, choose_device, choose_precision
from trainer.models.registry import FAMILIES, load_bundle

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
F32, F16, BF16, FP8 = torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn
LABEL = FAMILIES["SD1"].part_label


def base_of(wanted: str, stored: torch.dtype, device: torch.device) -> Precision:
    kept = {"denoiser": {stored: 9}, "text_encoder": {stored: 5}, "vae": {F32: 1}}
    return choose_precision(replace(Settings(), train_model_precision=wanted), kept, device, label=LABEL)


def sentences(chosen: Precision) -> list[str]:
    return [str(note) for note in chosen.notes]


@pytest.mark.parametrize(
    ("wanted", "stored", "device", "base", "told"),
    [
        ("fp16", F16, CUDA, F16, ""),
        ("fp16", BF16, CUDA, BF16, ""),  # half as stored, no copy
        ("bf16", F16, CUDA, F16, ""),
        ("bf16", BF16, CUDA, BF16, ""),
        ("fp16", F32, CUDA, F16, "stored as fp32, copied to fp16."),
        ("bf16", F32, CUDA, BF16, "stored as fp32, copied to bf16."),
        ("model", F16, CUDA, F16, ""),
        ("model", BF16, CUDA, BF16, ""),
        ("model", F32, CUDA, F32, ""),
        ("model", FP8, CUDA, F16, "stored as fp8_e4m3fn, copied to fp16."),
        ("bf16", FP8, CUDA, BF16, "stored as fp8_e4m3fn, copied to bf16."),
        ("fp32", F16, CUDA, F32, "stored as fp16, copied to fp32."),
        ("fp32", BF16, CPU, F32, "stored as bf16, copied to fp32 because the CPU computes in it."),
        ("fp32", F32, CPU, F32, ""),
        ("fp16", F32, CPU, F32, ""),
        ("fp16", F16, CPU, F32, "stored as fp16, copied to fp32 because the CPU computes in it."),
        ("model", BF16, CPU, F32, "stored as bf16, copied to fp32 because the CPU computes in it."),
        ("model", FP8, CPU, F32, "stored as fp8_e4m3fn, copied to fp32 because the CPU computes in it."),
        ("int8", F16, CUDA, F16, "stored as fp16, copied to int8 and computed in fp16."),
        ("int8", BF16, CUDA, BF16, "stored as bf16, copied to int8 and computed in bf16."),
        ("int8", F32, CUDA, F16, "stored as fp32, copied to int8 and computed in fp16."),
        ("int8", F16, CPU, F32, "stored as fp16, copied to int8 and computed in fp32."),
        ("int8", F32, CPU, F32, "stored as fp32, copied to int8 and computed in fp32."),
    ],
)
def test_base(wanted: str, stored: torch.dtype, device: torch.device, base: torch.dtype, told: str) -> None:
    chosen = base_of(wanted, stored, device)
    assert chosen.parts == {"denoiser": base, "text_encoder": base, "vae": F32}
    assert chosen.base is base
    assert sentences(chosen) == ([f"U-Net, text encoder: {told}"] if told else [])
    assert chosen.scales_loss is (base is F16)
    assert chosen.codes == (wanted if wanted in ("int8", "nf4") else "")


def test_notes_in_japanese() -> None:
    on_cpu, spared = (base_of(*each).notes[0].text("ja") for each in (("fp16", F16, CPU), ("int8", F16, CUDA)))
    assert on_cpu == (
        "U-Net、テキストエンコーダー: fp16 で保存されているため fp32 に変換します (CPUでは fp32 で計算します)。"
    )
    assert spared == "U-Net、テキストエンコーダー: fp16 で保存されているため int8 に変換し、fp16 で計算します。"


def test_each_part_goes_by_itself() -> None:
    stored = {"denoiser": {F16: 9}, "text_encoder": {F32: 5}, "text_encoder_2": {BF16: 5}, "vae": {F16: 1}}
    chosen = choose_precision(replace(Settings(), train_model_precision="model"), stored, CUDA, label=LABEL)
    assert chosen.parts == {"denoiser": F16, "text_encoder": F32, "text_encoder_2": BF16, "vae": F32}
    assert sentences(chosen) == ["VAE: stored as fp16, copied to fp32."]
    chosen = choose_precision(replace(Settings(), train_model_precision="fp16"), stored, CUDA, label=LABEL)
    assert chosen.parts == {"denoiser": F16, "text_encoder": F16, "text_encoder_2": BF16, "vae": F32}
    assert sentences(chosen) == [
        "text encoder: stored as fp32, copied to fp16.",
        "VAE: stored as fp16, copied to fp32.",
    ]


def test_a_part_of_several_types_gets_the_one_it_mostly_has() -> None:
    stored = {"denoiser": {F32: 1, F16: 9}, "text_encoder": {F16: 5}, "vae": {F32: 1}}
    chosen = choose_precision(replace(Settings(), train_model_precision="model"), stored, CUDA, label=LABEL)
    assert chosen.base is F16
    assert sentences(chosen) == ["U-Net: stored as fp16 (in part fp32), copied to fp16."]


def test_network_vae_and_file() -> None:
    settings = replace(
        Settings(), train_lora_precision="bf16", train_VAE_precision="fp16", save_precision="model",
    )  # fmt: skip
    halves = {"denoiser": {F16: 9}, "text_encoder": {F16: 5}, "vae": {BF16: 1}}
    on_gpu = choose_precision(settings, halves, CUDA)
    assert (on_gpu.network, on_gpu.parts["vae"], on_gpu.saved) == (BF16, F16, F16)
    assert sentences(on_gpu) == ["VAE: stored as bf16, copied to fp16."]  # as asked: no half for another
    spared = choose_precision(settings, halves, CUDA, vae_survives_half=False)
    assert spared.parts["vae"] is F32, "SDXL's own VAE"
    copied, kept = sentences(spared)
    assert copied == "VAE: stored as bf16, copied to fp32."
    assert kept == (
        "The VAE is computed in fp32: in fp16 its images turn black. Choose bf16 as VAE precision, or the VAE "
        "sdxl-vae-fp16-fix, to save memory."
    )
    wide = choose_precision(replace(settings, train_VAE_precision="bf16"), halves, CUDA, vae_survives_half=False)
    assert (wide.parts["vae"], wide.notes) == (BF16, ())
    on_cpu = choose_precision(settings, halves, CPU)
    assert (on_cpu.network, on_cpu.parts["vae"], on_cpu.saved) == (F32, F32, F16)
    narrow = choose_precision(settings, {**halves, "denoiser": {FP8: 9}}, CUDA)
    assert narrow.saved is F16, "what cannot be computed in is nothing to save a LoRA in"


def test_devices() -> None:
    assert choose_device("cpu") == CPU
    with pytest.raises(UserError, match="device: nonsense cannot be used here"):
        choose_device("nonsense")


def test_a_card_named_without_its_number_gets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a tensor on it does; without, torch 2.1 refuses to say how full it is."""
    monkeypatch.setattr(torch, "empty", lambda *_shape, device: SimpleNamespace(device=torch.device(device.type, 1)))
    assert choose_device("cuda") == torch.device("cuda", 1)


@pytest.fixture(scope="module", params=[F32, F16], ids=["fp32", "fp16"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("fp16" if request.param is F16 else "fp32") / "small.safetensors"
    return write_safetensors(path, sd1_tensors(TWO_LEVELS, dtype=request.param), GROUPS)


def pointers(tensors: Iterator[Tensor]) -> list[int]:
    return [tensor.data_ptr() for tensor in tensors]


def test_weights_are_copied_only_for_another_precision(model: Path) -> None:
    bundle = load_bundle(model)
    stored = bundle.dtypes["denoiser"]
    before = {part: pointers(module.parameters()) for part, module in bundle.modules.items()}
    place(bundle, CPU, dict.fromkeys(bundle.modules, stored))
    assert {part: pointers(module.parameters()) for part, module in bundle.modules.items()} == before
    other = F16 if stored is F32 else F32
    place(bundle, CPU, {"denoiser": stored, "vae": stored, "text_encoder": other})
    assert pointers(bundle.denoiser.parameters()) == before["denoiser"]
    assert pointers(bundle.vae.parameters()) == before["vae"]
    assert set(pointers(bundle.text_encoders[0].parameters())).isdisjoint(before["text_encoder"])
    assert stored_types(bundle)["text_encoder"].keys() == {other}


def test_a_part_may_be_in_another_type_than_the_rest(model: Path) -> None:
    """The text encoder in float32 beside a U-Net in bf16: the conditioning is brought to the U-Net's type."""
    bundle = load_bundle(model)
    place(bundle, CPU, {"denoiser": BF16, "vae": F32, "text_encoder": F32})
    conditioning = bundle.encode(["a red circle"])
    noisy, timesteps = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0)), torch.tensor([500])
    with torch.no_grad():
        found = bundle.predict(noisy.to(BF16), timesteps, conditioning)
        place(bundle, CPU, {"denoiser": F32, "vae": F32, "text_encoder": F32})
        wanted = bundle.predict(noisy, timesteps, conditioning)
    assert (conditioning.sequence.dtype, found.dtype) == (F32, BF16)
    assert float((found - wanted).norm() / wanted.norm()) < 0.03


@pytest.mark.parametrize("narrow", [torch.float8_e4m3fn, torch.float8_e5m2], ids=["e4m3", "e5m2"])
def test_a_checkpoint_in_fp8(narrow: torch.dtype, tmp_path: Path) -> None:
    """Half the bytes; computed as if the same numbers had been stored in fp32."""
    tensors = sd1_tensors()
    unet = {name: tensor.to(narrow) if name.startswith(UNET) else tensor.half() for name, tensor in tensors.items()}
    path = write_safetensors(tmp_path / "fp8.safetensors", unet)
    bundle = load_bundle(path)
    assert bundle.dtypes["denoiser"] is narrow
    chosen = choose_precision(Settings(), stored_types(bundle), CPU)
    assert [note.split(" stored as ")[1] for note in sentences(chosen)] == [
        f"{str(narrow).replace('torch.float8', 'fp8')}, copied to fp32 because the CPU computes in it.",
        "fp16, copied to fp32 because the CPU computes in it.",
    ]
    place(bundle, CPU, chosen.parts)
    weight = bundle.denoiser.get_parameter("conv_in.weight")
    assert torch.equal(weight, tensors[UNET + "input_blocks.0.0.weight"].to(narrow).float())


def bases_and_files() -> Iterator[Any]:
    """Every pair; in the first tier each base and each precision of the file, the others with ``--all``."""
    for base, saved in product(["model", "fp32", "bf16", "fp16", "int8"], ["model", "fp32", "bf16", "fp16"]):
        first = saved == "model" or base == "fp16"
        yield pytest.param(base, saved, marks=() if first else pytest.mark.slow)


@pytest.mark.parametrize(("base", "saved"), list(bases_and_files()))
def test_the_file_is_in_the_precision_asked_for(base: str, saved: str, model: Path, tmp_path: Path) -> None:
    host = host_in(tmp_path)
    settings = replace(
        Settings(), mode="iLECO", model=str(model), original_prompt="red", target_prompt="blue",
        image_size=Size(64, 64),
        train_iterations=1, train_seed=1, save_lora_name="x", network_rank=4, network_blocks=("M00",),
        train_model_precision=base, save_precision=saved, effect_strip=False,
    )  # fmt: skip
    events: list[Event] = []
    run(Job.create(settings), host, Control(), events.append)
    with safe_open(str(tmp_path / "loras" / "x.safetensors"), "pt") as opened:
        found = {opened.get_tensor(key).dtype for key in opened.keys()}  # noqa: SIM118
    stored = F16 if "fp16" in str(model.parent) else F32
    assert found == {stored if saved == "model" else {"fp32": F32, "bf16": BF16, "fp16": F16}[saved]}
    notes = [str(event.message) for event in events if isinstance(event, Warned) and "copied to" in str(event.message)]
    assert len(notes) == len(set(notes)), "each is said once"
    assert bool(notes) is (stored is F16 or base == "int8")


def losses_in(base: torch.dtype, folder: Path, *, codes: str = "") -> list[float]:
    forced = Precision({"denoiser": base, "text_encoder": base, "vae": F32}, F32, F32, codes)
    settings = replace(
        Settings(), mode="iLECO", model=str(CHECKPOINT), original_prompt="red", target_prompt="blue",
        image_size=Size(64, 64), train_iterations=40, train_learning_rate=3e-3, train_lr_scheduler="constant",
        train_seed=1, save_lora_name="x", network_rank=4, network_alpha=4.0, effect_strip=False,
    )  # fmt: skip
    events: list[Event] = []
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(run_module, "choose_precision", lambda *_arguments, **_named: forced)
        run(Job.create(settings), host_in(folder), Control(), events.append)
    return [event.loss for event in events if isinstance(event, Step)]


@pytest.fixture(scope="module")
def in_float32(tmp_path_factory: pytest.TempPathFactory) -> list[float]:
    return losses_in(F32, tmp_path_factory.mktemp("float32"))


@pytest.mark.more
@pytest.mark.parametrize(
    ("base", "codes"),
    [pytest.param(BF16, "", marks=pytest.mark.slow), (F16, ""), pytest.param(F32, "int8", marks=pytest.mark.slow)],
    ids=["bf16", "fp16", "int8"],
)
def test_small_formats_train_as_float32_does(
    base: torch.dtype, codes: str, in_float32: list[float], tmp_path: Path
) -> None:
    """The GPU's formats, computed on the CPU: same seed, so the losses must follow those of float32."""
    try:
        torch.layer_norm(torch.ones(1, 2, dtype=base), (2,))
    except RuntimeError:
        pytest.skip(f"this torch does not compute in {base} on the CPU")
    wanted, found = in_float32, losses_in(base, tmp_path, codes=codes)
    assert found[:10] == pytest.approx(wanted[:10], rel=0.05)
    assert sum(found) == pytest.approx(sum(wanted), rel=0.1)
    assert sum(found[-10:]) < 0.6 * sum(found[:10])
