"""LoRA files as other trainers write them: what is known of them is used, the rest is told, by its kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.helpers.some_networks import predict, some_network, some_settings
from trainer.errors import NetworkError
from trainer.models.base import Bundle
from trainer.models.registry import load_bundle
from trainer.networks.files import file
from trainer.networks.files.find import find_lora
from trainer.networks.files.read import network_from_file, read_lora, unused_in
from trainer.networks.registry import builder, targets_of
from trainer.networks.resume import resumed_network
from trainer.text.messages import Message

Q = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_q"
NORM = "lora_unet_down_blocks_0_resnets_0_norm1"
EMBEDDING = "bundle_emb.zorp.string_to_param.*"
PROJECTION = "lora_te_text_projection"


@pytest.fixture(scope="module")
def sd1(models) -> Bundle:
    return load_bundle(models["SD1"])


def some_lora(bundle: Bundle) -> dict[str, Tensor]:
    return some_network(bundle, some_settings(network_blocks=("IN04",)), text=False).tensors()


def product(name: str, rank: int = 2) -> dict[str, Tensor]:
    return {
        f"{name}.lora_down.weight": torch.ones(rank, 64),
        f"{name}.lora_up.weight": torch.ones(64, rank),
        f"{name}.alpha": torch.tensor(1.0),
    }


EXTRAS: dict[str, tuple[Mapping[str, Tensor], str]] = {
    "embedding": ({EMBEDDING: torch.ones(2, 64)}, "1 bundled embedding"),
    "two for two encoders": (
        {f"bundle_emb.zorp.clip_{which}": torch.ones(2, 64) for which in "lg"} | {"bundle_emb.b.x": torch.ones(1)},
        "2 bundled embeddings",
    ),
    "norms": ({f"{NORM}.w_norm": torch.ones(32), f"{NORM}.b_norm": torch.ones(32)}, "changes of 1 norm (LyCORIS)"),
    "DoRA": ({f"{Q}.dora_scale": torch.ones(64, 1)}, "the DoRA scale of 1 module"),
    "biases": (
        {f"{Q}.bias_indices": torch.ones(1, 2), f"{Q}.bias_values": torch.ones(2), f"{Q}.bias_size": torch.ones(1)},
        "biases of 1 module",
    ),
    "peft's bias": ({"unet.mid_block.attentions.0.proj_in.lora_B.bias": torch.ones(2)}, "biases of 1 module"),
    "LoKr": (
        {f"lora_unet_mid_block_attentions_0_proj_in.{part}": torch.ones(2, 2) for part in ("lokr_w1", "lokr_w2")}
        | {"lora_unet_mid_block_attentions_0_proj_in.alpha": torch.tensor(1.0)},
        "LoKr of 1 module",
    ),
    "half a module": (
        {"lora_unet_mid_block_attentions_0_proj_in.lora_up.weight": torch.ones(2, 2)},
        "1 module of which a part is missing (lora_unet_mid_block_attentions_0_proj_in.lora_up.weight …)",
    ),
    "something": ({f"{Q}.surprise": torch.ones(2)}, f"1 tensor of an unknown kind ({Q}.surprise …)"),
}


@pytest.mark.parametrize("name", EXTRAS)
def test_what_is_known_is_used_and_the_rest_told(sd1: Bundle, tmp_path: Path, name: str) -> None:
    extra, told = EXTRAS[name]
    known = some_lora(sd1)
    path = file.save(tmp_path / "x.safetensors", {**known, **extra}, {})
    heard: list[Message] = []
    network = network_from_file(path, sd1, heard.append)
    assert [str(each) for each in heard] == [f"Not used of x.safetensors: {told}."] == [str(unused_in(path))]
    read = network.tensors()
    assert read.keys() == known.keys()
    assert all(torch.equal(read[key], tensor) for key, tensor in known.items())


def test_several_kinds_are_one_sentence(sd1: Bundle, tmp_path: Path) -> None:
    extra = {**EXTRAS["embedding"][0], **EXTRAS["norms"][0], **EXTRAS["DoRA"][0]}
    path = file.save(tmp_path / "x.safetensors", {**some_lora(sd1), **extra}, {})
    told = str(unused_in(path))
    assert told.startswith("Not used of x.safetensors: ")
    assert sorted(told.removeprefix("Not used of x.safetensors: ").rstrip(".").split(", ")) == [
        "1 bundled embedding", "changes of 1 norm (LyCORIS)", "the DoRA scale of 1 module",
    ]  # fmt: skip


def test_modules_that_the_model_does_not_have(sd1: Bundle, tmp_path: Path) -> None:
    """OneTrainer trains what projects a pooled prompt, also where nothing uses it."""
    path = file.save(tmp_path / "x.safetensors", {**some_lora(sd1), **product(PROJECTION)}, {})
    heard: list[Message] = []
    network = network_from_file(path, sd1, heard.append)
    assert [str(each) for each in heard] == [
        f"Not used of x.safetensors: 1 module that the model does not have ({PROJECTION} …)."
    ]
    assert PROJECTION not in {adapter.name for adapter in network}
    path = file.save(tmp_path / "y.safetensors", {**product(Q), **product("lora_te_a"), **product("lora_te_b")}, {})
    with pytest.raises(NetworkError, match=r"2 of its 3 modules have no place in this model"):
        network_from_file(path, sd1)


def test_sdxls_second_projection_is_used(models, tmp_path: Path) -> None:
    bundle = load_bundle(models["SDXL"])
    name = "lora_te2_text_projection"
    path = file.save(tmp_path / "x.safetensors", {**product(name), **product("lora_te1_text_projection")}, {})
    before = bundle.encode(["red"]).pooled  # type: ignore[attr-defined]
    network = network_from_file(path, bundle)
    assert [adapter.name for adapter in network] == [name]
    with network.attached():
        after = bundle.encode(["red"]).pooled  # type: ignore[attr-defined]
    # The update is ones everywhere: alpha / rank · (64 × rank) of them add up, the same in every number.
    moved = after - before
    torch.testing.assert_close(moved, moved[:, :1].expand_as(moved), rtol=1e-3, atol=1e-3)
    assert float(moved.abs().max()) > 0


def test_three_factors_are_two(sd1: Bundle, tmp_path: Path) -> None:
    """A convolution with a core (Tucker) as LyCORIS writes it: up · core · down is what is added to the weight."""
    name = "lora_unet_down_blocks_0_resnets_0_conv1"
    generator = torch.Generator().manual_seed(0)
    up, core, down = (torch.randn(size, generator=generator) for size in ((32, 3, 1, 1), (3, 3, 3, 3), (3, 32, 1, 1)))
    tensors = {"lora_up.weight": up, "lora_mid.weight": core, "lora_down.weight": down, "alpha": torch.tensor(1.5)}
    path = file.save(tmp_path / "x.safetensors", {f"{name}.{part}": tensor for part, tensor in tensors.items()}, {})
    (adapter,) = network_from_file(path, sd1)
    read = adapter.tensors()
    update = torch.einsum("op,pihw->oihw", read["lora_up.weight"].flatten(1), read["lora_down.weight"])
    by_hand = torch.zeros(32, 32, 3, 3)
    for p in range(3):
        for q in range(3):
            by_hand += up[:, p, 0, 0].view(-1, 1, 1, 1) * core[p, q] * down[q, :, 0, 0].view(1, -1, 1, 1)
    torch.testing.assert_close(update, by_hand, rtol=1e-4, atol=1e-4)
    assert adapter.scale == 0.5
    assert unused_in(path) is None


def test_a_pickle_is_read_as_a_checkpoint_is(sd1: Bundle, tmp_path: Path) -> None:
    known = some_lora(sd1)
    torch.save({"state_dict": known}, tmp_path / "slider.pt")
    with network_from_file(find_lora("slider", tmp_path), sd1).attached():
        wanted = predict(sd1)
    path = file.save(tmp_path / "x.safetensors", known, {})
    with network_from_file(path, sd1).attached():
        torch.testing.assert_close(predict(sd1), wanted)


def test_a_pickle_runs_nothing(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
            return exec, (f"open({str(tmp_path / 'ran')!r}, 'w')",)

    torch.save({"x": Evil()}, tmp_path / "evil.pt")
    with pytest.raises(NetworkError):
        read_lora(tmp_path / "evil.pt")
    assert not (tmp_path / "ran").exists()


def test_what_goes_on_in_a_new_file(sd1: Bundle, tmp_path: Path) -> None:
    """What takes part in nothing is kept as it is; what would act otherwise than it was trained is not."""
    known = some_lora(sd1)
    extras = {**EXTRAS["embedding"][0], **EXTRAS["norms"][0], **EXTRAS["DoRA"][0], **product(PROJECTION)}
    path = file.save(tmp_path / "x.safetensors", {**known, **extras}, {})
    settings = some_settings(network_blocks=("IN04",), network_strength=2.0)
    make, generator = builder(settings, torch.float32, torch.device("cpu")), torch.Generator()
    network, notes = resumed_network(
        read_lora(path), sd1, targets_of(sd1, settings, trains_text=False),
        lambda target, strength: make(target, strength, generator), settings, torch.float32,
    )  # fmt: skip
    saved = network.tensors(factor=2.0)
    assert saved.keys() == known.keys() | EXTRAS["embedding"][0].keys() | product(PROJECTION).keys()
    for key, tensor in {**EXTRAS["embedding"][0], **product(PROJECTION)}.items():
        assert torch.equal(saved[key], tensor)
    assert {str(each).partition(":")[0] for each in notes} >= {
        "Kept in the new file as it is in x.safetensors", "Not used of x.safetensors, and not in the new file",
    }  # fmt: skip
    (kept,) = (str(each) for each in notes if str(each).startswith("Kept"))
    assert "1 bundled embedding" in kept
    assert PROJECTION in kept
