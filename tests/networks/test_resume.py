"""Training that goes on where a LoRA file ends: what is kept, what begins anew, what is refused and how."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from inspect import signature
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline
from peft import LoraConfig, get_peft_model
from peft.utils import get_peft_model_state_dict
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from tests.helpers.some_networks import predict, some_network, some_settings
from trainer.config.settings import Settings
from trainer.config.size import Size
from trainer.engine.run import check, run
from trainer.errors import NetworkError
from trainer.hosts.standalone import Standalone
from trainer.job import Control, Done, Job, Warned
from trainer.models.checkpoint.identify import identify
from trainer.models.registry import load_bundle
from trainer.networks.files import file
from trainer.networks.files.read import network_from_file, read_lora

CREATED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
FEW = ("IN01", "M00", "OUT03")
NOTHING_LEARNED = 1e-30


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    Image.fromarray(pixels).save(folder / "a.png")
    return folder


@pytest.fixture
def job(models: dict[str, Path], pictures: Path) -> Callable[..., Job]:
    def make(**changes: object) -> Job:
        settings = replace(
            Settings(), mode="LoRA", model=str(models["SD1"]), lora_data_directory=str(pictures),
            image_size=Size(64, 64),
            image_min_length=64, network_rank=2, network_alpha=2.0, network_blocks=FEW, train_iterations=1,
            train_batch_size=1, train_learning_rate=NOTHING_LEARNED, train_seed=3, save_lora_name="y",
            effect_strip=False,
        )  # fmt: skip
        return Job.create(replace(settings, **changes), CREATED)

    return make


def train(given: Job, host: Standalone) -> tuple[dict[str, Tensor], dict[str, str], list[str]]:
    """The saved tensors, the metadata and what was warned of, save for a rate at which nothing is learned."""
    events: list[object] = []
    done = run(given, host, Control(), events.append)
    assert isinstance(done, Done)
    tensors, metadata = file.read(done.path)
    warned = [str(event.message) for event in events if isinstance(event, Warned)]
    return tensors, metadata, [each for each in warned if "usually trains with" not in each]


def written(model: Path, path: Path, network_type: str, *, text: bool = False, **changes: object) -> dict[str, Tensor]:
    """A LoRA file of random numbers in half precision."""
    settings = some_settings(network_type, **{"network_blocks": FEW, **changes})
    tensors = some_network(load_bundle(model), settings, text=text).tensors()
    file.save(path, {key: tensor.half() for key, tensor in tensors.items()}, {"ss_base_model_version": "sd_v1"})
    return file.read(path)[0]


@pytest.mark.parametrize("network_type", ["lierla", "c3lier", "loha"])
def test_a_file_brings_its_network_type(job, host: Standalone, models, tmp_path: Path, network_type: str) -> None:
    """As the default where none is set: what the model's family has would begin modules that nobody asked for."""
    path = tmp_path / "old.safetensors"
    given = job(model=str(models["SDXL"]), network_resume=str(path))
    assert host.defaults(given.settings)["network_type"] == "c3lier"  # there is no such file yet
    written(models["SDXL"], path, network_type)
    assert host.defaults(given.settings)["network_type"] == network_type
    assert "network_type" not in host.defaults(replace(given.settings, mode="ADDifT"))  # which does not continue
    path.write_bytes(b"broken")
    assert host.defaults(given.settings)["network_type"] == "c3lier"


# ---- what goes on ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("network_type", ["lierla", "c3lier", "loha"])
@pytest.mark.parametrize("strength", [1.0, -2.5])
def test_a_run_that_learns_nothing_saves_what_it_was_given(
    job, host: Standalone, models, tmp_path: Path, network_type: str, strength: float
) -> None:
    """Bit for bit in the file's half precision, whatever the rank set and the strength the update is saved at."""
    given = written(models["SD1"], tmp_path / "old.safetensors", network_type)
    changes = {"network_type": network_type, "network_resume": str(tmp_path / "old.safetensors")}
    tensors, metadata, warned = train(job(**changes, network_strength=strength), host)
    assert tensors.keys() == given.keys()
    assert all(torch.equal(tensors[key], given[key]) for key in given)
    assert (metadata["ss_network_dim"], metadata["ss_network_alpha"]) == ("4", "2.0")
    count = len({key.partition(".")[0] for key in given})
    assert warned == [f"Continuing old.safetensors: {count} modules at rank 4 and alpha 2."]


def test_it_learns_on(job, host: Standalone, models, tmp_path: Path) -> None:
    """A step away from what it was given."""
    given = written(models["SD1"], tmp_path / "old.safetensors", "lierla")
    tensors, _, _ = train(job(network_resume=str(tmp_path / "old.safetensors"), train_learning_rate=1e-3), host)
    moved = {key for key in given if not torch.equal(tensors[key], given[key])}
    assert moved >= {key for key in given if "_down_blocks_" in key and not key.endswith("alpha")}
    assert all((tensors[key] - given[key]).abs().max() < 2e-3 for key in given)


def test_modules_that_the_file_lacks_begin_anew_and_others_stay(job, host: Standalone, models, tmp_path: Path) -> None:
    old = tmp_path / "old.safetensors"
    given = written(models["SD1"], old, "c3lier", text=True, network_blocks=("IN01",))
    tensors, _, warned = train(job(network_resume=str(old), train_learning_rate=1e-2), host)  # lierla in FEW
    new = {key for key in tensors if key not in given}
    assert {key.split("_attentions")[0] for key in new} == {"lora_unet_mid_block", "lora_unet_up_blocks_1"}
    assert all(tensors[key].shape[0] == 4 for key in new if "lora_down" in key)  # the file's rank
    kept = {key for key in given if torch.equal(given[key], tensors[key]) and not key.endswith("alpha")}
    assert kept == {key for key in given if ("_attentions_" not in key) and not key.endswith("alpha")}
    modules = {key.partition(".")[0] for key in given}
    staying = len({name for name in modules if "_attentions_" not in name})
    counts = f"{len(modules) - staying} modules at rank 4 and alpha 2; 24 new"
    assert warned == [f"Continuing old.safetensors: {counts}; {staying} kept frozen."]


def test_what_stays_as_it_is_acts_while_the_rest_is_trained(models, tmp_path: Path) -> None:
    """Its update is there, and the optimizer never sees it."""
    from trainer.networks.registry import builder, targets_of
    from trainer.networks.resume import resumed_network

    bundle, path = load_bundle(models["SD1"]), tmp_path / "old.safetensors"
    written(models["SD1"], path, "lierla", text=True)
    settings = some_settings("lierla", network_blocks=("M00",))
    make, generator = builder(settings, torch.float32, torch.device("cpu")), torch.Generator()
    network, _ = resumed_network(
        read_lora(path), bundle, targets_of(bundle, settings, trains_text=False),
        lambda target, strength: make(target, strength, generator), settings, torch.float32,
    )  # fmt: skip
    assert len(network.parameters_of("denoiser")) == 2 * 12
    assert not network.parameters_of("text_encoder")
    whole = network_from_file(path, bundle)
    with whole.attached():
        wanted = predict(bundle)
    with network.attached():
        torch.testing.assert_close(predict(bundle), wanted)


def test_resuming_is_for_the_modes_that_show_it(job, host: Standalone) -> None:
    """A settings file of another mode may carry the key."""
    ileco = job(mode="iLECO", original_prompt="red", target_prompt="blue", network_resume="not there")
    assert str(check(ileco, host)).startswith("small-sd1")


# ---- keys of other programs -----------------------------------------------------------------------------------------


def by_peft(model: Path, folder: Path, *, rslora: bool = False) -> tuple[Tensor, torch.nn.Module]:
    """A LoRA made and applied by peft on a U-Net: what the model says with it."""
    bundle = load_bundle(model)
    config = LoraConfig(
        r=3, lora_alpha=5, target_modules=["to_k", "to_out.0", "proj_in"], alpha_pattern={"proj_in": 7},
        use_rslora=rslora,
    )  # fmt: skip
    unet = get_peft_model(bundle.denoiser, config)
    generator = torch.Generator().manual_seed(0)
    for name, parameter in unet.named_parameters():
        if "lora_" in name:
            parameter.data = 0.1 * torch.randn(parameter.shape, generator=generator)
    unet.save_pretrained(folder)
    return predict(bundle), unet


@pytest.mark.parametrize("rslora", [False, True], ids=["alpha over rank", "alpha over the root of the rank"])
def test_pefts_own_files(models, tmp_path: Path, rslora: bool) -> None:
    wanted, _ = by_peft(models["SD1"], tmp_path, rslora=rslora)
    bundle = load_bundle(models["SD1"])
    network = network_from_file(tmp_path / "adapter_model.safetensors", bundle)
    below = 3**0.5 if rslora else 3
    assert sorted({adapter.scale for adapter in network}) == pytest.approx([5 / below, 7 / below])
    with network.attached():
        torch.testing.assert_close(predict(bundle), wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("old_keys", [False, True], ids=["lora_A", "lora.down"])
def test_diffusers_files(models, tmp_path: Path, old_keys: bool) -> None:
    """Written by diffusers, with the alpha it puts into the header; older ones have none, and so the rank's."""
    wanted, unet = by_peft(models["SD1"], tmp_path)
    state = get_peft_model_state_dict(unet)
    state = {key.removeprefix("base_model.model."): tensor for key, tensor in state.items()}
    path = tmp_path / "pytorch_lora_weights.safetensors"
    bundle = load_bundle(models["SD1"])
    if old_keys:
        renamed = {}
        for key, tensor in state.items():
            alpha = 7 if "proj_in" in key else 5
            key = key.replace("lora_A", "lora.down").replace("lora_B", "lora.up")
            renamed[f"unet.{key}"] = tensor * alpha / 3 if ".up." in key else tensor.contiguous()
        save_file(renamed, str(path))
        (tmp_path / "adapter_config.json").unlink()
    else:
        if "unet_lora_adapter_metadata" not in signature(StableDiffusionPipeline.save_lora_weights).parameters:
            pytest.skip("this diffusers puts no alpha into the header")
        config = unet.peft_config["default"].to_dict()
        StableDiffusionPipeline.save_lora_weights(tmp_path, unet_lora_layers=state, unet_lora_adapter_metadata=config)
    with network_from_file(path, bundle).attached():
        torch.testing.assert_close(predict(bundle), wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("network_type", ["lierla", "c3lier", "loha"])
def test_both_ways_of_naming_sdxls_modules(models, tmp_path: Path, network_type: str) -> None:
    """sd-scripts writes the original names; diffusers' paths are read as well, and saved as the first."""
    bundle = load_bundle(models["SDXL"])
    network = some_network(bundle, some_settings(network_type))
    paths = {id(module): path for path, module in bundle.denoiser.named_modules()}
    renamed = {}
    for adapter in network:
        name = adapter.name
        if adapter.part == "denoiser":
            assert "put_blocks_" in name or "middle_block_" in name
            name = "lora_unet_" + paths[id(adapter.module)].replace(".", "_")
        renamed.update({f"{name}.{part}": tensor.detach() for part, tensor in adapter.tensors().items()})
    given = network.tensors()
    assert not renamed.keys() & {key for key in given if "_te" not in key}
    again = network_from_file(file.save(tmp_path / "x.safetensors", renamed, {}), bundle).tensors()
    assert again.keys() == given.keys()
    assert all(torch.equal(again[key], given[key]) for key in given)


@pytest.mark.parametrize("style", ["kohya", "peft"])
def test_the_first_of_two_text_encoders_by_the_name_of_an_only_one(models, tmp_path: Path, style: str) -> None:
    """diffusers and peft call SDXL's first text encoder as they call that of SD1: without a number."""
    bundle = load_bundle(models["SDXL"])
    network = some_network(bundle, some_settings())
    given = {key: tensor for key, tensor in network.tensors().items() if key.startswith("lora_te")}
    renamed = {
        key.replace("lora_te1_", "lora_te_") if style == "kohya" else as_peft(key): tensor
        for key, tensor in given.items()
        if style == "kohya" or not key.endswith(".alpha")
    }
    assert not renamed.keys() & {key for key in given if key.startswith("lora_te1")}
    found = network_from_file(file.save(tmp_path / "x.safetensors", renamed, {}), bundle).tensors()
    assert found.keys() == given.keys()
    assert all(torch.equal(found[key], given[key]) for key in given if not key.endswith(".alpha"))


def as_peft(key: str) -> str:
    """A key of one of two text encoders, as peft has it: ``text_encoder_2.text_model.encoder.layers.0. …``."""
    found = re.fullmatch(
        r"lora_te(\d)_text_model_encoder_layers_(\d+)_(self_attn|mlp)_(\w+)\.lora_(down|up)\.weight", key
    )
    assert found is not None
    component = {"1": "text_encoder", "2": "text_encoder_2"}[found[1]]
    which = {"down": "lora_A", "up": "lora_B"}[found[5]]
    return f"{component}.text_model.encoder.layers.{found[2]}.{found[3]}.{found[4]}.{which}.weight"


# ---- what is refused, before the model is loaded --------------------------------------------------------------------


class Unloaded(Standalone):
    def take_model(self, settings: Settings, check: object = None) -> object:
        raise AssertionError("the model must not be loaded")


def refused(given: Job, host: Standalone) -> str:
    with pytest.raises(NetworkError) as caught:
        run(given, Unloaded(host.device, host.folders), Control(), lambda event: None)
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


def test_missing(job, host: Standalone) -> None:
    sentence = refused(job(network_resume="nothing"), host)
    assert sentence.startswith(
        "network resume: nothing: There is no such LoRA file. Give its full path, or put it into"
    )


def test_truncated(job, host: Standalone, models, tmp_path: Path) -> None:
    path = tmp_path / "half.safetensors"
    written(models["SD1"], path, "lierla")
    path.write_bytes(path.read_bytes()[:-1000])
    sentence = refused(job(network_resume=str(path)), host)
    assert sentence.startswith("network resume: half.safetensors is cut short: it has")
    assert sentence.endswith("Download or copy it again.")
    path.write_bytes(path.read_bytes()[:100])
    assert refused(job(network_resume=str(path)), host).startswith("network resume: half.safetensors is cut short")


def test_not_a_lora(job, host: Standalone, models, tmp_path: Path) -> None:
    sentence = refused(job(network_resume=str(models["SD1"])), host)
    assert sentence == (
        "network resume: small-sd1.safetensors is an SD1 checkpoint, not a LoRA. Choose a LoRA file, or leave it empty."
    )
    (tmp_path / "page.safetensors").write_text("<!doctype html><p>Please log in</p>")
    sentence = refused(job(network_resume=str(tmp_path / "page.safetensors")), host)
    assert sentence.startswith("network resume: page.safetensors is a web page")


def test_alpha_zero(job, host: Standalone, models, tmp_path: Path) -> None:
    """Nothing could ever be learned: the update and its gradient are zero."""
    tensors = written(models["SD1"], tmp_path / "x.safetensors", "lierla")
    nothing = {key: tensor * 0 if key.endswith("alpha") else tensor for key, tensor in tensors.items()}
    path = file.save(tmp_path / "zero.safetensors", nothing, {})
    assert refused(job(network_resume=str(path)), host) == (
        "network resume: zero.safetensors has alpha 0 in all of its modules, so it changes nothing and would learn "
        "nothing. Choose another LoRA, or leave it empty."
    )


@pytest.mark.parametrize("setting", ["network_resume", "base_loras"])
def test_nan_is_found_before_the_model_is_loaded(job, host: Standalone, models, tmp_path: Path, setting: str) -> None:
    tensors = written(models["SD1"], tmp_path / "x.safetensors", "lierla")
    key = next(key for key in tensors if key.endswith("lora_up.weight"))
    tensors[key][0, 0] = float("nan")
    path = file.save(tmp_path / "broken.safetensors", tensors, {})
    sentence = refused(job(**{setting: str(path)}), host)
    assert f"broken.safetensors: It has NaN or infinite numbers in {key}" in sentence


FOREIGN = {
    "Flux.1 / Chroma": "lora_unet_double_blocks_{}_img_attn_proj",
    "Z-Image / Lumina 2": "diffusion_model.layers.{}.attention.to_q",
    "Anima / Cosmos-Predict2": "diffusion_model.blocks.{}.self_attn.q_proj",
    "Wan": "diffusion_model.blocks.{}.cross_attn.k_img",
    "Qwen-Image": "transformer_blocks.{}.img_mlp.net.2",
    "SD3": "lora_unet_joint_blocks_{}_x_block_attn_qkv",
}


@pytest.mark.parametrize("setting", ["network_resume", "base_loras"])
@pytest.mark.parametrize("family", FOREIGN)
def test_a_family_that_is_not_trained_here(job, host: Standalone, tmp_path: Path, family: str, setting: str) -> None:
    tensors = {
        f"{FOREIGN[family].format(number)}.lora_{way}.weight": torch.ones(4, 4)
        for number in range(3)
        for way in ("down", "up")
    }
    path = file.save(tmp_path / "it.safetensors", tensors, {})
    sentence = refused(job(**{setting: str(path)}), host)
    assert f"was trained for {family}, but the model is SD1. Choose a LoRA for SD1, or another model." in sentence


@pytest.mark.parametrize("setting", ["network_resume", "base_loras"])
def test_a_lora_for_another_family_that_is_trained_here(
    job, host: Standalone, models, tmp_path: Path, setting: str
) -> None:
    tensors = written(models["SDXL"], tmp_path / "xl.safetensors", "lierla")
    path = file.save(tmp_path / "other.safetensors", tensors, {"ss_base_model_version": "sdxl_base_v1-0"})
    sentence = refused(job(**{setting: str(path)}), host)
    assert "was trained for SDXL, but the model is SD1. Choose a LoRA for SD1, or another model." in sentence


@pytest.mark.parametrize(
    ("stored", "chosen", "sentence"),
    [
        ("loha", "c3lier", "x.safetensors is a LoHa, but the network type is c3lier. Choose as network type: loha."),
        (
            "lierla",
            "loha",
            "x.safetensors is a LoRA, but the network type is loha. Choose as network type: lierla, c3lier.",
        ),
    ],
)
def test_another_network_type(
    job, host: Standalone, models, tmp_path: Path, stored: str, chosen: str, sentence: str
) -> None:
    written(models["SD1"], tmp_path / "x.safetensors", stored)
    given = job(network_resume=str(tmp_path / "x.safetensors"), network_type=chosen)
    assert refused(given, host).startswith(f"network resume: {sentence}")


@pytest.mark.parametrize(
    "stated",
    ["", "ss_base_model_version sdxl_base_v1-0", "modelspec.architecture stable-diffusion-xl-v1-base/lora"],
)
def test_another_family(job, host: Standalone, models, tmp_path: Path, stated: str) -> None:
    metadata = dict([stated.split()]) if stated else {}
    tensors = some_network(load_bundle(models["SDXL"]), some_settings(network_blocks=FEW)).tensors()
    path = file.save(tmp_path / "xl.safetensors", tensors, metadata)
    assert refused(job(network_resume=str(path)), host) == (
        "network resume: xl.safetensors was trained for SDXL, but the model is SD1. "
        "Choose a LoRA for SD1, or another model."
    )


def test_another_family_by_its_widths(job, host: Standalone, tmp_path: Path) -> None:
    name = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_k"
    tensors = {f"{name}.lora_down.weight": torch.zeros(2, 1024), f"{name}.lora_up.weight": torch.zeros(1280, 2)}
    path = file.save(tmp_path / "two.safetensors", tensors, {})
    assert "two.safetensors was trained for SD2, but the model is SD1" in refused(job(network_resume=str(path)), host)


KINDS = {
    "LoKr": ("a LoKr (2 modules)", ("lokr_w1", "lokr_w2", "alpha")),
    "OFT": ("an OFT network (2 modules)", ("oft_blocks", "alpha")),
    "IA3": ("an IA³ network (2 modules)", ("weight", "on_input")),
    "GLoRA": ("a GLoRA (2 modules)", ("a1.weight", "a2.weight", "b1.weight", "b2.weight", "alpha")),
    "full": ("a network of full differences (2 modules)", ("diff", "diff_b")),
}


@pytest.mark.parametrize("name", KINDS)
def test_another_kind_of_network_is_called_what_it_is(job, host: Standalone, tmp_path: Path, name: str) -> None:
    label, parts = KINDS[name]
    modules = [f"lora_unet_mid_block_attentions_0_{module}" for module in ("proj_in", "proj_out")]
    path = file.save(
        tmp_path / "odd.safetensors", {f"{module}.{part}": torch.ones(2, 2) for module in modules for part in parts}, {}
    )
    assert str(identify(path).label) == label
    assert refused(job(network_resume=str(path)), host) == (
        f"network resume: odd.safetensors: It is {label}, which Trainyard cannot use. "
        "Choose a file of one of these kinds: LoRA, LoHa."
    )


def test_of_another_size_though_nothing_tells(job, host: Standalone, models, tmp_path: Path) -> None:
    """Only the model itself shows that it does not fit: one sentence, too."""
    tensors = written(models["SD1"], tmp_path / "x.safetensors", "lierla")
    key = next(key for key in tensors if "attn1_to_q.lora_down" in key)
    tensors[key] = torch.zeros(4, 99)
    path = file.save(tmp_path / "wide.safetensors", tensors, {})
    with pytest.raises(
        NetworkError, match=r"^wide.safetensors: .* has shapes .* the model's .* another kind of model\.$"
    ):
        run(job(network_resume=str(path)), host, Control(), lambda event: None)


def test_nothing_left_to_train(job, host: Standalone, models, tmp_path: Path) -> None:
    written(models["SD1"], tmp_path / "x.safetensors", "lierla")
    for resumed in ("", str(tmp_path / "x.safetensors")):
        given = job(network_resume=resumed, network_blocks=("IN00", "IN03"))
        with pytest.raises(NetworkError) as caught:
            run(given, host, Control(), lambda event: None)
        assert str(caught.value) == (
            "network blocks: Nothing is left to train. "
            "Choose at least one block that has modules of the chosen network type and element."
        )
