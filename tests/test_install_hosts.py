"""install.py beside the packages of each WebUI, as its requirements resolve: what pip itself would add to them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from install import Venv

ROOT = Path(__file__).resolve().parent.parent
PINS = Path(__file__).parent / "host_pins"

# The host's `launch` as far as install.py uses it, but nothing is installed: pip writes down what it would do.
LAUNCH = """
import itertools, pathlib, subprocess, sys, types
HERE = pathlib.Path(__file__).parent
args = types.SimpleNamespace(skip_install=False)
numbers = itertools.count()
def run_pip(command, desc=None, live=False):
    report = HERE / f"report-{next(numbers)}.json"
    pip = f'"{sys.executable}" -m pip {command} --prefer-binary --disable-pip-version-check'
    done = subprocess.run(f'{pip} --dry-run --report "{report}"', shell=True, capture_output=True, encoding="utf-8")
    if done.returncode:
        raise RuntimeError(f"Couldn't install {desc}.\\n{done.stdout}{done.stderr}")
"""


def pins(host: str) -> dict[str, str]:
    lines = (PINS / f"{host}.txt").read_text("utf-8").splitlines()
    return dict(line.split("==") for line in lines if not line.startswith("#"))


class Host:
    """A WebUI's folder and environment, in which the packages are there by name and version only."""

    def __init__(self, folder: Path, packages: dict[str, str]) -> None:
        self.folder = folder
        folder.mkdir()
        self.venv = Venv(folder / "venv")
        self.venv.make()
        (folder / "launch.py").write_text(LAUNCH, "utf-8")
        self.site = next(self.venv.folder.rglob("site-packages"))
        for old in self.site.glob("setuptools-*.dist-info"):
            old.rename(old.with_suffix(".away"))  # the host has its own
        self.has(packages)

    def has(self, packages: dict[str, str]) -> None:
        for name, version in packages.items():
            folder = self.site / f"{name.replace('-', '_')}-{version}.dist-info"
            folder.mkdir()
            (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", "utf-8")

    def start(self) -> str:
        """What install.py says when the host starts."""
        done = subprocess.run(
            [str(self.venv.python), str(ROOT / "install.py")],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(self.folder)},
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    def reports(self) -> Iterable[dict[str, Any]]:
        for path in sorted(self.folder.glob("report-*.json")):
            yield json.loads(path.read_text("utf-8"))
            path.unlink()

    def added(self) -> tuple[dict[str, str], list[Requirement]]:
        """Name → version of what pip would install, and what those say that they need."""
        found, needed = {}, []
        for report in self.reports():
            for entry in report["install"]:
                metadata = entry["metadata"]
                found[canonicalize_name(metadata["name"])] = metadata["version"]
                needed += [Requirement(text) for text in metadata.get("requires_dist", [])]
        return found, [need for need in needed if not need.marker or need.marker.evaluate({"extra": ""})]


EXPECTED = {
    "a1111": {"diffusers": "<0.32,>=0.29.2", "pytorch-optimizer": "<5,>=4.1", "bitsandbytes": "<0.46,>=0.44.1"},
    "forge": {"pytorch-optimizer": "<5,>=4.1"},
    "reforge": {"pytorch-optimizer": "<5,>=4.1", "bitsandbytes": "<0.51,>=0.45"},
    "classic": {"pytorch-optimizer": "<5,>=4.1", "bitsandbytes": "<0.51,>=0.45"},
    "neo": {"pytorch-optimizer": "<5,>=4.1", "bitsandbytes": "<0.51,>=0.45"},
}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the lists are those of Linux")
@pytest.mark.parametrize("name", EXPECTED)
def test_pip_adds_to_a_host_and_changes_nothing(tmp_path: Path, name: str) -> None:
    has = pins(name)
    host = Host(tmp_path / "web ui", has)
    if name == "forge":
        (host.folder / "modules_forge").mkdir()
        (host.folder / "modules_forge" / "bnb_installer.py").touch()
    assert host.start() == ""
    added, needed = host.added()
    assert not added.keys() & {canonicalize_name(package) for package in has}
    for package, versions in EXPECTED[name].items():
        assert Version(added[package]) in Requirement(f"{package}{versions}").specifier
    assert added.keys() <= EXPECTED[name].keys() | {canonicalize_name(need.name) for need in needed}
    together = {**{canonicalize_name(package): version for package, version in has.items()}, **added}
    for need in needed:
        assert Version(together[canonicalize_name(need.name)]) in need.specifier, need
    host.has(added)
    assert host.start() == ""
    assert not list(host.reports())
