"""What a LoRA changes: numbers against a plain computation, the pictures, and warnings where nothing changes."""

from __future__ import annotations

import json
import math
import time
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from trainer.cli import main
from trainer.config.choices import BLOCKS
from trainer.config.settings import Settings
from trainer.config.size import Size
from trainer.engine import effect as effect_module
from trainer.engine.asked import concepts, images, trigger
from trainer.engine.effect import STRENGTHS, TOO_SMALL, measure
from trainer.engine.plan import IMAGE_STEPS
from trainer.engine.run import run
from trainer.hosts.standalone import Standalone
from trainer.job import Asked, Change, Control, Done, Effect, Event, Job, Phase, Step, Warned
from trainer.models.base import Bundle
from trainer.models.image_spec import ImageSpec
from trainer.models.lora_target import Target
from trainer.models.registry import FAMILIES, load_bundle
from trainer.models.stable_diffusion.blocks import block_of, unet_block
from trainer.models.stable_diffusion.lora_targets import unet_name
from trainer.networks.base import Network, Strength
from trainer.networks.files import file
from trainer.networks.files.read import network_from_file, read_lora
from trainer.networks.lora import LoRA, product_norm
from trainer.reports.effect import lines_of
from trainer.text.messages import literal

CREATED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)


@pytest.fixture(scope="module")
def bundle(model: Path) -> Bundle:
    return load_bundle(model)


@pytest.fixture(autouse=True)
def few_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was asked is measured on a few rough images; test_asked.py looks at what is found."""
    for module in (images, concepts, trigger, effect_module):
        monkeypatch.setattr(module, "IMAGES", 2)
    for module in (images, concepts, trigger):
        monkeypatch.setattr(module, "STEPS", 1)


def job(model: Path, **changes: object) -> Job:
    settings = replace(
        Settings(), mode="iLECO", model=str(model), original_prompt="red", target_prompt="blue",
        image_size=Size(64, 64),
        network_rank=2, network_alpha=2.0, network_blocks=("BASE", "IN01", "M00", "OUT03"), train_iterations=3,
        train_batch_size=1, train_learning_rate=1e-2, train_seed=3, save_lora_name="x", sample_seed=7,
        network_train_text_encoder=True,
    )  # fmt: skip
    return Job.create(replace(settings, **changes), CREATED)


def collect(
    given: Job, host: Standalone, control: Control | None = None, react=lambda event: None
) -> tuple[Done, Effect | None, list[str], list[Event]]:
    events: list[Event] = []

    def emit(event: Event) -> None:
        events.append(event)
        react(event)

    done = run(given, host, control or Control(), emit)
    effects = [event for event in events if isinstance(event, Effect)]
    warnings = [
        str(event.message)
        for event in events
        if isinstance(event, Warned) and "copied to fp32" not in str(event.message)
    ]
    assert len(effects) <= 1
    return done, effects[0] if effects else None, warnings, events


# ---- the numbers ----------------------------------------------------------------------------------------------------


def test_norms_are_those_of_the_full_matrices(model: Path, bundle: Bundle, host: Standalone) -> None:
    given = job(model, network_strength=-1.5, network_alpha=3.0, effect_strip=False)
    done, effect, warnings, _ = collect(given, host)
    modules = {unet_name(name): module for name, module in bundle.denoiser.named_modules()}
    for name, module in bundle.text_encoders[0].named_modules():
        modules[f"lora_te_text_model_{name.removeprefix('text_model.').replace('.', '_')}"] = module
    updates: dict[str, float] = {}
    weights: dict[str, float] = {}
    for name, parts in read_lora(done.path).modules.items():
        up, down = (parts[f"lora_{part}.weight"].double().flatten(1) for part in ("up", "down"))
        block = "BASE" if "_te_" in name else {"down": "IN01", "mid_": "M00", "up_b": "OUT03"}[name[10:14]]
        dense = float(parts["alpha"]) / len(down) * (up @ down)
        updates[block] = updates.get(block, 0.0) + float(dense.square().sum())
        weights[block] = weights.get(block, 0.0) + float(modules[name].weight.double().square().sum())
    assert [change.block for change in effect.blocks] == ["BASE", "IN01", "M00", "OUT03"]
    for change in effect.blocks:
        assert change.norm == pytest.approx(math.sqrt(updates[change.block]), rel=1e-9)
        assert change.relative == pytest.approx(math.sqrt(updates[change.block] / weights[change.block]), rel=1e-5)
    assert effect.whole.norm == pytest.approx(math.sqrt(sum(updates.values())), rel=1e-9)
    assert effect.whole.relative == pytest.approx(math.sqrt(sum(updates.values()) / sum(weights.values())), rel=1e-5)
    assert effect.whole.relative > TOO_SMALL
    assert effect.path == done.path
    assert warnings == []


def random(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.parametrize("shapes", [((7, 3, 1, 1), (3, 5, 3, 3)), ((7, 3), (3, 11)), ((4, 1), (1, 4))])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_norm_without_the_product(shapes: tuple[tuple[int, ...], ...], dtype: torch.dtype) -> None:
    up, down = (random(*shape).to(dtype) for shape in shapes)
    product = up.double().flatten(1) @ down.double().flatten(1)
    assert product_norm(up, down) == pytest.approx(float(product.norm()), rel=1e-12)


def test_norm_where_nearly_everything_cancels() -> None:
    """Two ranks that undo each other but for a millionth."""
    up = torch.cat([random(50, 1), random(50, 1)], 1).double()
    down = torch.cat([random(1, 60), -(1 - 1e-6) * random(1, 60)]).double()
    assert product_norm(up, down) == pytest.approx(float((up @ down).norm()), rel=1e-3)


def test_a_large_network_is_measured_in_a_moment() -> None:
    """192 modules of rank 32, as wide as SD1's."""
    strength, adapters = Strength(), []
    module = nn.Linear(1280, 1280)
    for number in range(192):
        target = Target(f"lora_unet_mid_block_{number}", module, "denoiser")
        adapters.append(LoRA(target, strength, random(32, 1280), random(1280, 32), 16.0))
    start = time.perf_counter()
    whole, blocks = measure(Network(adapters, strength), FAMILIES["SD1"])
    assert time.perf_counter() - start < 10
    assert whole.norm == pytest.approx(math.sqrt(192) * adapters[0].norm())
    assert [change.block for change in blocks] == ["M00"]


def test_blocks_of_both_ways_of_naming(bundle: Bundle) -> None:
    for path, module in bundle.denoiser.named_modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            assert block_of(unet_name(path)) == unet_block(path)
    assert block_of("lora_te_text_model_encoder_layers_0_mlp_fc1") == "BASE"
    assert block_of("lora_te2_text_model_encoder_layers_0_mlp_fc1") == "BASE"
    assert block_of("lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q") == "IN04"
    assert block_of("lora_unet_middle_block_1_proj_in") == "M00"
    assert block_of("lora_unet_output_blocks_11_1_proj_in") == "OUT11"
    assert block_of("lora_unet_something_else") is None


# ---- the pictures ---------------------------------------------------------------------------------------------------


def test_the_strip_shows_what_the_file_does(model: Path, bundle: Bundle, host: Standalone) -> None:
    done, effect, warnings, events = collect(job(model), host)
    assert effect.strip == host.folders.samples("x", CREATED) / "effect.png"
    assert effect.prompt == "red"
    assert [strength for strength, _ in effect.differences] == [-1.0, 1.0]
    bundle.denoiser.float(), bundle.vae.float(), bundle.text_encoders[0].float()
    request = ImageSpec("red", seed=7, steps=IMAGE_STEPS, size=Size(64, 64))
    (wanted,) = effect_module.strength_grid(bundle, network_from_file(done.path, bundle), [request], STRENGTHS)
    with Image.open(effect.strip) as strip:
        assert strip.size == (64 * 3 + 4 * 2, 3 * (64 + 16) + 16)
        assert (strip.text["lora"], strip.text["prompt"]) == ("x", "red")
        parts = [np.asarray(strip.crop((left, 0, left + 64, 64)), float) for left in (0, 68, 136)]
    for part, picture in zip(parts, wanted, strict=True):
        assert np.array_equal(part, np.asarray(picture))
    for (_, difference), part in zip(effect.differences, (parts[0], parts[2]), strict=True):
        assert difference == pytest.approx(np.abs(part - parts[1]).mean())
        assert difference > 0.01
    assert warnings == []
    counted = [event for event in events if isinstance(event, Phase) and str(event.message) == "measuring the effect"]
    launches = concepts.ConceptQuestion([("red", "blue")], described=False, asks_empty=False).launches()
    assert counted[-1].done + 1 == counted[-1].total == 3 * (IMAGE_STEPS + 1) + launches + 4
    assert effect.asked.images == 2


def test_below_the_strip_is_what_was_measured(model: Path, bundle: Bundle, host: Standalone) -> None:
    done, effect, _, _ = collect(job(model), host)
    for module in (bundle.denoiser, bundle.vae, bundle.text_encoders[0]):
        module.float()
    requests = [ImageSpec("red", seed=seed, steps=1, size=Size(64, 64)) for seed in (7, 8)]
    rows = effect_module.strength_grid(bundle, network_from_file(done.path, bundle), requests, (0.0, 1.0))
    with Image.open(effect.strip) as strip:
        for column, (off, on) in enumerate(rows):
            for row, wanted in ((0, off), (1, on)):
                left, top = column * 68, 80 + 16 + row * 80
                seen = np.asarray(strip.crop((left, top, left + 64, top + 64)), float)
                assert np.abs(seen - np.asarray(wanted, float)).max() <= 1  # a batch of two may round otherwise
    assert str(effect.asked.shown) == 'Below it, without the LoRA (off) and with it (+1): 1 "red", 2 "red".'


def test_the_lora_gets_its_image_at_full_strength_as_its_picture(model: Path, host: Standalone) -> None:
    """For a WebUI's list. A later run of the name replaces it, and nothing that the user has put there instead."""
    done, effect, _, _ = collect(job(model), host)
    picture = done.path.with_name("x.preview.png")
    with Image.open(effect.strip) as strip, Image.open(picture) as shown:
        assert np.array_equal(np.asarray(shown), np.asarray(strip.crop((136, 0, 200, 64))))
    before = picture.read_bytes()
    collect(job(model, original_prompt="green", save_overwrite=True), host)
    assert picture.read_bytes() != before
    mine = done.path.with_name("x.png")
    Image.new("RGB", (8, 8)).save(mine)
    before = picture.read_bytes(), mine.read_bytes()
    collect(job(model, save_overwrite=True), host)
    assert (picture.read_bytes(), mine.read_bytes()) == before


def test_a_picture_that_cannot_be_written_is_told(model: Path, host: Standalone) -> None:
    (host.folders.loras / "x.preview.png").mkdir(parents=True)
    done, effect, warnings, _ = collect(job(model), host)
    assert done.path.exists()
    assert effect.strip.exists()
    assert ["The LoRA has no picture for the WebUI beside it." in each for each in warnings] == [True]


def test_the_strip_is_left_out_when_not_wanted_and_changes_no_file(model: Path, host: Standalone) -> None:
    _, effect, _, _ = collect(job(model, effect_strip=False), host)
    assert effect.strip is None
    assert effect.asked is None
    assert effect.differences == ()
    assert not host.folders.samples("x", CREATED).exists()
    assert sorted(path.name for path in host.folders.loras.iterdir()) == ["x.json", "x.safetensors"]


def test_lora_mode_shows_the_trigger_word_or_a_caption(model: Path, host: Standalone, tmp_path: Path) -> None:
    Image.new("RGB", (64, 64), "red").save(tmp_path / "a.png")
    (tmp_path / "a.txt").write_text("a red wall")
    pictures = {"mode": "LoRA", "lora_data_directory": str(tmp_path), "network_train_text_encoder": False}
    assert collect(job(model, **pictures, save_lora_name="one"), host)[1].prompt == "a red wall"
    worded = job(model, **pictures, save_lora_name="two", lora_trigger_word="sks")
    assert collect(worded, host)[1].prompt == "sks"


def test_stopping_while_the_pictures_are_made_takes_a_step(model: Path, host: Standalone) -> None:
    control, steps = Control(), []

    def react(event: Event) -> None:
        if isinstance(event, Phase) and str(event.message) == "measuring the effect":
            steps.append(event.done)
            if event.done == 4:
                control.stop()

    done, effect, warnings, _ = collect(job(model), host, control, react)
    assert max(steps) == 4
    assert done == Done(host.folders.loras / "x.safetensors", 3, stopped=False)
    assert effect.strip is None
    assert effect.whole.norm > 0
    assert warnings == []


@pytest.mark.parametrize("what", ["sample", "write", "read", "ask", "show"])
def test_a_failure_there_is_told_and_the_run_is_done(
    model: Path, host: Standalone, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    def fail(*_arguments: object, **_options: object) -> None:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    if what == "write":
        host.folders.samples("x", CREATED).parent.mkdir(parents=True)
        host.folders.samples("x", CREATED).write_text("in the way")
    else:
        place = concepts.ConceptQuestion if what == "ask" else effect_module
        names = {"sample": "sample", "read": "network_from_file", "ask": "answer", "show": "_decoded"}
        monkeypatch.setattr(place, names[what], fail)
    done, effect, warnings, _ = collect(job(model), host)
    assert done.path.exists()
    assert (effect is None) == (what == "read")
    told = {
        "read": "What the LoRA changes could not be measured",
        "ask": "Whether the LoRA does what was asked could not",
        "show": "The images it was measured on could not be added to the strip",
    }
    expected = told.get(what, "There are no images of what the LoRA does")
    assert [expected in warning for warning in warnings] == [True]
    assert what not in ("ask", "show") or effect.strip.exists()
    assert what != "show" or effect.asked.images == 2


# ---- nothing changes ------------------------------------------------------------------------------------------------


def test_a_file_of_zeros_is_told(model: Path, host: Standalone) -> None:
    """A learning rate so small that half precision keeps nothing of it."""
    _, effect, warnings, _ = collect(job(model, train_learning_rate=1e-10), host)
    assert effect.whole == Change("", 0.0, 0.0)
    assert effect.differences == ((-1.0, 0.0), (1.0, 0.0))
    assert [warning.split(":")[0] for warning in warnings[1:]] == ["The LoRA changes nothing"]
    assert "far below what AdamW usually trains with" in warnings[0]


def test_next_to_nothing_is_told_and_so_are_pictures_that_are_the_same(model: Path, host: Standalone) -> None:
    _, effect, warnings, _ = collect(job(model, train_learning_rate=1e-10, save_precision="fp32"), host)
    assert 0 < effect.whole.relative < TOO_SMALL
    assert [warning.split(",")[0] for warning in warnings[1:]] == [
        "The LoRA changes next to nothing",
        "With and without the LoRA",
    ]


def test_a_run_stopped_after_its_first_step(model: Path, host: Standalone) -> None:
    control = Control()

    def react(event: Event) -> None:
        if isinstance(event, Step):
            control.stop_and_save()

    slow = job(model, train_learning_rate=1e-6, train_iterations=2000)
    done, effect, warnings, _ = collect(slow, host, control, react)
    assert done.stopped
    assert done.path.exists()
    assert effect.strip is None  # whoever stops does not wait for pictures
    assert [warning.startswith("The LoRA changes n") for warning in warnings] == [True]


def test_numbers_that_are_none_are_told(bundle: Bundle) -> None:
    broken = Effect(Path("x"), Change("", math.nan, math.nan), ())
    assert "Do not use it" in str(effect_module._warnings(broken, Settings(), ())[0])
    assert effect_module._warnings(Effect(Path("x"), Change("", 1.0, 0.01), ()), Settings(), ()) == []


def test_where_little_is_seen_it_is_told_what_to_raise(host: Standalone) -> None:
    """On a model that draws: two slow steps are hardly seen, ten of another rate are."""
    toy = Path(__file__).resolve().parents[1] / "toy" / "toy-sd1.safetensors"
    words = {"original_prompt": "a red circle", "target_prompt": "a blue circle", "save_overwrite": True}
    for rate, steps, told in ((3e-4, 2, True), (1e-2, 6, False)):
        _, effect, warnings, _ = collect(
            job(toy, train_learning_rate=rate, train_iterations=steps, image_size=Size(64, 64), **words), host
        )
        difference = dict(effect.differences)[1.0]
        assert (difference < effect_module.LITTLE) == told
        expected = f'At strength +1 the image of "a red circle" differs by {difference:.1g} of 255 on average. '
        remedy = "If that is too little, raise train iterations or train learning rate."
        assert [each for each in warnings if "strength" in each] == [expected + remedy] * told


@pytest.mark.parametrize(
    ("black", "told"),
    [
        ((-1.0, 0.0, 1.0), "The images with and without the LoRA are black: see s.png."),
        ((1.0,), "The image at LoRA strength +1 is black: see s.png."),
        ((-1.0, 1.0), "The image at LoRA strength -1, +1 is black: see s.png."),
    ],
)
def test_black_images_are_not_called_the_same(black: tuple[float, ...], told: str) -> None:
    drawn = Effect(Path("x"), Change("", 1.0, 0.01), (), Path("s.png"), "red", ((-1.0, 0.0), (1.0, 0.0)))
    (warning,) = effect_module._warnings(drawn, Settings(), black)
    assert str(warning).startswith(told)


@pytest.mark.parametrize("reaching", [False, True])
@pytest.mark.parametrize("mode", ["ADDifT", "Multi-ADDifT"])
def test_what_to_raise_is_of_the_mode(mode: str, reaching: bool) -> None:
    """Only a LoRA that was trained at a quarter of its strength is to be saved at a higher one."""
    weak = Effect(Path("x"), Change("", 1.0, 0.01), (), Path("s.png"), "red", ((-1.0, 3.0), (1.0, 0.2)))
    (told,) = effect_module._warnings(weak, Settings(mode=mode, diff_reach_target=reaching), ())
    remedy = f"raise train iterations{' or' if reaching else ','} train learning rate"
    remedy += "." if reaching else " or network strength."
    assert str(told).endswith(f"differs by 0.2 of 255 on average. If that is too little, {remedy}")


# ---- the command line -----------------------------------------------------------------------------------------------


def test_the_command_line_tells(model: Path, host: Standalone, capsys) -> None:
    blocks = (Change("IN01", 1.0, 0.02), Change("M00", 2.0, 0.05), Change("OUT03", 1.0, 0.0301), Change("OUT04", 1, 0))
    effect = Effect(Path("x"), Change("", 2.5, 0.0123), blocks, Path("s.png"), "red", ((-1.0, 3.25), (1.0, 10.0)))
    assert lines_of(effect) == [
        "The LoRA changes the weights by 1.2 % (norm 2.5).",
        "Its images differ from those without it at -1 by 3.2, at +1 by 10.0 of 255 levels: s.png",
    ]
    assert len(lines_of(replace(effect, blocks=blocks[:1], strip=None))) == 1
    found = Asked(5, 1, 6, (literal("It does in 5 of 6."), literal("Fine.")), shown=literal("Below it: six."))
    lines = lines_of(replace(effect, asked=found))
    assert (lines[:2], lines[-1]) == (["It does in 5 of 6.", "Fine."], "Below it: six.")


def test_info_knows_the_norms(model: Path, host: Standalone, capsys) -> None:
    done, effect, _, _ = collect(job(model, effect_strip=False), host)
    assert main(["info", str(done.path), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert rows["norm"] == pytest.approx(effect.whole.norm)
    assert rows["norms by block"] == pytest.approx({change.block: change.norm for change in effect.blocks})
    assert main(["info", str(done.path)]) == 0
    assert "norms by block: BASE " in capsys.readouterr().out
    assert set(rows["norms by block"]) <= set(BLOCKS)


def test_info_of_another_kind_of_lora_has_no_norms(tmp_path: Path, capsys) -> None:
    name = "lora_unet_mid_block_attentions_0_proj_in"
    parts = {f"{name}.lokr_{part}": torch.ones(2, 2) for part in ("w1", "w2")}
    path = file.save(tmp_path / "lokr.safetensors", parts, {})
    assert main(["info", str(path), "--json"]) == 0
    assert "norm" not in json.loads(capsys.readouterr().out)
