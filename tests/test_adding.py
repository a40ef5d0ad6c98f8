"""Adding is what docs/adding.md says: one of each kind is added to a copy of the tree, and the copy is used.

The new files are in ``tests/additions``, as somebody who adds something would write them, and the family's among the
helpers; the lines that go into files of the tree are in :data:`ADDITIONS`. Each addition changes exactly the files that
the page promises. Everything that follows from them, from the form to a finished LoRA, is asked of one process that
runs in the copy.
"""

from __future__ import annotations

import csv
import fnmatch
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file

from tests.helpers.tiny_family import TINY, tiny_checkpoint
from trainer.config.choices import FAMILIES
from trainer.config.settings import row_of

ROOT = Path(__file__).resolve().parent.parent
NEW, HELPERS = ROOT / "tests" / "additions", ROOT / "tests" / "helpers"
TOY = ROOT / "tests" / "toy" / "toy-sd1.safetensors"


# ---- what is added --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """Text for a file of the tree.

    Attributes:
        after: the text it comes after, which stands in the file once; empty for the file's end.
        before: where it goes from there: in front of the next text like this; empty for at once.
    """

    file: str
    after: str
    text: str
    before: str = ""

    def put_into(self, tree: Path) -> None:
        content = (tree / self.file).read_text("utf-8")
        assert content.count(self.after) == 1 or not self.after, f"{self.file} has changed: no single {self.after!r}"
        place = content.index(self.after) + len(self.after) if self.after else len(content)
        place = content.index(self.before, place)
        (tree / self.file).write_text(content[:place] + self.text + content[place:], "utf-8")


@dataclass(frozen=True)
class Addition:
    """One thing added as docs/adding.md says.

    Attributes:
        section: the heading of the page that says how.
        file: where its new file goes, if it has one.
        source: that file.
    """

    section: str
    lines: tuple[Line, ...]
    file: str = ""
    source: Path = Path()

    def put_into(self, tree: Path) -> set[str]:
        """Returns the files that it touched, found by comparing all of them."""
        before = contents(tree)
        if self.file:
            text = self.source.read_text("utf-8").replace("from trainer.", "from ..")  # relative, as in the whole tree
            (tree / self.file).write_text(text, "utf-8")
        for line in self.lines:
            line.put_into(tree)
        return {name for name, content in contents(tree).items() if before.get(name) != content}


def contents(tree: Path) -> dict[str, bytes]:
    return {path.relative_to(tree).as_posix(): path.read_bytes() for path in tree.rglob("*") if path.is_file()}


def row(table: str, text: str) -> Line:
    """The last row of a table of descriptors."""
    return Line("trainer/config/choices.py", f"\n{table}: Final = _by_name(\n    (", text, before="\n    )\n)")


def texts(room: str, key: str, english: str, japanese: str, *, table: str = "TEXTS") -> tuple[Line, Line]:
    """A text of a room in both languages."""
    head = f"{table}: Mapping[str, str] = MappingProxyType(\n    {{"
    both = (("en", english), ("ja", japanese))
    en, ja = (Line(f"trainer/text/{name}/{room}.py", head, f'"{key}": "{text}",') for name, text in both)
    return en, ja


ADDITIONS = (
    Addition(
        "A setting",
        (
            Line(
                "trainer/config/settings.py",
                'keep_weight: float = _float(1.0, "Training", least=0)\n',
                '    quiet_weight: float = _float(1.0, "Training", above=0)\n',
            ),
            *texts("settings", "quiet_weight", "quiet weight", "静けさの重み", table="LABELS"),
            *texts("settings", "quiet_weight", "How quiet it gets.", "どれだけ静かにするかを決めます。", table="HELP"),
        ),
    ),
    Addition(
        "A check",
        (
            Line(
                "trainer/config/check.py",
                "",
                "\n\ndef quiet(settings: Settings) -> _Found:\n"
                "    if not settings.original_prompt.strip():\n"
                '        yield "original_prompt", message("config.nothing_to_quieten")\n',
            ),
            *texts("config", "config.nothing_to_quieten", "It names nothing to quieten", "静かにするものがありません"),
        ),
    ),
    Addition(
        "A mode",
        (
            row(
                "MODES",
                'ModeInfo("Quiet", ".modes.quiet:Quiet", images="none", shows=("prompts", "resume"), '
                'check=".config.check:quiet"),',
            ),
            *texts("page", "mode.quiet", "Makes what you name quieter.", "指定したものを静かにします。"),
        ),
        file="trainer/modes/quiet.py",
        source=NEW / "quiet.py",
    ),
    Addition(
        "A network type",
        (
            row(
                "NETWORK_TYPES",
                'NetworkInfo("gains", ".networks.gains:Gains", include_resnets=False, module="lycoris.kohya", '
                'arguments=MappingProxyType({"algo": "ia3"})),',
            ),
        ),
        file="trainer/networks/gains.py",
        source=NEW / "gains.py",
    ),
    Addition("An optimizer", (row("OPTIMIZERS", 'OptimizerInfo("RMSprop", "torch.optim:RMSprop", "torch"),'),)),
    Addition(
        "A learning-rate schedule",
        (
            row(
                "SCHEDULERS",
                'SchedulerInfo("half", "torch.optim.lr_scheduler:ConstantLR", '
                'lambda course: {"total_iters": course.steps}, ("factor", "total_iters")),',
            ),
        ),
    ),
    Addition(
        "A model family",
        (
            row(
                "FAMILIES",
                f'FamilyInfo("{TINY.name}", "{TINY.label}", ".models.tiny_family:TinyFamily", {TINY.blocks}, '
                f"size_multiple={TINY.size_multiple}, signature=MappingProxyType({dict(TINY.signature)})),",
            ),
        ),
        file="trainer/models/tiny_family.py",
        source=HELPERS / "tiny_family.py",
    ),
)


# ---- the copy, and the process that runs in it ----------------------------------------------------------------------


PROCESS = """
import contextlib, io, json, os, sys, traceback
from trainer.cli import main
for line in sys.stdin:
    asked = json.loads(line)
    os.environ["LC_ALL"] = asked["language"]
    out, err, code = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = exec(asked["code"], {}) or 0 if "code" in asked else main(asked["arguments"])
        except SystemExit as ended:
            code = ended.code or 0
        except Exception:
            code = traceback.print_exc() or 1
    print(json.dumps({"code": code, "out": out.getvalue(), "err": err.getvalue()}), flush=True)
"""
"""A command or a piece of code by the line; a process each would spend its time importing torch."""


@dataclass
class Trainyard:
    """The copy, ready to be asked."""

    folder: Path
    touched: Mapping[str, set[str]] = field(repr=False)
    process: subprocess.Popen[str] = field(repr=False)

    def __call__(self, *arguments: str, language: str = "en", code: int = 0) -> str:
        """What a command of the command line prints; with a ``code`` other than 0, what it says is wrong."""
        answer = self._ask(arguments=arguments, language=language)
        assert answer["code"] == code, answer["out"] + answer["err"]
        return answer["err"] if code else answer["out"]

    def python(self, code: str, language: str = "en") -> Any:
        """What a piece of code prints, which is JSON."""
        answer = self._ask(code=code, language=language)
        assert answer["code"] == 0, answer["err"]
        return json.loads(answer["out"])

    def train(self, name: str, settings: Mapping[str, Any]) -> Trained:
        """Train from a settings file to a LoRA."""
        file = self.folder / f"{name}.json"
        file.write_text(json.dumps({**settings, "save_lora_name": name, "logging_save_csv": True}), "utf-8")
        arguments = ("train", str(file), *FOLDERS, "--output-dir", "loras", "--device", "cpu")
        answer = self._ask(arguments=arguments, language="en")
        assert answer["code"] == 0, answer["err"]
        with safe_open(str(self.folder / "loras" / f"{name}.safetensors"), "pt") as lora:
            tensors = {key: lora.get_tensor(key) for key in lora.keys()}  # noqa: SIM118 - it is no mapping
            metadata = dict(lora.metadata())
        (log,) = (self.folder / "data" / "logs").rglob(f"{name}-*.csv")
        rows = list(csv.reader(log.read_text("utf-8").splitlines()))
        steps = rows[rows.index(next(row for row in rows if row[:1] == ["Step"])) + 1 :]
        return Trained(
            tensors, metadata, [float(row[1]) for row in steps], [float(row[2]) for row in steps], answer["err"]
        )

    def _ask(self, **asked: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(json.dumps(asked), file=self.process.stdin, flush=True)
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer


@dataclass(frozen=True)
class Trained:
    """A LoRA, the losses and learning rates of its steps, and what was said on the way."""

    tensors: dict[str, torch.Tensor]
    metadata: dict[str, str]
    losses: list[float]
    rates: list[float]
    said: str


FOLDERS = ("--data-dir", "data", "--models-dir", "models")
BLOCKS_KEY = row_of("network_blocks").key


@pytest.fixture(scope="module")
def trainyard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trainyard]:
    folder = tmp_path_factory.mktemp("copy")
    for name in ("trainer", "presets"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "docs").mkdir()
    for page in ("from-other-trainers.md", "presets.md"):
        shutil.copy(ROOT / "docs" / page, folder / "docs")
    touched = {addition.section: addition.put_into(folder) for addition in ADDITIONS}
    (folder / "models").mkdir()
    shutil.copy(TOY, folder / "models")
    tiny_checkpoint(folder / "models")
    save_file({"decoder.conv_in.weight": torch.zeros(1, 4, 3, 3)}, str(folder / "models" / "vae.safetensors"))
    (folder / "images").mkdir()
    for number, colour in enumerate(("red", "blue")):
        Image.new("RGB", (64, 64), colour).save(folder / "images" / f"{number}.png")
        (folder / "images" / f"{number}.txt").write_text(f"{colour} tiles", "utf-8")
    with subprocess.Popen(
        [sys.executable, "-c", PROCESS], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8",
        env={**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"},
    ) as process:  # fmt: skip
        yield Trainyard(folder, touched, process)
        assert process.stdin is not None
        process.stdin.close()


# ---- how many files it takes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("addition", ADDITIONS, ids=lambda addition: addition.section)
def test_an_addition_touches_the_files_that_the_page_promises(trainyard: Trainyard, addition: Addition) -> None:
    page = (ROOT / "docs" / "adding.md").read_text("utf-8")
    section = page.split(f"\n## {addition.section}\n")[1].split("\n## ")[0]
    promise = re.match(r"\*\*(\d+) files?:\*\* (.+?)\n\n", section, re.DOTALL)
    assert promise, "each section begins with the number of files, and their names"
    number, names = int(promise[1]), re.findall(r"`([^`]+)`", promise[2])
    touched = trainyard.touched[addition.section]
    assert len(touched) == len(names) == number
    patterns = [re.sub("<.*>", "*", name) for name in names]
    assert all(any(fnmatch.fnmatch(file, pattern) for pattern in patterns) for file in touched)
    assert all(fnmatch.filter(touched, pattern) for pattern in patterns)


def test_the_copy_is_what_is_run(trainyard: Trainyard) -> None:
    code = "import json, trainer.cli, trainer.modes.quiet; print(json.dumps([trainer.cli.__file__, *trainer.__path__]))"
    assert all(Path(file).is_relative_to(trainyard.folder) for file in trainyard.python(code))


# ---- what follows from them -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "name"),
    [
        ("families", "Tiny"),
        ("modes", "Quiet"),
        ("networks", "gains"),
        ("optimizers", "RMSprop"),
        ("schedulers", "half"),
    ],
)
def test_it_is_listed(trainyard: Trainyard, what: str, name: str) -> None:
    assert {"name": name} in json.loads(trainyard("list", what, "--json"))


@pytest.mark.parametrize(
    ("language", "text"), [("en", "How quiet it gets."), ("ja", "どれだけ静かにするかを決めます。")]
)
def test_the_setting_is_a_flag_and_a_row_of_the_schema(trainyard: Trainyard, language: str, text: str) -> None:
    rows = {row["short"]: row for row in json.loads(trainyard("list", "settings", "--json", language=language))}
    assert rows["quiet_weight"]["help"] == text
    assert rows["quiet_weight"]["default"] == 1.0
    assert rows["network_type"]["choices"][-1] == "gains"
    assert {"L00", "L01"} < set(rows["network_blocks"]["choices"])
    usage = trainyard("train", "--help", language=language)
    assert re.search(rf"--quiet-weight VALUE\s+{text}", usage)


FORM = """
import json
import gradio as gr
from trainer.text.language import language_of_machine
from trainer.text.words import Words
from trainer.web.page import modes
from trainer.web.page.form import Form
from trainer.web.services import defaults

with gr.Blocks() as page:
    form = Form(Words(language_of_machine()))
    form.place_mode()
    modes.place(form.words)
    form.place_subject()
    form.place_sections()
field = form.component("quiet_weight")
choices = {name: [choice[0] if isinstance(choice, tuple) else choice for choice in form.component(name).choices]
           for name in ("mode", "network_type", "train_optimizer", "train_lr_scheduler", "network_blocks")}
print(json.dumps({
    "choices": choices, "label": field.label, "help": field.info, "value": field.value,
    "shown in Quiet": [each.row.name for each in form.fields
                       if "trainyard-for-quiet" in (each.component.elem_classes or ())],
    "rules": modes.rules(), "html": [each.value for each in page.blocks.values() if isinstance(each, gr.HTML)],
    "defaults": defaults.of("Quiet", {}).mode,
}))
"""


@pytest.mark.parametrize(
    ("language", "label", "sentence"),
    [
        ("en", "Quiet weight", "Makes what you name quieter."),
        ("ja", "静けさの重み · quiet weight", "指定したものを静かにします。"),
    ],
)
def test_it_is_in_the_form(trainyard: Trainyard, language: str, label: str, sentence: str) -> None:
    form = trainyard.python(FORM, language)
    added = {"mode": "Quiet", "network_type": "gains", "train_optimizer": "RMSprop", "train_lr_scheduler": "half"}
    assert {name: form["choices"][name][-1] for name in added} == added
    assert {"L00", "L01"} < set(form["choices"]["network_blocks"])
    assert (form["label"], form["value"]) == (label, "1")
    shown = set(form["shown in Quiet"])
    assert {"original_prompt", "quiet_weight", "network_resume"} <= shown
    assert shown.isdisjoint({"lora_data_directory", "slider_scale", "diff_alt_ratio"})
    assert 'input[value="Quiet"]:checked' in form["rules"]
    assert any("trainyard-for-quiet" in html and sentence in html for html in form["html"])
    assert form["defaults"] == "Quiet"


def test_settings_files_carry_it(trainyard: Trainyard) -> None:
    file = trainyard.folder / "settings.json"
    file.write_text(json.dumps({**QUIET, "quiet_weight": "2.5"}), "utf-8")
    printed = json.loads(trainyard("train", str(file), "--dry-run", "--json", *FOLDERS))
    assert (printed["mode"], printed["quiet_weight"]) == ("Quiet", 2.5)
    printed = json.loads(trainyard("train", str(file), "--quiet-weight", "4", "--dry-run", "--json", *FOLDERS))
    assert printed["quiet_weight"] == 4.0
    assert "quiet weight" in trainyard("train", str(file), "--quiet-weight", "0", "--dry-run", *FOLDERS, code=2)


def test_files_from_before_the_family_train_all_of_it_where_they_train_all_of_another(trainyard: Trainyard) -> None:
    def blocks(*named: str) -> list[str]:
        arguments = ("--network-blocks", ",".join(named), "--set", "original prompt=red", *FOLDERS)
        given = ("train", "--mode", "Quiet", "--model", TOY.name, "--dry-run", "--json", *arguments)
        printed = json.loads(trainyard(*given))
        found: list[str] = printed[BLOCKS_KEY]
        return found

    _, *unet = FAMILIES["SD1"].blocks
    assert blocks("BASE", *unet) == ["BASE", *unet, "L00", "L01"]
    assert blocks(*unet) == [*unet, "L00", "L01"]
    for some in (["BASE", "M00"], ["BASE", *unet[1:]], [*FAMILIES["SDXL"].blocks], [*unet, "L01"], ["M00", "L01"]):
        assert blocks(*some) == some


def test_presets_change_only_where_they_list_blocks(trainyard: Trainyard) -> None:
    folder = trainyard.folder / "presets"
    rewritten = set(re.findall(r"\S+\.json", trainyard("presets")))
    for path in (ROOT / "presets").glob("*.json"):
        before, after = (json.loads((each / path.name).read_text("utf-8")) for each in (path.parent, folder))
        assert (path.name in rewritten) == (before != after) == (BLOCKS_KEY in before)
        before.get(BLOCKS_KEY, []).extend(["L00", "L01"])
        assert after == before


@pytest.mark.parametrize(
    ("language", "text"), [("en", "original prompt: It names nothing to quieten"), ("ja", "静かにするものがありません")]
)
def test_the_check_speaks_both_languages(trainyard: Trainyard, language: str, text: str) -> None:
    arguments = ("train", "--mode", "Quiet", "--model", TOY.name, "--dry-run", *FOLDERS)
    assert text in trainyard(*arguments, language=language, code=2)


# ---- a run with all of them -----------------------------------------------------------------------------------------


SMALL: dict[str, Any] = {
    "image_size": "64", "train_batch_size": 1, "train_seed": 1, "network_rank": 2, "network_alpha": 2,
    "train_model_precision": "fp32", "save_precision": "fp32", "effect_strip": False,
}  # fmt: skip
QUIET: dict[str, Any] = {
    **SMALL, "mode": "Quiet", "model": TOY.name, "original prompt": "a red circle", "network_type": "gains",
    "train_optimizer": "rmsprop", "train_lr_scheduler": "half", "train_lr_scheduler_settings": "factor=0.25",
    "quiet_weight": 3, "network_strength": 2, "train_iterations": 2, "train_learning_rate": 1e-3,
}  # fmt: skip


@pytest.fixture(scope="module")
def quiet(trainyard: Trainyard) -> Trained:
    return trainyard.train("quiet", QUIET)


def test_mode_network_optimizer_schedule_and_setting_train_together(quiet: Trained) -> None:
    assert {key.rpartition(".")[2] for key in quiet.tensors} == {"gain", "alpha"}
    assert any(tensor.abs().sum() > 0 for key, tensor in quiet.tensors.items() if key.endswith("gain"))
    assert quiet.metadata["ss_network_module"] == "lycoris.kohya"
    assert json.loads(quiet.metadata["ss_network_args"]) == {"algo": "ia3"}
    assert (quiet.metadata["ss_optimizer"], quiet.metadata["ss_lr_scheduler"]) == ("RMSprop()", "half")
    assert quiet.rates == pytest.approx([0.25e-3, 0.25e-3])
    assert json.loads(quiet.metadata["trainyard_settings"])["quiet_weight"] == 3.0
    assert re.search(r"changes the weights by [\d.]+ % \(norm [\d.e-]+\)", quiet.said), (
        "of gains, which needs the model"
    )


def test_the_setting_acts(trainyard: Trainyard, quiet: Trained) -> None:
    plain = trainyard.train("plain", {**QUIET, "quiet_weight": 1, "train_iterations": 1})
    assert quiet.losses[0] == pytest.approx(3 * plain.losses[0])


def test_training_continues_from_its_lora(trainyard: Trainyard, quiet: Trained) -> None:
    """At a rate at which nothing changes: the strength that was put into the file is taken out and put in again."""
    again = trainyard.train("again", {**QUIET, "network_resume": "quiet", "train_learning_rate": 1e-30})
    assert again.tensors.keys() == quiet.tensors.keys()
    assert all((again.tensors[key] - tensor).abs().max() < 1e-7 for key, tensor in quiet.tensors.items())


def test_a_lora_is_a_settings_file_and_is_told_apart(trainyard: Trainyard, quiet: Trained) -> None:
    file = str(trainyard.folder / "loras" / "quiet.safetensors")
    assert json.loads(trainyard("train", file, "--dry-run", "--json", *FOLDERS))["quiet_weight"] == 3.0
    info = json.loads(trainyard("info", file, "--json"))
    assert info["is"].startswith("a LoRA (")
    assert info["modelspec.usage_hint"] == "strength 0.5: less of everything"
    assert "norm" not in info, "it depends on the model's weights"


# ---- the family -----------------------------------------------------------------------------------------------------


OF_TINY: dict[str, Any] = {
    **SMALL, "model": "tiny.safetensors", "network_type": "lierla", "train_iterations": 3, "image_min_length": 64,
    "train_learning_rate": 1e-2, "use_gradient_checkpointing": True,
}  # fmt: skip
ATTENTION = tuple(f"attention_to_{part}" for part in ("q", "k", "v", "out"))
LINEARS = (*ATTENTION, "ff_w1", "ff_w2")


@pytest.fixture(scope="module")
def tiny(trainyard: Trainyard) -> Trained:
    """Images with captions, text encoder included, and previews on the way."""
    folder = str(trainyard.folder / "images")
    previews = {"sample_prompt": "red tiles", "sample_every_steps": 2, "effect_strip": True}
    return trainyard.train("tiny", {**OF_TINY, **previews, "mode": "LoRA", "lora_data_directory": folder})


def modules_of(trained: Trained) -> set[str]:
    return {key.partition(".")[0] for key in trained.tensors}


def test_a_checkpoint_of_the_family_is_known(trainyard: Trainyard) -> None:
    file = str(trainyard.folder / "models" / "tiny.safetensors")
    assert json.loads(trainyard("info", file, "--json"))["is"] == "a checkpoint of Tiny"
    arguments = (
        "train",
        "--mode",
        "LoRA",
        "--model",
        "tiny",
        "--lora-data-directory",
        "images",
        "--dry-run",
        "--json",
        *FOLDERS,
    )
    printed = json.loads(trainyard(*arguments))
    assert printed["image_size(height, width)"] == "64", "what the family's defaults say"
    refused = trainyard(*arguments, "--image-size", "72", code=2)
    assert "must be a multiple of 16 for Tiny" in refused
    assert "Tiny" in trainyard(*arguments, "--vae", "vae", code=2, language="ja")


def test_lora_mode_trains_on_it(trainyard: Trainyard, tiny: Trained) -> None:
    assert modules_of(tiny) == {
        "lora_te_project",
        *(f"lora_unet_layers_{layer}_{name}" for layer in (0, 1) for name in LINEARS),
    }
    assert all(tensor.abs().sum() > 0 for key, tensor in tiny.tensors.items() if "lora_up" in key)
    assert tiny.metadata["ss_base_model_version"] == "tiny_v1"
    assert tiny.metadata["modelspec.architecture"] == "tiny-flow/lora"
    assert tiny.metadata["modelspec.prediction_type"] == "flow"
    (effect,) = (trainyard.folder / "data" / "samples").rglob("effect.png")
    assert len(list(effect.parent.glob("*.png"))) > 1, "previews, too"


def test_a_pair_mode_trains_on_it(trainyard: Trainyard) -> None:
    pair = {"original_image": "images/0.png", "target_image": "images/1.png", "network_element": "SelfAttention"}
    blocks = {BLOCKS_KEY: ["L01"]}
    trained = trainyard.train("pair", {**OF_TINY, **pair, **blocks, "mode": "ADDifT", "diff_both_turns": True})
    assert modules_of(trained) == {f"lora_unet_layers_1_{name}" for name in ATTENTION}
    assert all(tensor.abs().sum() > 0 for key, tensor in trained.tensors.items() if "lora_up" in key)


def test_its_loras_are_read_back(trainyard: Trainyard, tiny: Trained) -> None:
    info = json.loads(trainyard("info", str(trainyard.folder / "loras" / "tiny.safetensors"), "--json"))
    assert list(info["norms by block"]) == ["BASE", "L00", "L01"]
    resumed = {**OF_TINY, "mode": "Quiet", "original_prompt": "red", "network_resume": "tiny"}
    again = trainyard.train("tiny_again", {**resumed, "train_learning_rate": 1e-30})
    assert again.tensors.keys() == tiny.tensors.keys()
    assert all((again.tensors[key] - tensor).abs().max() < 1e-7 for key, tensor in tiny.tensors.items())
    toy = trainyard.folder / "toy.json"
    toy.write_text(json.dumps({**resumed, "model": TOY.name}), "utf-8")
    assert "was trained for Tiny" in trainyard(
        "train", str(toy), "--dry-run", *FOLDERS, "--output-dir", "loras", code=2
    )


HOST = """
import json
from trainer.models.base import HostTensors
from trainer.models.checkpoint.weights import Source
from trainer.models.registry import load_bundle

bundle = load_bundle("models/tiny.safetensors")
held = HostTensors(*(each.state_dict() for each in (bundle.denoiser, bundle.vae, *bundle.text_encoders)))
taken = bundle.family.take(Source.of_tensors(bundle.family.named_as_in_file(held), "tiny"))
own, of_host = (dict(each.denoiser.named_parameters()) for each in (bundle, taken))
encoded = taken.encode(["red"])
print(json.dumps({
    "same memory": all(own[name].data_ptr() == each.data_ptr() for name, each in of_host.items()),
    "same prompt": bool((bundle.family.conditioning_of_host(encoded.states, None).mask == encoded.mask).all()),
}))
"""


def test_a_host_can_hand_it_over(trainyard: Trainyard) -> None:
    assert trainyard.python(HOST) == {"same memory": True, "same prompt": True}


def test_images_are_made_with_it(trainyard: Trainyard, tiny: Trained) -> None:
    sheet = trainyard.folder / "sheet.png"
    arguments = ("sample", "--model", "tiny", "--prompt", "red tiles", "--steps", "4", "--device", "cpu", *FOLDERS)
    lora = f"{trainyard.folder / 'loras' / 'tiny.safetensors'}:0,1"
    trainyard(*arguments, "--lora", lora, "--size", "64x64", "--out", str(sheet))
    left, right = (Image.open(sheet).crop((at, 0, at + 64, 64)).tobytes() for at in (0, 68))
    assert left != right
    assert "multiples of 16" in trainyard(*arguments, "--size", "72x64", "--out", str(sheet), code=2)
