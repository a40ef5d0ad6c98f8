"""``check FOLDER``: what it prints, what it exits with."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from trainer.cli import main

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "Loïc's pictures"
    (folder / "sub").mkdir(parents=True)
    for name, size in {"a.png": (512, 512), "sub/b.JPG": (1024, 512), "sub/c.webp": (600, 800)}.items():
        Image.effect_noise(size, 50).convert("RGB").save(folder / name)
    (folder / "a.txt").write_bytes("l’été".encode("cp1252"))
    (folder / "sub/b.txt").write_text("a cat", "utf-8")
    (folder / "sub/d.png").write_bytes(b"")
    (folder / "notes.md").write_text("mine")
    return folder


def test_what_will_be_trained(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wide = ["--set", "image_size=768,512", "--set", "image_buckets_step=128", "--set", "image_min_length=256"]
    assert main(["check", str(folder), *wide, "--set", "lora_trigger_word=sks", "--set", "image_mirroring=true"]) == 0
    captured = capsys.readouterr()
    assert captured.out.splitlines() == [
        f"Images:   3 images from 2 folders in {folder}; 1 left out",
        ("Captions: 2 from files (1 UTF-8, 1 cp1252 (Western)), 1 image without a caption, with the trigger word sks"),
        'Example:  a.png is "sks, l’été"',
        "Sizes:    512 x 512 (2), 512 x 640 (2), 768 x 384 (2)",
        "Epoch:    6 samples (also mirrored) in 3 steps; 1000 steps are 333 epochs, so each image is seen 667 times",
        "Ignored:  1 .md",
        "",
        "1 thing to know:",
        "  sub/d.png is empty (0 bytes): left out",
    ]
    assert captured.err == ""


def test_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(folder), "--json", "--set", "image_num_multiply=4", "--set", "sub_image_num=1"]) == 0
    found = json.loads(capsys.readouterr().out)
    rows = found.pop("account")
    assert rows[0] == {"heading": "Images", "text": f"3 images from 2 folders in {folder}; 1 left out", "odd": True}
    assert {"heading": "Note", "text": found["notes"][0], "odd": True} in rows
    assert found == {
        "folder": str(folder),
        "usable": True,
        "images": 3,
        "left_out": 1,
        "pairs": 0,
        "samples": 12,
        "buckets": [{"width": 512, "height": 512, "samples": 12}],
        "captions": {
            "files": 2,
            "names": 0,
            "class_words": 0,
            "written": 0,
            "empty": 0,
            "missing": 1,
            "encodings": {"UTF-8": 1, "cp1252 (Western)": 1},
        },
        "trigger_word": "",
        "problems": [{"file": "sub/d.png", "what": "is empty (0 bytes)", "done": "left out"}],
        "notes": [
            (
                "sub image num is 1, but these sizes leave room for no smaller frame: no smaller copies are trained. "
                "Choose a smaller image min length or image buckets step."
            )
        ],
        "ignored": {".md": 1},
    }


def test_nothing_to_train(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in folder.rglob("*.*"):
        if path.suffix in (".JPG", ".webp") or path.name == "a.png":
            path.write_bytes(b"")
    assert main(["check", str(folder)]) == 2
    captured = capsys.readouterr()
    assert f"0 images in {folder}; 4 left out" in captured.out
    assert captured.err == (
        f'trainyard: lora data directory: No image in "{folder}" can be trained: a.png is empty (0 bytes), '
        "sub/b.JPG is empty (0 bytes), sub/c.webp is empty (0 bytes), and 1 more. Mend or replace them.\n"
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([""], "lora data directory: It is empty. Write the folder that holds the images."),
        (["gone"], 'lora data directory: There is no folder "gone". '),
        ([__file__], f'lora data directory: "{__file__}" is a file. Write the folder that holds the images.'),
        ([".", "--set", "image_size=512x"], 'image size (height, width): "512x" is not a size'),
        ([".", "--set", "image_siez=512"], "--set image_siez: There is no such setting. Perhaps you mean image_size."),
        ([".", "--set", "image_buckets_step=0"], "image buckets step: "),
    ],
    ids=["not set", "missing", "file", "size", "name", "step"],
)
def test_mistakes_are_one_sentence_and_exit_2(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"trainyard: {sentence}")
    assert captured.err.count("\n") == 1


def test_quotes_and_spaces_that_come_with_a_copied_path(folder: Path) -> None:
    assert main(["check", f'"{folder}" ']) == 0


def test_many_problems_of_a_kind_are_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(120):
        (folder / f"lone {number}.txt").write_text("x")
    assert main(["check", str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-4:] == [
        "2 things to know:",
        "  sub/d.png is empty (0 bytes): left out",
        "  120 captions belong to no image: left out (lone 0.txt, lone 1.txt, lone 2.txt, 117 more)",
        "For each file by itself, add --json.",
    ]
    assert main(["check", str(folder), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["problems"]) == 121


def test_no_model_s_library_is_loaded(folder: Path) -> None:
    code = (
        "import sys; from trainer.cli import main; main(sys.argv[1:]); print('torch' in sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "check", str(folder)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stderr == "False\n"


STUCK = """
import os, sys, threading
from trainer.cli import main
from trainer.data import scan

def stuck(path, **named):
    os.write(1, b"reading\\n")  # several threads read: one call each, or their lines mix
    threading.Event().wait()

scan.inspect_image = stuck
sys.exit(main(["check", sys.argv[1]]))
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT to send to one process")
def test_ctrl_c_ends_it_while_an_image_is_stuck(folder: Path) -> None:
    """As on a network drive that has gone."""
    process = subprocess.Popen(
        [sys.executable, "-c", STUCK, str(folder)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "reading\n"
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=15)
    assert process.returncode == 130
    assert "interrupted" in told
