"""The memory of a run told before it begins, against what runs take, and what is said where there is too little."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from benchmarks.count import CASES, TEXT_FREE, without_numbers
from tests.engine.test_run import collect, job
from tests.helpers.home import host_in
from tests.helpers.measured import measured
from tests.test_count import rows_of
from trainer.config.choices import MODES, TEXT_ENCODERS
from trainer.config.settings import Settings
from trainer.config.size import Size
from trainer.engine import memory_estimate, memory_fit, passes
from trainer.engine.memory_estimate import MemoryEstimate, estimate_memory
from trainer.engine.memory_fit import memory_advice
from trainer.errors import MemoryShortError
from trainer.hosts.standalone import Standalone
from trainer.job import Failed
from trainer.models.checkpoint.identify import identify

ROOT = Path(__file__).resolve().parents[2]
TOY = ROOT / "tests" / "toy" / "toy-sd1.safetensors"
BASE = Settings(
    mode="iLECO", model=str(TOY), original_prompt="red", target_prompt="blue", effect_strip=False, train_seed=1,
    image_size=Size(128, 128), train_batch_size=2, save_lora_name="x",
)  # fmt: skip


@pytest.fixture
def host(tmp_path: Path) -> Standalone:
    return host_in(tmp_path)


def steps(host: Standalone, **changes: object) -> int:
    return estimate_memory(replace(BASE, **changes), host).steps


def test_the_weights_are_those_of_the_file(host: Standalone) -> None:
    numbers = sum(math.prod(each.shape) for each in identify(TOY).tensors.values())
    assert estimate_memory(BASE, host).images == pytest.approx(4 * numbers, rel=0.02)  # no image is encoded


def test_a_pairs_step_that_trains_the_text_encoder_is_counted(host: Standalone, tmp_path: Path) -> None:
    """The step leaves one strength per sample, at which a single caption cannot be encoded."""
    for name in ("original", "target"):
        Image.new("RGB", (64, 64), "red" if name == "target" else "blue").save(tmp_path / f"{name}.png")
    pair = replace(
        BASE, mode="ADDifT", original_image=str(tmp_path / "original.png"), target_image=str(tmp_path / "target.png"),
        image_size=None, diff_reach_target=True, diff_alt_ratio=0.0, lora_trigger_word="zorp",
    )  # fmt: skip
    text_too, without = estimate_memory(pair, host), estimate_memory(replace(pair, network_blocks=TEXT_FREE), host)
    adapters = 4 * (text_too.lora - without.lora) / 2
    assert adapters > 0
    assert text_too.steps - without.steps > 4 * adapters


@pytest.mark.more
def test_the_vae_is_counted_where_images_are_encoded_in_each_step(
    host: Standalone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "device", torch.device("meta"))  # where the VAE is not there otherwise
    vae = sum(math.prod(tensor.shape) for name, tensor in identify(TOY).tensors.items() if "first_stage" in name)
    changes = {"mode": "LoRA", "lora_data_directory": str(tmp_path), "train_model_precision": "fp16"}
    kept = steps(host, **changes, image_random_flip=True)
    assert steps(host, **changes, image_random_crop=True) >= kept + 4 * vae


@pytest.mark.slow
def test_what_a_step_takes_grows_and_shrinks_with_what_it_does(host: Standalone) -> None:
    base = steps(host)
    assert steps(host, train_batch_size=4) > 1.3 * base
    assert steps(host, image_size=Size(256, 256)) > 2 * base
    assert steps(host, network_rank=256) > base
    assert steps(host, train_model_precision="int8") < base
    assert steps(host, keep_prompts="green", keep_weight=1.0) > base  # twice the samples in one launch
    held = steps(host, hold_unconditional="yes", train_batch_size=3)  # two samples of three hold it in the first step
    assert steps(host, hold_unconditional="no", train_batch_size=3) < held
    assert held < steps(host, keep_prompts="green", hold_unconditional="no", train_batch_size=3)
    words = {"mode": "LoRA", "train_self_reg": 1.0, "lora_trigger_word": "zorp"}
    assert steps(host, mode="LoRA") < steps(host, **words, train_self_reg_images=2)
    # Of every number AdamW remembers two more, and Lion one, in float32.
    saved = steps(host, train_optimizer="AdamW") - steps(host, train_optimizer="Lion")
    more = steps(host, network_rank=32, train_optimizer="AdamW") - steps(host, network_rank=32, train_optimizer="Lion")
    assert saved > 0
    assert more == pytest.approx(2 * saved, rel=0.01)


def test_captions_that_change_are_counted(host: Standalone) -> None:
    """Of each step each: 77 tokens, 64 wide, in float32; too many for the memory are not kept."""
    plain = steps(host, mode="LoRA")
    changing = {"caption_shuffle": True, "train_batch_size": 2}
    assert steps(host, mode="LoRA", **changing, train_iterations=1000) - plain == 2000 * 77 * 64 * 4
    assert steps(host, mode="LoRA", **changing, train_iterations=1_000_000) == plain
    assert steps(host, **changing) == steps(host)  # a mode that does not show them


@pytest.mark.more
def test_a_dataset_file_is_counted_at_its_largest_dataset(host: Standalone, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    Image.new("RGB", (64, 64)).save(tmp_path / "a" / "0.png")
    path = tmp_path / "data.toml"
    path.write_text(
        "".join(
            f"[[datasets]]\nresolution = {side}\nbatch_size = {batch}\n[[datasets.subsets]]\n"
            f"image_dir = '{(tmp_path / 'a').as_posix()}'\n"
            for side, batch in ((256, 1), (192, 3), (64, 4))
        )
    )
    asked = replace(BASE, mode="LoRA", lora_data_directory=str(tmp_path / "a"))
    wanted = estimate_memory(replace(asked, image_size=Size(192, 192), train_batch_size=3), host)
    assert estimate_memory(replace(asked, dataset_config=str(path)), host) == wanted


@pytest.mark.more
def test_every_mode_is_told_its_memory(host: Standalone, tmp_path: Path) -> None:
    for name, colour in (("one", "red"), ("one_b", "blue")):
        Image.new("RGB", (192, 128), colour).save(tmp_path / f"{name}.png")
    pair = {"original_image": str(tmp_path / "one.png"), "target_image": str(tmp_path / "one_b.png")}
    for mode, info in MODES.items():
        given = pair if info.images == "pair" else {}
        size = None if info.images == "pair" else Size(192, 128)
        found = estimate_memory(replace(BASE, mode=mode, image_size=size, effect_strip=True, **given), host)
        assert found.steps > found.images or info.images != "none", mode
        assert found.images > min(found.previews, found.steps) / 2, mode
        assert found.most > 30e6, mode
        half = estimate_memory(replace(BASE, mode=mode, image_size=Size(64, 64), **given), host)
        assert half.most < found.most, mode


@pytest.mark.skipif(sys.platform != "linux", reason="reads the memory in use from /proc")
@pytest.mark.parametrize(
    "changes",
    [
        pytest.param(
            {"network_type": "c3lier", "image_size": (320, 256), "train_batch_size": 3},
            marks=pytest.mark.more,
            id="convs",
        ),
        pytest.param(
            {"image_size": (384, 384), "train_optimizer": "Prodigy", "keep_prompts": "green", "train_batch_size": 1},
            marks=pytest.mark.slow,
            id="held prompts",
        ),
        pytest.param(
            {"image_size": (448, 320), "use_gradient_checkpointing": True, "train_batch_size": 3},
            marks=pytest.mark.slow,
            id="checkpointing",
        ),
    ],
)
def test_a_run_takes_what_was_told(host: Standalone, tmp_path: Path, changes: dict[str, object]) -> None:
    """Within 15 %, of all that a process holds beyond its libraries."""
    wanted = {"model": BASE.model, "train_batch_size": BASE.train_batch_size, "train_iterations": 2, **changes}
    found = measured(tmp_path, **wanted)
    told = steps(host, **{**changes, "image_size": Size(*changes["image_size"])})  # type: ignore[misc]
    assert told == pytest.approx(max(found["loaded"], found["stepping"]), rel=0.15)


@pytest.mark.parametrize("title", ["LoRA", "LoRA, checkpointing", "LoRA, captions encoded in each step"])
@pytest.mark.parametrize("family", ["SD1", pytest.param("SDXL", marks=pytest.mark.more)])
def test_a_card_is_told_what_is_counted(family: str, title: str, tmp_path: Path) -> None:
    """The steps of full-size models, beside what CUDA takes for itself: no less than the docs say, or than weights,
    text encoders and network before the first step, and little more, which is what the allocator keeps."""
    (case,) = (each for each in CASES if (each.family, each.title) == (family, title))
    row = rows_of((ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8"))[f"{family} {case.size.width}²", title]
    model = without_numbers(tmp_path / "model.safetensors", family)
    text = sum(2 * math.prod(each.shape) for name, each in identify(model).tensors.items() if name.startswith("cond"))
    network = 4e6 * float(row["parameters"].removesuffix(" M"))
    before = float(row["weights"]) * 2**30 + text + network
    taken = max(float(row["GiB at most"]) * 2**30, before)
    settings = replace(case.settings, model=str(model))
    told = estimate_memory(settings, host_in(tmp_path), torch.device("cuda")).steps - memory_estimate._CONTEXT
    assert 0.99 * taken <= told <= 1.06 * taken


@pytest.mark.parametrize(("device", "over"), [("cuda", 1.01), ("cpu", 1.3)])
def test_a_huge_frame_is_told_by_smaller_ones(
    host: Standalone, monkeypatch: pytest.MonkeyPatch, device: str, over: float
) -> None:
    """What a trace of the frame itself finds; on the CPU more, since small blocks are more of a smaller frame."""
    settings = replace(BASE, image_size=Size(2048, 1920), train_batch_size=1, effect_strip=True)
    told = estimate_memory(settings, host, torch.device(device))
    monkeypatch.setattr(memory_estimate, "_HUGE", (Size(2048, 2048), Size(2304, 2304)))
    traced = estimate_memory(settings, host, torch.device(device))
    assert 0.99 * traced.images <= told.images <= over * traced.images
    assert 0.99 * traced.previews <= told.previews <= over * traced.previews


@pytest.mark.more
def test_a_card_is_told_what_encoding_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of SDXL at 1024² less than the smallest steps may take; beside a model that a WebUI lends, with all of it."""
    rows = rows_of((ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8"))
    counted = float(rows["SDXL 1024²", "images encoded"]["GiB at most"]) * 2**30
    (case,) = (each for each in CASES if (each.family, each.title) == ("SDXL", "LoRA, checkpointing"))
    model = without_numbers(tmp_path / "model.safetensors", "SDXL")
    settings = replace(case.settings, model=str(model), effect_strip=False)
    host = host_in(tmp_path)
    told = estimate_memory(settings, host, torch.device("cuda"))
    assert 0.99 * counted <= told.images - memory_estimate._CONTEXT <= 1.1 * counted
    assert told.images < 4.4e9
    monkeypatch.setattr(Standalone, "lends_model", property(lambda _: True))
    rest = sum(2 * math.prod(t.shape) for n, t in identify(model).tensors.items() if not n.startswith("first_stage"))
    lent = estimate_memory(settings, host, torch.device("cuda"))
    assert lent.images - told.images == pytest.approx(rest, rel=0.01)


def test_text_encoders_leave_a_card_if_they_can(host: Standalone, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not those of a WebUI, which stay its own; nor where they are trained, or each step's captions need them."""
    card = torch.device("cuda")
    size = sum(math.prod(t.shape) for name, t in identify(TOY).tensors.items() if "cond_stage_model" in name)
    settings = replace(BASE, mode="LoRA", train_model_precision="fp32", network_blocks=TEXT_FREE)

    def told(**changes: object) -> MemoryEstimate:
        return estimate_memory(replace(settings, **changes), host, card)  # type: ignore[arg-type]

    gone, text_too = told(effect_strip=True), (*TEXT_FREE, TEXT_ENCODERS)
    shuffled = told(caption_shuffle=True, train_iterations=1_000_000)
    assert shuffled.steps - gone.steps == pytest.approx(4 * size, rel=0.01)
    trained = told(network_blocks=text_too, effect_strip=True)
    assert trained.steps - gone.steps > 4 * size
    learning = 4 * 4 / 2  # of the file in half precision: fp32, with gradients and two states of AdamW
    assert trained.previews - gone.previews == pytest.approx(learning * (trained.lora - gone.lora), rel=0.01)
    saving = told(use_gradient_checkpointing=True, effect_strip=True)
    assert gone.previews - saving.previews == pytest.approx(4 * size, rel=0.01)
    own = told(train_model_precision="int8").steps
    monkeypatch.setattr(Standalone, "lends_model", property(lambda _: True))
    vae = sum(math.prod(t.shape) for name, t in identify(TOY).tensors.items() if "first_stage_model" in name)
    assert told().steps - gone.steps == pytest.approx(4 * (size + vae), rel=0.01)
    assert told(train_model_precision="int8").steps == own
    monkeypatch.undo()
    monkeypatch.setattr(Standalone, "makes_previews", property(lambda _: True))
    after = told(effect_strip=True).previews
    assert gone.previews - after == pytest.approx(learning * gone.lora, rel=0.01)


def test_too_little_memory_is_said_with_what_would_do(host: Standalone, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = replace(BASE, image_size=Size(256, 256), train_batch_size=4)
    assert memory_advice(settings, host).fits
    whole = estimate_memory(settings, host).most
    monkeypatch.setattr(memory_fit, "room_on", lambda device: int(0.8 * whole))
    advice = memory_advice(settings, host)
    assert not advice.fits
    assert "set train memory saving to light" in advice.message.text("en")
    monkeypatch.setattr(memory_fit, "room_on", lambda device: 1_000_000)
    least = {"train_memory_saving": "streaming", "train_model_precision": "nf4", "use_gradient_checkpointing": True}
    small = replace(settings, **least, image_size=Size(64, 64), train_batch_size=1, network_rank=1, effect_strip=False)
    assert "whatever the settings" in memory_advice(small, host).message.text("en")


@pytest.mark.parametrize("room", [70_000_000, None])
def test_a_run_out_of_memory_names_the_settings_that_fit(
    host: Standalone, monkeypatch: pytest.MonkeyPatch, room: int | None
) -> None:
    def short(*_: object, **__: object) -> None:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")

    monkeypatch.setattr(passes, "train", short)
    monkeypatch.setattr(memory_fit, "room_on", lambda device: room)
    events = []
    given = job(TOY, image_size=Size(256, 256), train_batch_size=4, hold_unconditional="no")
    with pytest.raises(MemoryShortError) as raised:
        collect(given, host, react=events.append)
    said = str(raised.value)
    assert ("70 MB. About" in said) if room else ("Turn on gradient checkpointing" in said)
    assert [each.error for each in events if isinstance(each, Failed)] == [raised.value]
    monkeypatch.undo()
    done, _ = collect(replace(given, settings=replace(given.settings, image_size=Size(64, 64))), host)
    assert done.path is not None  # the next run has all the memory
