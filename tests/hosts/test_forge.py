"""What Forge and reForge have that A1111 has not: a model that is not loaded yet, files beside it, other names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.helpers.checkpoints import GROUPS, sd1_tensors, write_safetensors
from tests.hosts.doubles.forge import ForgeDouble, NeoDouble, Patched, ReForgeDouble
from trainer.config.settings import Settings
from trainer.config.size import Size
from trainer.diffusion.parameterisation import EPSILON, FLOW, VELOCITY
from trainer.engine.image_request import ImageRequest
from trainer.errors import ModelError
from trainer.hosts.webui.forge import Forge, ReForge
from trainer.models.placement import place, tensors_of
from trainer.models.registry import load_bundle


@pytest.fixture
def double(tmp_path: Path) -> Iterator[ForgeDouble]:
    made = ForgeDouble(tmp_path / "host")
    with made.around():
        yield made


@pytest.fixture
def host(double: ForgeDouble) -> Forge:
    return Forge()


def is_shared(double: Patched, parameters: Iterator[torch.nn.Parameter]) -> bool:
    theirs = {tensor.data_ptr() for part in double.parts() for tensor in part.parameters()}
    return all(parameter.data_ptr() in theirs for parameter in parameters)


def test_what_is_chosen_is_loaded_first(double: ForgeDouble, host: Forge) -> None:
    assert host.loaded() is None
    assert "first.safetensors" in str(host.check_model(Settings()).label)
    assert not double.data.forge_hash  # nobody has loaded anything so far
    bundle = host.take_model(Settings())
    assert double.data.forge_hash
    assert is_shared(double, bundle.denoiser.parameters())
    host.give_back()


def test_what_is_chosen_now_takes_the_place_of_what_is_loaded(double: ForgeDouble, host: Forge) -> None:
    double.generate()
    double.chosen = double.second
    double.refresh_model_loading_parameters()
    assert host.loaded() is None
    assert "second.safetensors" in str(host.check_model(Settings()).label)
    bundle = host.take_model(Settings())
    assert bundle.path is not None
    assert bundle.path.samefile(double.second)
    assert is_shared(double, bundle.denoiser.parameters())
    host.give_back()


def test_a_model_that_was_taken_away_is_loaded_anew(double: ForgeDouble, host: Forge) -> None:
    before = double.generate()
    double.data.sd_model = None  # by another extension, which left the mark that it is loaded
    bundle = host.take_model(Settings())
    assert is_shared(double, bundle.denoiser.parameters())
    host.give_back()
    assert (before == double.generate()).all()


class Packed(torch.Tensor):
    """As Neo keeps int8, fp8 and 4-bit weights with scales: bytes that say to be the type they are computed in."""

    @property
    def dtype(self) -> torch.dtype:  # type: ignore[override]
        return torch.bfloat16


@pytest.mark.parametrize("kind", ["fp8", "bitsandbytes", "gguf", "packed"])
def test_other_than_plain_memory_is_said_and_the_file_read(double: ForgeDouble, host: Forge, kind: str) -> None:
    words = write_safetensors(double.root / "models" / "words.safetensors", _text_tensors())
    double.additional_modules = [str(words)]
    double.refresh_model_loading_parameters()
    double.generate()
    with torch.inference_mode():
        layer = double.parts()[0].get_submodule("diffusion_model.out.2")
        if kind == "packed":
            packed = layer.weight.to(torch.int8).as_subclass(Packed)
            layer.weight = torch.nn.Parameter(packed, requires_grad=False)
        elif kind == "fp8":
            layer.weight = torch.nn.Parameter(layer.weight.to(torch.float8_e4m3fn), requires_grad=False)
        else:
            setattr(layer.weight, "quant_state" if kind == "bitsandbytes" else "gguf_cls", object())
    bundle = host.take_model(Settings())
    assert not is_shared(double, bundle.denoiser.parameters())
    told = str(host.between_steps("training", 1, 3)[0])
    assert "first.safetensors is read from its file: the WebUI keeps it " in told
    assert ("float8_e4m3fn" if kind == "fp8" else "quantised") in told
    assert "not used: words.safetensors" in told
    host.give_back()


@pytest.mark.parametrize("part", ["text encoder", "VAE"])
def test_a_part_beside_the_unet_that_is_not_plain_is_not_taken_either(
    double: ForgeDouble, host: Forge, part: str
) -> None:
    double.generate()
    _, texts, vae = double.parts()
    with torch.inference_mode():
        module = texts.get_submodule("clip_l.transformer.text_model.final_layer_norm")
        if part == "VAE":
            module = vae.get_submodule("decoder.conv_in")
        module.weight = torch.nn.Parameter(module.weight.to(torch.float8_e4m3fn), requires_grad=False)
    bundle = host.take_model(Settings())
    assert not is_shared(double, bundle.denoiser.parameters())
    assert {parameter.dtype for one in bundle.modules.values() for parameter in one.parameters()} == {torch.float32}
    assert "float8_e4m3fn" in str(host.between_steps("training", 1, 3)[0])
    host.give_back()


@pytest.mark.parametrize("kind", [ForgeDouble, ReForgeDouble], ids=["Forge", "reForge"])
def test_a_unet_that_is_only_partly_on_the_device_is_read_from_its_file(tmp_path: Path, kind: type[Patched]) -> None:
    double = kind(tmp_path / "host")
    with double.around():
        host = Forge() if kind is ForgeDouble else ReForge()
        unet = double.parts()[0]
        with torch.inference_mode(kind is ForgeDouble):
            unet.get_submodule("diffusion_model.out").to("meta")  # stands for another device than the rest is on
        bundle = host.take_model(Settings())
        assert not is_shared(double, bundle.denoiser.parameters())
        assert {parameter.device.type for parameter in bundle.denoiser.parameters()} == {"cpu"}
        told = str(host.between_steps("training", 1, 3)[0])
        assert "only part of it fits on the WebUI's device" in told
        host.give_back()


@pytest.mark.parametrize(
    ("changes", "on_card", "own"),
    [
        ({"train_model_precision": "int8"}, True, True),
        ({"train_model_precision": "nf4"}, True, True),
        ({"train_memory_saving": "streaming"}, True, True),
        ({"train_memory_saving": "light"}, False, False),
        ({"train_model_precision": "int8"}, False, False),
    ],
    ids=str,
)
def test_weights_in_another_form_do_not_lie_beside_the_hosts_on_a_card(
    double: ForgeDouble, host: Forge, monkeypatch: pytest.MonkeyPatch, changes: dict[str, str], on_card: bool, own: bool
) -> None:
    aside: list[bool] = []
    monkeypatch.setattr(Forge, "step_aside", lambda _self: aside.append(True))
    if on_card:
        monkeypatch.setattr(Forge, "device", torch.device("meta"))  # stands for a card
    bundle = host.take_model(Settings(**changes))  # type: ignore[arg-type]
    assert is_shared(double, bundle.denoiser.parameters()) is not own
    assert aside == [True] * own
    told = [str(each) for each in host.between_steps("training", 1, 3)]
    assert [each for each in told if "is read from its file: as int8, nf4 or streamed" in each] == told[:1] * own
    host.give_back()


def _text_tensors() -> dict[str, torch.Tensor]:
    start = "cond_stage_model.transformer."
    return {name[len(start) :]: each for name, each in sd1_tensors(seed=9).items() if name.startswith(start)}


def test_files_beside_the_checkpoint_are_honoured(double: ForgeDouble, host: Forge) -> None:
    start = "first_stage_model."
    other = {name[len(start) :]: each for name, each in sd1_tensors(seed=9).items() if name.startswith(start)}
    vae = write_safetensors(double.root / "models" / "VAE" / "other-vae.safetensors", other, GROUPS)
    words = write_safetensors(double.root / "models" / "words.safetensors", _text_tensors())
    double.additional_modules = [str(words), str(vae)]
    double.refresh_model_loading_parameters()
    double.generate()
    loaded = host.loaded()
    assert loaded is not None
    assert loaded.vae == vae
    bundle = host.take_model(Settings())
    assert bundle.vae_name == "other-vae.safetensors"
    assert torch.equal(bundle.vae.decoder.conv_in.weight, other["decoder.conv_in.weight"])
    mine = dict(bundle.text_encoders[0].named_parameters())
    name = next(name for name in mine if name.endswith("token_embedding.weight"))
    assert torch.equal(mine[name], _text_tensors()["text_model.embeddings.token_embedding.weight"])
    for module in bundle.modules.values():
        assert is_shared(double, module.parameters())
    host.give_back()


@pytest.mark.parametrize("family", ["SD2", "SDXL"])
@pytest.mark.parametrize("kind", [ForgeDouble, ReForgeDouble], ids=["Forge", "reForge"])
def test_text_encoders_under_transformers_names(tmp_path: Path, kind: type[Patched], family: str) -> None:
    double = kind(tmp_path / "host", family)
    with double.around():
        host = Forge() if kind is ForgeDouble else ReForge()
        bundle = host.take_model(Settings())
        of_file = load_bundle(double.first)
        with torch.no_grad():
            ours, as_in_file = (each.encode(["a red circle"], literal=True) for each in (bundle, of_file))
        assert torch.equal(ours.sequence, as_in_file.sequence)
        if family == "SDXL":
            assert ours.pooled is not None
            assert as_in_file.pooled is not None
            torch.testing.assert_close(ours.pooled, as_in_file.pooled)
        for module in bundle.modules.values():
            assert is_shared(double, module.parameters())
        host.give_back()


@pytest.mark.parametrize("kind", [ForgeDouble, ReForgeDouble], ids=["Forge", "reForge"])
def test_encoding_a_prompt_leaves_the_host_the_patchers_it_had(tmp_path: Path, kind: type[Patched]) -> None:
    double = kind(tmp_path / "host")
    with double.around():
        host = Forge() if kind is ForgeDouble else ReForge()
        double.generate()
        model = double.asked_for_model()
        before = model.forge_objects
        bundle = host.take_model(Settings())
        with torch.no_grad():
            bundle.encode(["a blue circle"])
        host.give_back()
        assert model.forge_objects is before


@pytest.mark.parametrize("kind", [ForgeDouble, ReForgeDouble], ids=["Forge", "reForge"])
def test_how_the_host_takes_the_model_is_how_we_do(tmp_path: Path, kind: type[Patched]) -> None:
    double = kind(tmp_path / "host")
    with double.around():
        host = Forge() if kind is ForgeDouble else ReForge()
        model = double.asked_for_model()
        bundle = host.take_model(Settings())
        assert bundle.diffusion.parameterisation is EPSILON
        assert bundle.diffusion.schedule.leaves_signal
        host.give_back()
        schedule = getattr(model.forge_objects_original.unet.model, double.schedule)
        schedule.prediction_type, model.parameterization = "v_prediction", "v"
        schedule.sigmas = torch.tensor([0.03, 4518.0])
        bundle = host.take_model(Settings())
        assert bundle.diffusion.parameterisation is VELOCITY
        assert not bundle.diffusion.schedule.leaves_signal
        assert "the WebUI treats it that way" in str(host.check_model(Settings()).about.facts[0])
        host.give_back()
        bundle = host.take_model(Settings(prediction="noise"))
        assert bundle.diffusion.parameterisation is EPSILON
        assert bundle.diffusion.schedule.leaves_signal
        host.give_back()


def predicting(double: Patched, *names: str, **values: object) -> None:
    """Have the host's model predict by a schedule of these classes."""
    bases = tuple(type(name, (), {}) for name in names)
    kind = bases[0] if len(names) == 1 else type("ModelSampling", bases, {})
    schedule = kind()
    vars(schedule).update({"sigmas": torch.tensor([0.001, 1.0]), "prediction_type": "const", **values})
    setattr(double.asked_for_model().forge_objects_original.unet.model, double.schedule, schedule)


FLOWS = {ForgeDouble: ("PredictionDiscreteFlow",), ReForgeDouble: ("ModelSamplingDiscreteFlow", "CONST")}
HOSTS = pytest.mark.parametrize("kind", [ForgeDouble, ReForgeDouble], ids=["Forge", "reForge"])


@HOSTS
def test_a_rectified_flow_that_the_host_alone_knows_is_trained_as_one(tmp_path: Path, kind: type[Patched]) -> None:
    """From the host's memory, and from the file where the host keeps the weights in another type."""
    double = kind(tmp_path / "host")
    with double.around():
        host = Forge() if kind is ForgeDouble else ReForge()
        predicting(double, *FLOWS[kind])
        assert "the WebUI treats it that way" in str(host.check_model(Settings()).about.facts[0])
        bundle = host.take_model(Settings())
        assert bundle.diffusion.parameterisation is FLOW
        assert torch.equal(bundle.diffusion.schedule.noise, torch.arange(1, 1001) / 1000)
        assert is_shared(double, bundle.denoiser.parameters())
        host.give_back()
        bundle = host.take_model(Settings(prediction="noise"))
        assert bundle.diffusion.parameterisation is EPSILON
        host.give_back()
        unet = double.asked_for_model().forge_objects_original.unet.model.diffusion_model
        with torch.inference_mode():
            unet.to(torch.float8_e4m3fn)
        bundle = host.take_model(Settings())
        assert bundle.diffusion.parameterisation is FLOW
        assert not is_shared(double, bundle.denoiser.parameters())
        host.give_back()


def test_images_of_rectified_flow_are_drawn_with_a_schedule_that_neo_can_draw_with(tmp_path: Path) -> None:
    double = NeoDouble(tmp_path / "host")
    with double.around():
        host, request = Forge(), ImageRequest("a red circle", seed=3, size=Size(64, 64))
        plain = host.draw(request, lambda _done, _total: None)[0]
        assert np.array_equal(np.asarray(plain), double.generate())
        predicting(double, "PredictionDiscreteFlow")
        assert not double.generate().any()
        assert np.asarray(host.draw(request, lambda _done, _total: None)[0]).any()


UNKNOWN = {
    ForgeDouble: [
        ("PredictionContinuousEDM", "v_prediction", "PredictionContinuousEDM (v_prediction)"),
        ("Prediction", "edm", "Prediction (edm)"),
        ("PredictionFlux", "const", "PredictionFlux (const)"),
    ],
    ReForgeDouble: [
        ("ModelSamplingContinuousEDM EDM", "", "ModelSamplingContinuousEDM + EDM"),
        ("ModelSamplingContinuousEDM V_PREDICTION", "", "ModelSamplingContinuousEDM + V_PREDICTION"),
        ("ModelSamplingDiscrete X0", "", "ModelSamplingDiscrete + X0"),
    ],
}


@HOSTS
def test_a_predictor_that_is_not_known_is_refused_by_name(tmp_path: Path, kind: type[Patched]) -> None:
    """Whatever the settings say, before anything is read, and the host is left as it was."""
    double = kind(tmp_path / "host")
    with double.around():
        host = Forge() if kind is ForgeDouble else ReForge()
        marks = double.marks()
        for names, stated, called in UNKNOWN[kind]:
            predicting(double, *names.split(), prediction_type=stated)
            told = f'first.safetensors cannot be trained: by the way the WebUI uses it, it predicts "{called}".'
            for settings in (Settings(), Settings(prediction="noise")):
                for refused in (host.check_model, host.take_model):
                    with pytest.raises(ModelError) as error:
                        refused(settings)
                    assert str(error.value).startswith(told)
                host.give_back()
        if kind is ForgeDouble:
            predicting(double, "PredictionDiscreteFlow", multiplier=1.0)
            with pytest.raises(ModelError, match="PredictionDiscreteFlow"):
                host.check_model(Settings())
        assert double.marks() == marks
        assert host.check_model(Settings(model="second")).family == "SD1"


def test_what_the_host_keeps_off_its_device_is_moved_there_as_our_own(double: ForgeDouble, host: Forge) -> None:
    bundle = host.take_model(Settings())
    assert bundle.host_parts == {"denoiser", "vae", "text_encoder"}
    device = torch.device("meta")  # stands for a graphics card, on which the host has its U-Net and no more
    bundle.denoiser.to(device)
    place(bundle, device, dict.fromkeys(bundle.modules, torch.float32))
    assert bundle.host_parts == {"denoiser"}
    assert bundle.vae.encoder.conv_in.weight.device.type == "cpu"
    assert next(bundle.text_encoders[0].parameters()).device == device
    ours = {id(tensor) for tensor in tensors_of(bundle)}
    assert ours
    assert ours.isdisjoint(id(tensor) for tensor in bundle.denoiser.parameters())
    host.give_back()
