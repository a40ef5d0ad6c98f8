"""The command line as its users type it."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from tests.helpers.checkpoints import small_checkpoint
from trainer.cli import main
from trainer.config.settings import ROWS
from trainer.engine import memory_fit
from trainer.engine.memory_estimate import MemoryEstimate

ROOT = Path(__file__).resolve().parent.parent
SMALL = ["--image-size", "64", "--network-rank", "2", "--train-iterations", "3", "--train-batch-size", "1"]
SMALL += ["--effect-strip", "false"]
WORDS = ["--original-prompt", "red", "--target-prompt", "blue"]


@pytest.fixture
def model(model: Path) -> str:
    return str(model)


@pytest.fixture
def folders(tmp_path: Path) -> list[str]:
    return ["--data-dir", str(tmp_path / "data dir"), "--output-dir", str(tmp_path / "löras")]


def train(*arguments: str) -> int:
    return main(["train", *arguments])


def test_a_slider_is_drawn_at_both_ends(model: str, folders: list[str], capsys) -> None:
    ends = [
        "--set",
        "original_prompt=circle",
        "--set",
        "slider_positive=red circle",
        "--set",
        "slider_negative=blue circle",
    ]
    assert train("iLECO", "--model", model, *ends, *SMALL, "--set", "save_lora_name=slider", *folders) == 0
    assert "slider.safetensors:-1,0,1" in capsys.readouterr().err.splitlines()[-1]


def test_preset_to_lora_to_picture_to_plot(model: str, folders: list[str], tmp_path: Path, capsys) -> None:
    """The whole way, in one sitting."""
    code = train("iLECO", "--model", model, *WORDS, *SMALL, "--set", "save_lora_name=first", "--train-seed=1", *folders)
    assert code == 0
    lora = tmp_path / "löras" / "first.safetensors"
    said = capsys.readouterr()
    assert said.out.splitlines()[-1] == f"Saved {lora}"
    assert lora.exists()
    told, _, command = said.err.splitlines()[-1].partition(": ")
    assert told == "Draw with it"
    words = [word.strip('"') for word in shlex.split(command, posix=os.name != "nt")]
    assert words[1:4] == ["-m", "trainer", "sample"]
    assert words[words.index("--prompt") + 1] == "red"
    assert main([*words[3:], "--steps", "1", "--size", "64x64"]) == 0
    assert Image.open(tmp_path / "data dir" / "samples" / "first.png").width > 2 * 64, "without it and with it"

    for name, extra in {
        "plain": [], "off": ["--lora", f"{lora}:0"], "on": ["--lora", f"{lora}:40"],
        "strip": ["--lora", f"{lora}:0,40"],
    }.items():  # fmt: skip
        out = tmp_path / f"{name}.png"
        assert main([
            "sample", "--model", model, *extra, "--prompt", "red", "--negative", "dark", "--seed", "5", "--steps", "3",
            "--cfg", "3", "--size", "96x64", "--out", str(out),
        ]) == 0  # fmt: skip
    plain, off, on = (np.asarray(Image.open(tmp_path / f"{name}.png")) for name in ("plain", "off", "on"))
    assert plain.shape == (64, 96, 3)
    assert np.array_equal(plain, off)
    assert not np.array_equal(plain, on)
    strip = np.asarray(Image.open(tmp_path / "strip.png"))
    assert np.array_equal(strip[:64, :96], off)
    assert np.array_equal(strip[:64, -96:], on)

    (log,) = (tmp_path / "data dir" / "runs").rglob("*.csv")
    assert main(["report", str(log), str(log), "--out", str(tmp_path / "plot.png")]) == 0
    assert Image.open(tmp_path / "plot.png").size[0] > 400


def test_a_lora_trains_again_to_the_same_file(model: str, folders: list[str], tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    assert train("iLECO", "--model", model, *WORDS, *SMALL, "--save-lora-name", "one", *folders) == 0
    first = tmp_path / "löras" / "one.safetensors"
    content = first.read_bytes()
    assert train(str(first), *folders[:2], "--output-dir", str(tmp_path / "b")) == 0
    assert (tmp_path / "b" / "one.safetensors").read_bytes() == content


def test_what_is_not_set_suits_the_models_family(folders: list[str], tmp_path: Path, capsys) -> None:
    sdxl = str(small_checkpoint(tmp_path, "SDXL", dtype=torch.float16))
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    Image.new("RGB", (64, 64)).save(pictures / "a.png")
    saved = tmp_path / "saved.json"
    saved.write_text('{"image_size(height, width)": "512"}')
    given = ["--model", sdxl, "--lora-data-directory", str(pictures), "--dry-run", "--json", *folders]
    for arguments, size in (([], "1024"), (["--image-size", "768,512"], "768,512"), ([str(saved)], "512")):
        assert train(*arguments, *given) == 0
        told = json.loads(capsys.readouterr().out)
        assert told["image_size(height, width)"] == size
        assert told["train_learning_rate"] == 1e-4


def test_dry_run_says_everything_and_writes_nothing(model: str, folders: list[str], tmp_path: Path, capsys) -> None:
    given = ["iLECO", "--model", model, *WORDS, "--train-seed", "1", "--save-lora-name", "x", "--dry-run", *folders]
    assert train(*given) == 0
    sentences, changed, _ = capsys.readouterr().out.split("\n\n")
    assert sentences.startswith(
        "Would train iLECO on small.safetensors (an SD1 checkpoint) with cpu: 300 steps, batch size 2, image size "
        f"512 x 512,\nand save {tmp_path / 'löras' / 'x.safetensors'}\n"
    )
    assert "takes about" in sentences.splitlines()[-1]
    assert changed.splitlines()[1:] == [
        "  mode = iLECO", f"  model = {model}", "  original_prompt = red", "  target_prompt = blue",
        "  network_rank = 4", "  train_iterations = 300", "  train_learning_rate = 0.0005", "  train_seed = 1",
        "  save_lora_name = x",
    ]  # fmt: skip
    assert train(*given, "--json") == 0
    said = capsys.readouterr()
    settings = json.loads(said.out)
    assert settings["network_rank"] == 4
    assert settings["original prompt"] == "red"
    assert settings.keys() >= {row.key for row in ROWS}, "with those that are the default, for programs"
    assert said.err.startswith(sentences)
    assert train(*given[:-5], *folders, "--json") == 2
    assert "Add --dry-run" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == []


def test_later_settings_win(model: str, folders: list[str], capsys) -> None:
    arguments = ["iLECO", "--model", model, *WORDS, "--set", "network_rank=7", "--set", "network_alpha=3", "--dry-run"]
    arguments.append("--json")
    assert train(*arguments, "--network-rank", "9", *folders) == 0
    settings = json.loads(capsys.readouterr().out)
    assert (settings["network_rank"], settings["network_alpha"]) == (9, 3)


def test_settings_are_fitted_to_a_card_but_for_those_that_are_flags(folders: list[str], capsys, monkeypatch) -> None:
    toy = str(ROOT / "tests" / "toy" / "toy-sd1.safetensors")
    large = ["change-concept", "--model", toy, *WORDS, "--image-size", "2048", "--train-batch-size", "4", *folders]
    assert train(*large, "--card", "6", "--dry-run", "--json") == 0
    said = capsys.readouterr()
    settings = json.loads(said.out)
    assert settings["use_gradient_checkpointing"] is True
    assert (settings["train_batch_size"], settings["image_size(height, width)"]) == (4, "2048")
    assert "Changed to fit a GPU with 6 GB: use gradient checkpointing on." in said.err
    monkeypatch.setattr(memory_fit, "estimate_memory", lambda *_: MemoryEstimate(10**12, 10**12, 10**12))
    assert train(*large, "--card", "24") == 2
    assert "Nothing makes this run fit a GPU with 24 GB" in capsys.readouterr().err


def test_a_card_of_the_queue_and_one_that_is_not_there(folders: list[str], tmp_path: Path, capsys) -> None:
    toy = str(ROOT / "tests" / "toy" / "toy-sd1.safetensors")
    small = ["change-concept", "--model", toy, *WORDS, "--image-size", "64", *folders, "--device", "cpu"]
    assert main(["queue", "add", *small, "--card", "auto"]) == 0
    assert "There is no GPU here" in capsys.readouterr().err
    assert train("--resume", "x", "--card", "6", *folders) == 2
    assert "Leave the others out" in capsys.readouterr().err
    with pytest.raises(SystemExit) as caught:
        train(*small, "--card", "5")
    assert caught.value.code == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--set", "network_rank=0", "--set", "train_learning_rate=fast"], ["network rank", "train learning rate"]),
        (["--set", "netwrok_rank=4"], ["network_rank"]),
        (["--set", "rank"], ["key=value"]),
        (["no such preset"], ["no such preset", "iLECO"]),
        (["iLECO", "--model", "nowhere.ckpt", *WORDS], ["nowhere.ckpt"]),
        (["iLECO", *WORDS], ["model"]),
        (["LoRA", "--model", "MODEL", "--lora-data-directory", ".", "--network-resume", "x.pt"], ["x.pt", "LoRA"]),
        (["ADDifT_Style_SD1.5", "--model", "MODEL"], ["original image", "is empty"]),
        (["LoRA", "--model", "MODEL"], ["lora data directory", "is empty"]),
        (
            ["LoRA"],
            ["lora data directory: It is empty", "or a dataset file in dataset config. model: No model is chosen"],
        ),
        (["iLECO", "--model", "MODEL", *WORDS, "--device", "cuda:7"], ["device", "cuda:7"]),
        (["iLECO", "--model", "MODEL", *WORDS, "--train-optimizer-settings", "weight_dekay=1"], ["weight_dekay"]),
    ],
)
def test_mistakes_are_one_line_and_exit_2(
    arguments: list[str], words: list[str], model: str, folders: list[str], capsys
) -> None:
    given = [model if argument == "MODEL" else argument for argument in arguments]
    assert train(*given, *folders) == 2
    captured = capsys.readouterr()
    sentence = captured.err.strip().splitlines()[-1]
    assert sentence.startswith("trainyard: ")
    assert "Traceback" not in captured.err
    for word in words:
        assert word in sentence


def test_flags_of_every_setting_are_in_the_help(capsys) -> None:
    with pytest.raises(SystemExit) as caught:
        train("--help")
    assert caught.value.code == 0
    out = capsys.readouterr().out
    for flag in ("--network-blocks", "--train-snr-gamma", "--original-prompt", "--save-overwrite"):
        assert flag in out


@pytest.mark.parametrize("what", ["modes", "networks", "optimizers", "schedulers", "presets", "settings"])
def test_lists(what: str, folders: list[str], capsys) -> None:
    assert main(["list", what, *folders[:2]]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert main(["list", what, "--json", *folders[:2]]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert len(lines) >= len(rows) >= 3
    known = {"modes": "iLECO", "networks": "lierla", "optimizers": "CAME", "schedulers": "cosine", "presets": "iLECO"}
    if what in known:
        assert known[what] in [row["name"] for row in rows]
        assert known[what] in lines
    else:
        assert any(row["key"] == "network_blocks(BASE = TextEncoder)" for row in rows)


def test_loras_are_listed_changed_and_changed_back(folders: list[str], capsys) -> None:
    loras = Path(folders[folders.index("--output-dir") + 1])
    path = loras / "sub" / "red.safetensors"
    path.parent.mkdir(parents=True)
    save_file({"lora_unet_x.lora_up.weight": torch.ones(2, 2)}, path)
    before = path.read_bytes()
    assert main(["edit", "sub/red", "--trigger", "zorp", *folders]) == 0
    assert path.read_bytes() != before
    capsys.readouterr()
    assert main(["list", "loras", "--json", *folders]) == 0
    ((row),) = json.loads(capsys.readouterr().out)
    assert (row["name"], row["trigger"], row["size"]) == ("sub/red", "zorp", path.stat().st_size)
    assert main(["list", "loras", *folders]) == 0
    assert capsys.readouterr().out.startswith("sub/red\n    zorp · ")
    assert main(["edit", "sub/red", "--undo", *folders]) == 0
    assert path.read_bytes() == before
    assert main(["edit", "sub/red", "--undo", *folders]) == 2
    assert "nothing to undo" in capsys.readouterr().err
    assert main(["edit", "sub/red", *folders]) == 2
    assert "--undo" in capsys.readouterr().err


def test_the_list_of_presets_tells_ours_from_traintrains_and_from_your_own(tmp_path: Path, capsys) -> None:
    (tmp_path / "presets").mkdir()
    for name in ("mine", "Difference"):
        (tmp_path / "presets" / f"{name}.json").write_text('{"mode": "LoRA"}')
    assert main(["list", "presets", "--data-dir", str(tmp_path)]) == 0
    ours, traintrains, yours = (part.splitlines() for part in capsys.readouterr().out.split("\n\n"))
    assert (ours[0], ours[1]) == ("Trainyard's own:", "action-from-many-pairs")
    assert traintrains[0].startswith("TrainTrain's")
    assert "iLECO" in traintrains
    assert yours == ["Yours:", "Difference", "mine"], "also where it takes the place of a shipped one"


def test_info(model: str, folders: list[str], tmp_path: Path, capsys) -> None:
    assert main(["info", model]) == 0
    assert "is: an SD1 checkpoint" in capsys.readouterr().out
    assert train("iLECO", "--model", model, *WORDS, *SMALL, "--save-lora-name", "i", *folders) == 0
    capsys.readouterr()
    assert main(["info", str(tmp_path / "löras" / "i.safetensors"), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert rows["is"].startswith("a LoRA (72 modules")
    assert rows["ss_output_name"] == "i"
    assert main(["info", str(tmp_path / "löras" / "i.safetensors")]) == 0
    short = capsys.readouterr().out
    assert "\ntrained on: small.safetensors\n" in short
    assert "\nrank: 2\n" in short
    assert "trainyard_settings" not in short
    assert main(["info", str(tmp_path / "löras" / "i.safetensors"), "--all"]) == 0
    long = capsys.readouterr().out
    more = int(short.splitlines()[-1].split()[2])
    assert len(long.splitlines()) == len(short.splitlines()) - 1 + more
    assert "\ntrainyard_settings: " in long
    (tmp_path / "text.safetensors").write_text("hello, this is no model at all")
    assert main(["info", str(tmp_path / "text.safetensors")]) == 2


@pytest.mark.parametrize(
    ("content", "words"),
    [("a,b\n1,2\n", "no loss log"), (None, "cannot be read"), ("", "no loss log")],
)
def test_report_of_what_is_no_log(content: str | None, words: str, tmp_path: Path, capsys) -> None:
    log = tmp_path / "x.csv"
    if content is not None:
        log.write_text(content)
    assert main(["report", str(log), "--out", str(tmp_path / "x.png")]) == 2
    assert words in capsys.readouterr().err


def test_pictures_that_cannot_be_written(model: str, tmp_path: Path, capsys) -> None:
    (tmp_path / "file").write_text("")
    for name in "ab":
        (tmp_path / f"{name}.safetensors").write_text("")
    two = [part for name in "ab" for part in ("--lora", f"{tmp_path / name}.safetensors:-1,1")]
    assert main(["sample", "--model", model, "--prompt", "x", "--out", "x.png", *two]) == 2
    assert "Only one LoRA may have several strengths" in capsys.readouterr().err
    code = main([
        "sample", "--model", model, "--prompt", "x", "--steps", "1", "--size", "64x64",
        "--out", str(tmp_path / "file" / "x.png"),
    ])  # fmt: skip
    assert code == 2
    assert "cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--out", "x.xyz"], "x.xyz: It is no name for an image"),
        (["--out", "x.png", "--lora", "nowhere"], "nowhere: There is no such LoRA"),
        (["--out", "x.png", "--lora", "x.safetensors:much"], "Write FILE or FILE:STRENGTH"),
    ],
)
def test_sample_finds_mistakes_before_the_model_is_read(arguments: list[str], words: str, capsys) -> None:
    assert main(["sample", "--model", "nowhere.ckpt", "--prompt", "x", *arguments]) == 2
    assert words in capsys.readouterr().err


def test_sample_refuses_a_lora_for_another_family_before_the_model_is_read(
    model: str, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    def loads(*_given: object, **_more: object) -> None:
        raise AssertionError("the model was loaded")

    monkeypatch.setattr("trainer.models.registry.load_bundle", loads)
    module = "lora_unet_blocks_0_self_attn_q_proj"
    tensors = {f"{module}.lora_down.weight": torch.ones(4, 2048), f"{module}.lora_up.weight": torch.ones(2048, 4)}
    save_file(tensors, tmp_path / "style.safetensors")
    given = ["--prompt", "x", "--out", "x.png", "--lora", str(tmp_path / "style.safetensors")]
    assert main(["sample", "--model", model, *given]) == 2
    assert "It was trained for Anima / Cosmos-Predict2 2B, but the model is SD" in capsys.readouterr().err


def test_a_lora_goes_by_its_name(model: str, tmp_path: Path, capsys) -> None:
    data = ["--data-dir", str(tmp_path)]
    assert train("iLECO", "--model", model, *WORDS, *SMALL, "--save-lora-name", "named", *data) == 0
    out = ["--prompt", "x", "--steps", "1", "--size", "64x64", "--out", str(tmp_path / "x.png")]
    assert main(["sample", "--model", model, "--lora", "named:0.5", *out, *data]) == 0


def test_sample_draws_the_size_the_checkpoint_is_made_for_and_shows_its_progress(tmp_path: Path, capsys) -> None:
    """Without a terminal a line now and then, as when training: 3 steps and the VAE are four parts."""
    toy = str(ROOT / "tests" / "toy" / "toy-sd1.safetensors")
    out = tmp_path / "x.png"
    given = ["--prompt", "a red circle", "--steps", "3", "--out", str(out), "--data-dir", str(tmp_path)]
    assert main(["sample", "--model", toy, *given]) == 0
    assert Image.open(out).size == (64, 64)
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "Loading the model …"
    assert said[1:] == ["Drawing: 25 %", "Drawing: 50 %", "Drawing: 75 %", "Drawing: 100 %"]


def test_an_unknown_key_in_a_file_is_told_with_what_it_may_mean(model: str, folders: list[str], tmp_path: Path, capsys):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({"mode": "iLECO", "original prompt": "a", "train_optimzer": "Lion"}))
    assert train(str(path), "--model", model, "--dry-run", *folders) == 0
    assert "train_optimzer: there is no such setting; perhaps you mean train_optimizer" in capsys.readouterr().err


def test_settings_of_another_program_are_converted_as_a_whole(
    model: str, folders: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """network_alpha, train_batch_size and save_precision are called the same, and hold with the rest or not at all."""
    (tmp_path / "img").mkdir()
    Image.new("RGB", (64, 64), "red").save(tmp_path / "img" / "a.png")
    path = tmp_path / "kohya.json"
    theirs = {"LoRA_type": "Standard", "network_dim": 64, "network_alpha": 2, "learning_rate": 0.0003,
              "lr_scheduler": "linear", "train_batch_size": 3, "save_precision": "bf16", "max_train_steps": 5,
              "pretrained_model_name_or_path": "/content/x.ckpt", "scale_weight_norms": 1,
              "output_name": "zorp"}  # fmt: skip
    path.write_text(json.dumps(theirs))
    given = ["--model", model, "--lora-data-directory", str(tmp_path / "img"), "--network-rank", "4", *folders]
    for command in (["train", str(path), "--dry-run", "--json"], ["queue", "add", str(path)]):
        assert main([*command, *given]) == 0
        told = capsys.readouterr()
        assert "These are settings of kohya_ss." in told.err
        assert "learning_rate → train_learning_rate 0.0003" in " ".join(told.err.split())
        assert "→ model" not in told.err
        assert "→ network_rank" not in told.err, "the flag goes first"
        assert "so without effect: scale_weight_norms." in told.err
        if "train" in command:
            trained = json.loads(told.out)
            assert (trained["network_rank"], trained["network_alpha"]) == (4, 2.0), "the flag goes first"
            assert (trained["train_lr_scheduler"], trained["train_batch_size"]) == ("linear", 3)
            assert trained["train_snr_gamma"] == 0.0, "off there, and 5 here"
    path.write_text(json.dumps({**theirs, "LoRA_type": "LyCORIS/LoKr"}))
    assert train(str(path), *given) == 2
    assert "(kohya_ss): Its network is of the kind LyCORIS/LoKr" in capsys.readouterr().err


@pytest.mark.parametrize(("written", "mode"), [("ADDifT", "ADDifT"), ("multi-addift", "Multi-ADDifT")])
def test_a_mode_without_a_preset_of_its_name_is_trained_by_it(written: str, mode: str, capsys) -> None:
    """Its defaults are those of the page; what is missing is said of its own settings."""
    from trainer.networks.files.settings import load_settings
    from trainer.paths import SHIPPED_PRESETS
    from trainer.web.services import defaults

    assert load_settings(written, [SHIPPED_PRESETS]).settings == defaults.of(mode, {})
    assert train(written, "--model", "x.safetensors") == 2
    assert "There is no such preset" not in capsys.readouterr().err


def test_a_lora_is_trained_again_from_another_folder(
    model: str, folders: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(model).parent)
    name = Path(model).name
    given = ["--save-lora-name", "one", "--save-overwrite"]
    assert train("iLECO", "--model", name, *WORDS, *SMALL, *given, *folders) == 0
    monkeypatch.chdir(tmp_path)
    lora = str(tmp_path / "löras" / "one.safetensors")
    assert train(lora, *folders) == 2  # it may not replace itself unasked
    assert train(lora, "--save-lora-name", "two", *folders) == 0


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "trainer", *arguments],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT to send to one process")
def test_ctrl_c_stops_and_saves(model: str, folders: list[str], tmp_path: Path) -> None:
    arguments = ["iLECO", "--model", model, *WORDS, *SMALL, "--train-iterations", "100000", "--save-lora-name", "cut"]
    process = start("train", *arguments, *folders)
    runs = tmp_path / "data dir" / "runs"
    deadline = time.monotonic() + 120
    while not any(path.read_text().count("\n") > 12 for path in runs.rglob("*.csv")):
        assert time.monotonic() < deadline
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert out.splitlines()[-1] == f"Saved {tmp_path / 'löras' / 'cut.safetensors'}"


ENDS_AMIDST_WORK = """
import atexit, runpy, threading, time

def work():
    import torch

    x = torch.zeros(64, 64, requires_grad=True)
    while True:
        (x @ x).relu().sum().backward()
        working.set()

def main():
    atexit.register(print, "cleaned up")
    threading.Thread(target=work, daemon=True).start()
    working.wait()
    time.sleep(0.3)
    return 3

working = threading.Event()
import trainer.cli
trainer.cli.main = main
runpy.run_module("trainer", run_name="__main__")
"""


def test_a_thread_amidst_its_work_does_not_abort_the_end() -> None:
    """It is no longer waited for, as the one that looks at a model is when the page is ended."""
    command = [sys.executable, "-c", ENDS_AMIDST_WORK]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (3, "cleaned up\n", "")


def test_light_commands_do_not_import_torch() -> None:
    code = "import sys; from trainer.cli import main; main(['list', 'settings']); sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.DEVNULL, check=False)
    assert done.returncode == 0


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    process = start("list", "settings", "--json")
    process.stdout.close()
    assert "Traceback" not in process.stderr.read()
    process.wait(timeout=30)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["train", "iLECO", "--train-iteratons", "5"],
         "trainer train: error: there is no option --train-iteratons; perhaps you mean --train-iterations\n"),
        (["train", "iLECO", "--netwrok-rank=5"],
         "trainer train: error: there is no option --netwrok-rank; perhaps you mean --network-rank\n"),
        (["queue", "add", "iLECO", "--save-name", "x"],
         "trainer queue add: error: there is no option --save-name; perhaps you mean --save-lora-name\n"),
        (["queue", "list", "--jsn"], "trainer queue list: error: there is no option --jsn; perhaps you mean --json\n"),
        (["train", "--train_data_dir", "img"],
         "trainer train: error: there is no option --train_data_dir; perhaps you mean --lora-data-directory\n"),
        (["train", "--network_dim=32"],
         "trainer train: error: there is no option --network_dim; perhaps you mean --network-rank\n"),
        (["train", "--xformers"], "trainer train: error: there is no option --xformers\n"),
        (["train", "iLECO", "--qqqqqq"], "trainer train: error: there is no option --qqqqqq\n"),
        (["train", "my", "file.json"], "trainer train: error: file.json is one argument too many\n"),
    ],
)  # fmt: skip
def test_an_option_that_does_not_exist(arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert capsys.readouterr().err.endswith(told)
