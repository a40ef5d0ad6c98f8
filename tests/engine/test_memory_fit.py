"""Settings that fit a GPU: in which order they change, what stays, and what is said of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.engine.test_memory_estimate import BASE
from tests.helpers.home import host_in
from trainer.config.choices import CARDS
from trainer.config.settings import Settings
from trainer.config.size import Size
from trainer.engine import memory_fit
from trainer.engine.host import Host
from trainer.engine.memory_estimate import MemoryEstimate, estimate_memory
from trainer.engine.memory_fit import fit, fitting
from trainer.errors import UserError
from trainer.hosts.standalone import Standalone

GIB = 2**30
CUDA = torch.device("cuda")


@pytest.fixture
def host(tmp_path: Path) -> Standalone:
    return host_in(tmp_path)


def taken(settings: Settings, _host: Host, device: torch.device | None = None) -> MemoryEstimate:
    """A model of 8 GiB on a GPU, whose steps take 1 GiB a sample of 1024 x 1024, five times that if nothing is
    computed again and four times if a little is, and a 64th GiB a rank; what an image of the strip takes, 2 GiB."""
    weights = {"nf4": 2, "int8": 3.5, "fp32": 16}.get(settings.train_model_precision, 8)
    weights = 1 if settings.train_memory_saving == "streaming" else weights
    images = 1.0 if settings.train_VAE_precision == "fp16" else 1.5
    pixels = (settings.image_size or Size(1024, 1024)).area / 1024**2
    second = settings.second_pass if settings.use_2nd_pass_settings else None
    kept = 5 if settings.train_memory_saving == "none" else 4
    sample = max((1 if each.use_gradient_checkpointing else kept) * each.train_batch_size
                 for each in (settings, second or settings))  # fmt: skip
    remembered = 0.5 if settings.train_optimizer == "AdamW8bit" else 1
    steps = pixels * sample + settings.network_rank * remembered / 64
    parts = (images * pixels, steps, 2 * pixels if settings.effect_strip else 0)
    in_ram = 7 * GIB if settings.train_memory_saving == "streaming" else 0
    return MemoryEstimate(*(int(GIB * (weights + each)) for each in parts), in_ram)


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> None:
    """The order can be seen with numbers made up for it; a GPU is there, with 8-bit optimizers, and RAM enough."""
    monkeypatch.setattr(memory_fit, "room_on", lambda device: 16 * GIB if device.type == "cpu" else None)
    monkeypatch.setattr(memory_fit, "estimate_memory", taken)
    monkeypatch.setattr(memory_fit, "is_available", lambda name: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)


WANTED = replace(BASE, image_size=Size(1024, 1024), train_batch_size=4, network_rank=32, network_alpha=16.0,
                 effect_strip=True, train_optimizer="AdamW")  # fmt: skip
STEPS = [
    {"train_memory_saving": "light"},
    {"train_memory_saving": "none", "use_gradient_checkpointing": True},
    {"train_batch_size": 2, "train_gradient_accumulation": 2},
    {"train_batch_size": 1, "train_gradient_accumulation": 4},
    {"train_optimizer": "AdamW8bit"},
    {"effect_strip": False},
    {"train_VAE_precision": "fp16"},
    {"train_model_precision": "int8"},
    {"train_memory_saving": "streaming"},
    {"network_rank": 16, "network_alpha": 8.0},
    {"network_rank": 8, "network_alpha": 4.0},
    {"image_size": Size(768, 768)},
    {"image_size": Size(512, 512)},
    {"network_rank": 4, "network_alpha": 2.0},
]  # fmt: skip


@pytest.mark.usefixtures("played")
def test_what_leaves_the_result_alone_comes_first_and_more_memory_never_changes_more(host: Standalone) -> None:
    expected = [WANTED]
    for step in STEPS:
        expected.append(replace(expected[-1], **step))
    limits = [taken(each, host).most for each in expected]
    # Of settings that take the same at most, the later ones only make room for what comes after them.
    first = dict(reversed(list(zip(limits, expected, strict=True))))
    found = {limit: fitting(WANTED, host, limit, CUDA) for limit in first}
    assert {limit: each and each[0] for limit, each in found.items()} == first
    assert len(first) >= 9
    assert fitting(WANTED, host, min(limits) - 1, CUDA) is None
    between = fitting(WANTED, host, limits[1] + 1, CUDA)
    assert between is not None
    assert between[0] == expected[1]


@pytest.mark.usefixtures("played")
@pytest.mark.parametrize(("room", "streams"), [(7, False), (8, True), (None, True)])
def test_nothing_is_moved_to_ram_that_has_no_room_for_it(
    host: Standalone, monkeypatch: pytest.MonkeyPatch, room: int | None, *, streams: bool
) -> None:
    """What waits there are 7 GiB, a tenth is left to others; without it the 4-bit weights are what is left."""
    monkeypatch.setattr(memory_fit, "room_on", lambda _device: None if room is None else room * GIB)
    found = fitting(WANTED, host, int(3.2 * GIB), CUDA)
    assert found is not None
    assert (found[0].train_memory_saving == "streaming") == streams
    assert (found[0].train_model_precision == "nf4") != streams
    chosen = replace(WANTED, train_memory_saving="streaming", use_gradient_checkpointing=True)
    found = fitting(chosen, host, int(3.2 * GIB), CUDA)
    assert found is not None
    assert found[0].train_memory_saving == "streaming", "who has chosen it keeps it"


@pytest.mark.usefixtures("played")
def test_a_step_has_as_many_samples_with_a_smaller_batch(host: Standalone) -> None:
    for batch in (3, 6, 7):
        found = fitting(replace(WANTED, train_batch_size=batch), host, int(9.6 * GIB), CUDA)
        assert found is not None
        assert found[0].train_batch_size == 1
        assert found[0].train_gradient_accumulation == batch
    much = replace(WANTED, train_gradient_accumulation=1024)
    found = fitting(much, host, int(4.6 * GIB), CUDA)
    assert found is not None
    assert (found[0].train_batch_size, found[0].train_gradient_accumulation) == (4, 1024)


@pytest.mark.usefixtures("played")
def test_what_saves_nothing_or_is_to_stay_is_left_alone(host: Standalone) -> None:
    lion = fit(replace(WANTED, train_optimizer="Lion", train_VAE_precision="bf16", train_batch_size=1), host, "6")
    assert set(lion.changed) == {"use_gradient_checkpointing", "effect_strip", "train_model_precision"}
    kept = fit(WANTED, host, "12", ["use_gradient_checkpointing"])
    assert not kept.settings.use_gradient_checkpointing
    assert kept.fits


@pytest.mark.usefixtures("played")
def test_a_second_pass_with_its_own_settings_fits_as_well(host: Standalone) -> None:
    second = Settings(train_batch_size=8, train_optimizer="Lion")
    both = replace(WANTED, mode="Difference", use_2nd_pass_settings=True, second_pass=second)
    found = fitting(both, host, int(10 * GIB), CUDA)
    assert found is not None
    own = found[0].second_pass
    assert own is not None
    assert (own.use_gradient_checkpointing, own.train_batch_size, own.train_gradient_accumulation) == (True, 1, 8)
    assert own.train_optimizer == "Lion"
    unused = fitting(replace(both, use_2nd_pass_settings=False), host, int(10 * GIB), CUDA)
    assert unused is not None
    assert unused[0].second_pass == second


@pytest.mark.usefixtures("played")
def test_it_is_said_in_a_sentence_what_was_changed(host: Standalone) -> None:
    found = fit(replace(WANTED, train_batch_size=2), host, "12")
    assert found.message.text("en") == (
        "Changed to fit a GPU with 12 GB: use gradient checkpointing on. A run now takes about 11.3 GB."
    )
    assert "6 GB" in fit(replace(WANTED, mode="LoRA", dataset_config=""), host, "6").message.text("ja")
    as_it_is = fit(found.settings, host, "24")
    assert as_it_is.settings == found.settings
    assert "as it is" in as_it_is.message.text("en")
    never = fit(replace(WANTED, train_model_precision="int8", network_rank=4), host, "6", [
        "image_size", "use_gradient_checkpointing", "train_memory_saving"])  # fmt: skip
    assert not never.fits
    assert "Nothing makes this run fit a GPU with 6 GB" in never.message.text("en")


def test_the_gpu_here_is_one_or_nothing_changes(host: Standalone) -> None:
    found = fit(WANTED, host, "auto")
    assert (found.settings, found.changed, found.fits) == (WANTED, (), True)
    assert "computes on cpu" in found.message.text("en")
    assert CARDS[0] == "auto"


def test_a_card_counts_also_where_there_is_none(host: Standalone) -> None:
    found = fit(BASE, host, "6")
    assert found.changed == ()
    assert "about 0.6 GB" in found.message.text("en")  # 512 MiB of it is what CUDA takes for itself
    with pytest.raises(UserError, match="nothing"):
        fit(replace(BASE, model="nothing"), host, "6")


@pytest.mark.parametrize("is_there", [True, False])
@pytest.mark.usefixtures("played")
def test_only_optimizers_that_are_there_are_set(
    monkeypatch: pytest.MonkeyPatch, host: Standalone, is_there: bool
) -> None:
    monkeypatch.setattr(memory_fit, "is_available", lambda name: is_there)
    assert ("train_optimizer" in fit(WANTED, host, "6").changed) == is_there


@pytest.mark.more
def test_on_the_cpu_the_mildest_change_is_found_by_what_runs_take(host: Standalone) -> None:
    settings = replace(BASE, image_size=Size(256, 256), train_batch_size=4)
    whole = estimate_memory(settings, host).most
    found = fitting(settings, host, int(0.8 * whole))
    assert found is not None
    assert found[0] == replace(settings, train_memory_saving="light")
    assert found[1].most <= 0.8 * whole
