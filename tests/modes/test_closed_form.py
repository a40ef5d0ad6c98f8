"""The closed form that iLECO starts from: a map of prompts' states, and the LoRA that it is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.toy import checkpoint_file
from trainer.config.check import check_for_run
from trainer.config.choices import BLOCKS
from trainer.config.settings import Settings
from trainer.config.size import Size
from trainer.errors import NetworkError
from trainer.models.base import Bundle, Conditioning
from trainer.models.lora_target import Target
from trainer.models.placement import place_for_images
from trainer.models.registry import load_bundle
from trainer.models.stable_diffusion.lora_targets import unet_targets
from trainer.modes.base import PassContext
from trainer.modes.closed_form import SHARE, Change, Held, LowRank, solved, start
from trainer.modes.ileco import ILECO, ConceptPass
from trainer.networks.base import Network, Ranks, Strength, build, builder_of
from trainer.networks.lora import LoRA

CPU = torch.device("cpu")


def test_the_map_is_the_least_squares_solution() -> None:
    """Against numpy's solver of the same problem, written as rows."""
    rng = np.random.default_rng(3)
    states, by, held = rng.normal(size=(5, 7, 6)), rng.normal(size=(5, 7, 6)), rng.normal(size=(4, 7, 6))
    changes = [Change(torch.tensor(one), torch.tensor(move)) for one, move in zip(states, by, strict=True)]
    found = solved(changes, [Held([torch.tensor(each) for each in held], 2.0)], rank=6)

    before, kept = states.reshape(-1, 6) / np.sqrt(5), held.reshape(-1, 6) * np.sqrt(2.0 / 4)
    of_share = np.diag(np.sqrt(SHARE * ((before**2).sum(0) + (kept**2).sum(0))))
    rows = np.concatenate([before, kept, of_share])
    wanted = np.concatenate([by.reshape(-1, 6) / np.sqrt(5), 0 * kept, 0 * of_share])
    expected = np.linalg.lstsq(rows, wanted, rcond=None)[0].T
    np.testing.assert_allclose((found.left @ found.right).numpy(), expected, rtol=1e-8, atol=1e-10)


def test_a_map_of_low_rank_is_the_best_over_what_it_was_found_on() -> None:
    """By Eckart and Young: that of the results, in the metric of what is seen."""
    generator = torch.Generator().manual_seed(4)
    changes = [Change(*torch.randn(2, 9, 6, generator=generator, dtype=torch.float64)) for _ in range(4)]
    full, low = (solved(changes, [], rank) for rank in (6, 2))
    seen = sum(change.states.T @ change.states for change in changes) / 4
    seen = seen + SHARE * torch.diag(seen.diagonal())
    root = torch.linalg.cholesky(seen)
    u, s, vh = torch.linalg.svd(full.left @ full.right @ root)
    expected = (u[:, :2] * s[:2]) @ vh[:2] @ torch.linalg.inv(root)
    torch.testing.assert_close(low.left @ low.right, expected)


def test_a_lora_starts_as_a_product() -> None:
    generator = torch.Generator().manual_seed(6)
    linear = nn.Linear(6, 5, bias=False)
    adapter = LoRA.new(Target("a", linear, "denoiser", reads_prompt=True), Strength(), 4, 8.0, generator)
    before = adapter.down.detach().clone()
    left, right = torch.randn(6, 3, generator=generator), torch.randn(3, 6, generator=generator)
    network = Network([adapter], Strength())
    assert network.is_new()
    assert start(network, LowRank(left.double(), right.double())) == 1
    assert not network.is_new()
    torch.testing.assert_close(adapter.scale * adapter.up @ adapter.down, linear.weight @ left @ right)
    torch.testing.assert_close(adapter.down.norm(dim=1), before.norm(dim=1))  # as long as at random
    assert torch.equal(adapter.down[3], before[3])


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    found = load_bundle(checkpoint_file.PATH)
    place_for_images(found, CPU)
    return found


@pytest.fixture
def network(bundle: Bundle) -> Iterator[Network]:
    targets = unet_targets(bundle.denoiser, BLOCKS, "Full")
    made = build(targets, builder_of(LoRA, Ranks(8, 8.0), torch.float32, CPU), torch.Generator().manual_seed(1))
    with made.attached():
        yield made


def settings_of(**changes: object) -> Settings:
    plain = Settings(
        mode="iLECO", image_size=Size(64, 64), ileco_closed_form=True, ileco_descriptions=16, network_rank=8
    )
    return replace(plain, **changes)


def prepared(bundle: Bundle, network: Network, **changes: object) -> None:
    settings = settings_of(**changes)
    ILECO().passes(settings)[0].prepare(PassContext(settings, bundle, network, bundle.diffusion))


def keys_of(bundle: Bundle, network: Network, prompt: str, strength: float) -> Tensor:
    """What every layer that reads the prompt makes of it, one beside the other."""
    network.strength = strength
    with torch.no_grad():
        states = bundle.encode([prompt]).sequence[0]
        return torch.cat([each.module(states) for each in network if each.reads_prompt], 1)


def moved(bundle: Bundle, network: Network, prompt: str, other: str) -> float:
    """How far a prompt is on its way to another of as many tokens; 1 is the whole way, by the part of it that leads
    there."""
    before, after = (keys_of(bundle, network, prompt, strength) for strength in (0.0, 1.0))
    way = keys_of(bundle, network, other, 0.0) - before
    return float(((after - before) * way).sum() / way.square().sum())


def test_a_concept_starts_as_its_target(bundle: Bundle, network: Network) -> None:
    prepared(bundle, network, original_prompt="red", target_prompt="green")
    assert moved(bundle, network, "red", "green") > 0.8
    assert moved(bundle, network, "a large red circle, left", "a large green circle, left") > 0.8
    way = (keys_of(bundle, network, "red", 0.0) - keys_of(bundle, network, "green", 0.0)).norm()
    for prompt in ("", "a blue circle"):
        change = keys_of(bundle, network, prompt, 1.0) - keys_of(bundle, network, prompt, 0.0)
        assert change.norm() < 0.3 * way
    assert {each.name for each in network if each.up.any()} == {
        each.name for each in network if each.name.endswith(("attn2_to_k", "attn2_to_v"))
    }


def test_a_slider_starts_towards_both_ends(bundle: Bundle, network: Network) -> None:
    prepared(
        bundle, network, original_prompt="circle", slider_positive="red circle", slider_negative="green circle",
        slider_scale=2.0, keep_weight=0.0,
    )  # fmt: skip
    way = keys_of(bundle, network, "red circle", 0.0) - keys_of(bundle, network, "green circle", 0.0)
    one, other = (keys_of(bundle, network, "circle", s) - keys_of(bundle, network, "circle", 0.0) for s in (1.0, -1.0))
    torch.testing.assert_close(one, -other, rtol=1e-3, atol=1e-4)
    place = way[2] / way[2].norm()  # of "circle" behind a colour
    assert one[1] @ place > 0.5 * way[2].norm()


def test_a_network_that_has_learned_something_stays(bundle: Bundle, network: Network) -> None:
    for each in network:
        each.up.data.fill_(0.01)
    before = {name: parameter.clone() for name, parameter in network.named_parameters()}
    prepared(bundle, network, original_prompt="red", target_prompt="green")
    for name, parameter in network.named_parameters():
        assert torch.equal(parameter, before[name])


@pytest.mark.parametrize("changes", [{"network_type": "loha"}, {"network_element": "SelfAttention"}])
def test_what_cannot_start_so_is_told(changes: dict[str, object]) -> None:
    (problem,) = check_for_run(settings_of(original_prompt="red", target_prompt="green", **changes))
    (value,) = changes.values()
    assert f"does not work with {value}" in str(problem).replace("network type ", "").replace("network element ", "")
    assert ("lierla, c3lier" if value == "loha" else "Full, CrossAttention") in str(problem)


def test_what_the_model_takes_for_the_concept_is_not_held(bundle: Bundle, network: Network) -> None:
    """This one knows no pink, brown, yellow … background, and makes a gray one of each."""
    settings = settings_of(original_prompt="gray background", target_prompt="cyan background")
    concept = ConceptPass(trains_text_encoder=False)
    concept.prepare(PassContext(settings, bundle, network, bundle.diffusion))
    held = [prompt for prompt in concept._keep._prompts if prompt]
    assert any("white background" in prompt or "black background" in prompt for prompt in held)
    assert not any(re.search(r"(?:pink|brown|yellow) background", prompt) for prompt in held)


def test_prompts_that_are_named_count_as_much_as_the_neighbours(bundle: Bundle, network: Network) -> None:
    def change_of(prompt: str) -> float:
        return float((keys_of(bundle, network, prompt, 1.0) - keys_of(bundle, network, prompt, 0.0)).norm())

    asked = {"original_prompt": "red circle", "target_prompt": "green circle", "keep_weight": 2.0}
    kept = "a red triangle"
    prepared(bundle, network, **asked)
    unnamed = change_of(kept)
    for each in network:
        each.up.data.zero_()
    prepared(bundle, network, **asked, keep_prompts=kept)
    assert change_of(kept) < 0.6 * unnamed


def test_blocks_that_read_no_prompt_are_told(bundle: Bundle) -> None:
    targets = [each for each in unet_targets(bundle.denoiser, BLOCKS, "Full") if not each.reads_prompt]
    made = build(targets, builder_of(LoRA, Ranks(8, 8.0), torch.float32, CPU), torch.Generator().manual_seed(1))
    with made.attached(), pytest.raises(NetworkError, match="None of these blocks reads the prompt"):
        prepared(bundle, made, original_prompt="red", target_prompt="green")


def test_a_host_that_makes_other_places_of_a_prompt_is_no_obstacle(bundle: Bundle, network: Network) -> None:
    """An embedding whose name has many tokens: the host has one window where the name fills two."""
    family, name = bundle.family, "blorp " * 80

    def encode(prompt: str, size: Size | None, _layer: int) -> Conditioning:
        return family.encode(bundle, [prompt.replace(name.strip(), "blorp")], size=size)

    hosted = replace(bundle, encode_prompt=encode)
    for original, target in ((name, "green"), ("red", name)):
        for each in network:
            each.up.data.zero_()
        prepared(hosted, network, original_prompt=original.strip(), target_prompt=target.strip(), ileco_descriptions=0)
        assert not network.is_new()
