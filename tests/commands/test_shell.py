"""Commands that are printed to be pasted."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from trainer.commands import shell


def test_arguments_are_quoted_for_the_shell_they_are_pasted_into() -> None:
    words = ["sample", "--lora", "my loras/a.safetensors:0,1", "--prompt", 'a "red" dog & its $owner']
    assert shlex.split(shell.joined(words, windows=False)) == words
    assert shell.joined(["--model", "C:\\models\\a.ckpt", "a b", "x:0,1", "R&D", 'a "b"', ""], windows=True) == (
        '--model C:\\models\\a.ckpt "a b" "x:0,1" "R&D" "a \\"b\\"" ""'
    )


def test_paths_are_as_short_as_they_can_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert shell.short(tmp_path / "loras" / "a.safetensors") == str(Path("loras", "a.safetensors"))
    assert shell.short(Path("b.ckpt")) == "b.ckpt"
    assert shell.short(tmp_path.parent / "elsewhere") == str(tmp_path.parent / "elsewhere")
