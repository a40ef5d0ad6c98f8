"""One of each kind is added to a copy of the tree as docs/adding.md says, in the places it names and no others."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors import safe_open

ROOT = Path(__file__).resolve().parent.parent
TOY = ROOT / "tests" / "toy" / "toy-sd1.safetensors"

MODE = '''
from __future__ import annotations

import torch

from ..networks.files.metadata import Usage
from .base import Pass, StepLoss


class Quiet:
    """The mode: what the model predicts for a prompt becomes smaller."""

    def trains_text_encoder(self, settings, captions):
        return False

    def passes(self, settings):
        return [QuietPass()]

    def usage(self, settings, captions):
        return Usage(settings.original_prompt, meaning="less of everything")


class QuietPass(Pass):
    def prepare(self, context):
        self._context = context
        with torch.no_grad(), context.network.off():
            self._conditioning = context.bundle.encode([context.settings.original_prompt])

    def loss(self, rng):
        context, settings = self._context, self._context.settings
        count = settings.train_batch_size
        noise = rng.noise((count, *context.bundle.latent_shape(settings.size)), torch.float32)
        timesteps = context.timesteps(rng, count)
        context.network.strength = 1.0
        predicted = context.bundle.predict(noise, timesteps, self._conditioning.expand(count))
        losses = settings.quiet_weight * predicted.square().flatten(1).mean(1)
        return StepLoss(context.weighted(losses, timesteps), timesteps)
'''
MODE_ROW = """
        ModeInfo(
            "Quiet",
            ".modes.quiet:Quiet",
            images="none",
            shows=("prompts", "resume"),
            check=".config.check:quiet",
        ),"""
CHECK = """

def quiet(settings: Settings) -> _Found:
    if not settings.original_prompt:
        yield "original_prompt", message("config.no_concept")
"""
NETWORK = '''
"""Gains: each output of a module is multiplied by a number of its own. Its norm depends on the model's weight."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from ..errors import NetworkError
from ..text.messages import literal
from .base import Adapter, weight_of


class Gains(Adapter):
    label = "Gains"
    part_sets = (frozenset({"gain"}),)
    input_part = ""

    def __init__(self, target, strength, gain, alpha):
        super().__init__(target, strength)
        self.gain = nn.Parameter(gain)
        self.alpha = alpha

    @classmethod
    def new(cls, target, strength, rank, alpha, generator):
        return cls(target, strength, torch.zeros(len(weight_of(target.module))), alpha)

    @classmethod
    def load(cls, target, strength, parts, dtype):
        return cls(target, strength, parts["gain"].to(dtype, copy=True), float(parts["alpha"]))

    @classmethod
    def is_wide(cls, parts):
        return False

    @classmethod
    def rank_of(cls, parts):
        return 1

    @classmethod
    def norm_of(cls, parts, weight, /):
        if weight is None:
            raise NetworkError(literal("how large the update is depends on the model"))
        return float((parts["gain"][:, None] * weight.flatten(1)).norm())

    @property
    def scale(self):
        return 1.0

    def update(self, x):
        weight = self.weight.to(x.dtype) * self.gain.to(x.dtype).view(-1, *[1] * (self.weight.ndim - 1))
        if isinstance(self.module, nn.Conv2d):
            return F.conv2d(x, weight, None, self.module.stride, self.module.padding)
        return F.linear(x, weight)

    def tensors(self):
        return {"gain": self.gain, "alpha": torch.tensor(self.alpha)}

    def scaled(self, factor):
        return {"gain": self.gain.detach() * factor, "alpha": torch.tensor(self.alpha)}
'''
NETWORK_ROW = """
        NetworkInfo(
            "gains", ".networks.gains:Gains", include_resnets=False, module="lycoris.kohya",
            arguments=MappingProxyType({"algo": "ia3"}),
        ),"""
OPTIMIZER_ROW = """
        OptimizerInfo("RMSprop", "torch.optim:RMSprop", "torch"),"""
SCHEDULER_ROW = """
        SchedulerInfo(
            "half", "torch.optim.lr_scheduler:ConstantLR", lambda course: {"total_iters": course.steps}, ("factor",)
        ),"""
SETTING_ROW = """
    quiet_weight: float = _float(1.0, "Training", above=0)"""
# What is changed: the file, the line after which the text goes (none: at the end; a new file), and the text.
ADDITIONS = {
    "A setting": (
        ("trainer/config/settings.py", "    keep_weight: float = _float(1.0, \"Training\", least=0)", SETTING_ROW),
        ("trainer/text/en/settings.py", '        "keep_weight": "keep weight",', '"quiet_weight": "quiet weight",'),
        ("trainer/text/ja/settings.py", "LABELS: Mapping[str, str] = MappingProxyType(\n    {",
         '"quiet_weight": "静けさの重み",'),
        ("trainer/text/en/settings.py", "HELP: Mapping[str, str] = MappingProxyType(\n    {",
         '"quiet_weight": "How quiet.",'),
        ("trainer/text/ja/settings.py", "HELP: Mapping[str, str] = MappingProxyType(\n    {",
         '"quiet_weight": "静かさを決めます。",'),
    ),
    "A mode": (
        ("trainer/modes/quiet.py", None, MODE),
        ("trainer/config/choices.py", "MODES: Final = _by_name(\n    (", MODE_ROW),
        ("trainer/config/check.py", None, CHECK),
        ("trainer/text/en/page.py", "TEXTS: Mapping[str, str] = MappingProxyType(\n    {",
         '"mode.quiet": "Makes everything quieter.",'),
        ("trainer/text/ja/page.py", "TEXTS: Mapping[str, str] = MappingProxyType(\n    {",
         '"mode.quiet": "すべてを静かにします。",'),
    ),
    "A network type": (
        ("trainer/networks/gains.py", None, NETWORK),
        ("trainer/config/choices.py", "NETWORK_TYPES: Final = _by_name(\n    (", NETWORK_ROW),
    ),
    "An optimizer": (("trainer/config/choices.py", "OPTIMIZERS: Final = _by_name(\n    (", OPTIMIZER_ROW),),
    "A learning-rate schedule": (("trainer/config/choices.py", "SCHEDULERS: Final = _by_name(\n    (", SCHEDULER_ROW),),
}  # fmt: skip
SETTINGS = {
    "mode": "Quiet", "original prompt": "a red circle", "network_type": "gains", "train_optimizer": "rmsprop",
    "train_lr_scheduler": "half", "train_lr_scheduler_settings": "factor=0.25", "quiet_weight": 3,
    "network_strength": 2, "image_size": "64", "train_iterations": 2, "train_batch_size": 1, "train_seed": 1,
    "train_learning_rate": 1e-3, "train_model_precision": "fp32", "save_precision": "fp32", "effect_strip": False,
}  # fmt: skip
PAGE = """
import gradio as gr
from trainer.config.schema import describe
from trainer.text.words import Words
from trainer.web.page import modes
from trainer.web.page.form import Form
from trainer.web.services import defaults

with gr.Blocks():
    for language in ("en", "ja"):
        form = Form(Words(language))
        form.place_mode()
        modes.place(form.words)
        form.place_sections()
        assert describe(language)
print(defaults.of("Quiet").mode, "trainyard-for-quiet" in modes.rules())
print(form.component("quiet_weight").label, form.component("quiet_weight").info)
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what is run, with everything added to it, and a model."""
    tree = tmp_path_factory.mktemp("tree")
    for folder in ("trainer", "presets"):
        shutil.copytree(ROOT / folder, tree / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for changes in ADDITIONS.values():
        for path, after, text in changes:
            file = tree / path
            before = file.read_text("utf-8") if file.exists() else ""
            if after is None:
                changed = before + text
            else:
                assert before.count(after) == 1, (path, after)
                changed = before.replace(after, after + text)
            file.write_text(changed, encoding="utf-8")
    (tree / "models").mkdir()
    shutil.copy(TOY, tree / "models")
    return tree


def call(tree: Path, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=tree, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def train(tree: Path, name: str, **changes: object) -> tuple[dict[str, object], dict[str, str]]:
    """A run's tensors and metadata."""
    settings = tree / f"{name}.json"
    settings.write_text(json.dumps({**SETTINGS, "model": TOY.name, "save_lora_name": name, **changes}), "utf-8")
    call(
        tree, "-m", "trainer", "train", str(settings), "--data-dir", str(tree / "data"),
        "--output-dir", str(tree / "loras"), "--models-dir", str(tree / "models"), "--device", "cpu",
    )  # fmt: skip
    with safe_open(str(tree / "loras" / f"{name}.safetensors"), "pt") as file:
        return {key: file.get_tensor(key) for key in file.keys()}, dict(file.metadata())  # noqa: SIM118


def test_what_was_added_trains_together(tree: Path) -> None:
    tensors, metadata = train(tree, "first")
    assert {key.rpartition(".")[2] for key in tensors} == {"gain", "alpha"}
    assert any(tensor.abs().sum() > 0 for key, tensor in tensors.items() if key.endswith("gain"))
    assert metadata["ss_network_module"] == "lycoris.kohya"
    assert json.loads(metadata["ss_network_args"]) == {"algo": "ia3"}
    assert (metadata["ss_optimizer"], metadata["ss_lr_scheduler"]) == ("RMSprop()", "half")
    assert json.loads(metadata["trainyard_settings"])["quiet_weight"] == 3.0
    # Continued at a rate at which nothing changes: the strength it was saved at is taken out and put in again.
    again, _ = train(tree, "again", network_resume="first", train_learning_rate=1e-30, train_optimizer="SGDNesterov")
    assert again.keys() == tensors.keys()
    assert all((again[key] - tensors[key]).abs().max() < 1e-7 for key in tensors)


def test_the_command_line_and_the_page_have_it(tree: Path) -> None:
    for what, name in (
        ("modes", "Quiet"), ("networks", "gains"), ("optimizers", "RMSprop"), ("schedulers", "half"),
        ("settings", "quiet_weight = 1.0"),
    ):  # fmt: skip
        assert name in call(tree, "-m", "trainer", "list", what)
    first, second = call(tree, "-c", PAGE).splitlines()
    assert first == "Quiet True"
    assert second == "静けさの重み · quiet weight 静かさを決めます。"


def test_no_preset_changes(tree: Path) -> None:
    assert call(tree, "-m", "trainer", "presets") == ""


def test_what_its_check_finds_is_told(tree: Path) -> None:
    code = (
        "from trainer.config.check import check_for_run\n"
        "from trainer.config.settings import Settings\n"
        "print(*check_for_run(Settings(mode='Quiet')), sep='; ')\n"
    )
    assert call(tree, "-c", code).startswith("original prompt: is empty")


@pytest.mark.parametrize("kind", ADDITIONS)
def test_the_documentation_names_the_places(kind: str) -> None:
    text = (ROOT / "docs" / "adding.md").read_text("utf-8")
    section = text.split(f"\n## {kind}\n")[1].split("\n## ")[0]
    for path, after, _ in ADDITIONS[kind]:
        folder, _, _ = path.rpartition("/")
        named = folder if after is None and path.endswith(("quiet.py", "gains.py")) else path
        assert named.removeprefix("trainer/") in section, (kind, path)
