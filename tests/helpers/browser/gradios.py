"""Environments with the Gradio that the hosts have, made when first asked for.

Each is what ``requirements/gradio-<version>.txt`` lists, and links to those packages of our own environment that these
need beside them, torch above all. They stand beside our own environment, so that several checkouts share them.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

ROOT = Path(__file__).resolve().parents[3]
VERSIONS = ("3.41.2", "4.40.0")
PYTHONS = ((3, 10), (3, 11))
"""Those of the hosts; newer ones have no builds of what is pinned."""
AVAILABLE = VERSIONS if sys.version_info[:2] in PYTHONS else ()
ALWAYS = ("torch", "pytorch-optimizer", "matplotlib", "uvicorn", "onnxruntime")
"""What Trainyard needs, or tests of its page do, and no requirement of Gradio's brings."""
Packages = dict[NormalizedName, Distribution]


def python_with(version: str) -> Path:
    """The interpreter of the environment with this Gradio."""
    pins = ROOT / "requirements" / f"gradio-{version}.txt"
    own = {canonicalize_name(each.name): each for each in distributions()}
    versions = sorted(f"{name} {each.version}" for name, each in own.items())
    stand = [pins.read_text("utf-8"), sys.version, *ALWAYS, *versions]
    stamp = hashlib.sha256("\n".join(stand).encode()).hexdigest()
    inside = sys.prefix != sys.base_prefix
    folder = (Path(sys.prefix).parent if inside else ROOT) / f".venv-gradio-{version}"
    if not (folder / stamp).exists():
        shutil.rmtree(folder, ignore_errors=True)
        made = folder.with_name(f"{folder.name}-{os.getpid()}")
        _make(made, pins, own)
        (made / stamp).touch()
        try:
            made.rename(folder)
        except OSError:  # another process was quicker
            shutil.rmtree(made)
    return _python(folder)


def _make(folder: Path, pins: Path, own: Packages) -> None:
    _run([sys.executable, "-m", "venv", "--without-pip", str(folder)])
    arguments = ["install", "--quiet", "--no-deps", "--no-compile", "--only-binary=:all:", "-r", str(pins)]
    _run([sys.executable, "-m", "pip", "--python", str(_python(folder)), *arguments])
    packages = next(folder.rglob("site-packages"))
    there = {canonicalize_name(each.name): each for each in distributions(path=[str(packages)])}
    for each in _needed(there, own):
        for name in {file.parts[0] for file in each.files or ()} - {"..", "__pycache__"}:
            if not (packages / name).exists():
                (packages / name).symlink_to(Path(str(each.locate_file(name))))


def _needed(there: Packages, own: Packages) -> Iterator[Distribution]:
    """What those that are there need and lack, and what that needs, as our own environment has it."""
    names = [*map(canonicalize_name, ALWAYS), *_requires(*there.values())]
    seen = set(there)
    while names:
        name = names.pop()
        if name not in seen and name in own:
            yield own[name]
            names += _requires(own[name])
        seen.add(name)


def _requires(*found: Distribution) -> list[NormalizedName]:
    requirements = [Requirement(each) for one in found for each in one.requires or ()]
    return [canonicalize_name(each.name) for each in requirements if not each.marker or each.marker.evaluate()]


def _python(folder: Path) -> Path:
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(f"an environment for the tests cannot be made: {' '.join(command)}\n{done.stdout}{done.stderr}")
