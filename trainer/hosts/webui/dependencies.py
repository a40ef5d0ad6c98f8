"""Which of Trainyard's dependencies a WebUI lacks, and how they are added without changing any package it has.

install.py loads this file by its path at every start of the host, before the package can be imported: it uses the
standard library only, imports nothing from beside it, and prints in English. The tab uses it to say what is missing.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import re
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

TABLE = Path(__file__).resolve().parents[3] / "requirements" / "host.json"
_VERSION = re.compile(r"(\d+!)?\d+(\.\d+)*((a|b|rc)\d+)?(\.post\d+)?(\.dev\d+)?(\+[a-z0-9]+([._-][a-z0-9]+)*)?$", re.I)


class Lack(NamedTuple):
    """A package the host lacks, as a requirement for pip."""

    requirement: str
    required: bool


def release(version: str) -> tuple[int, ...]:
    """``2.1.2+cu121`` → (2, 1, 2): the numbers up to the first other part."""
    match = re.match(r"\s*v?(\d+(?:\.\d+)*)", version)
    numbers = [int(part) for part in match.group(1).split(".")] if match else []
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)


def within(version: str, bounds: str) -> bool:
    """Whether a version is within bounds such as ``>=4.1,<5``."""
    for bound in bounds.split(","):
        low = bound.startswith(">=")
        limit = release(bound.lstrip("<>="))
        if (release(version) < limit) if low else (release(version) >= limit):
            return False
    return True


def installed(name: str, module: str = "") -> str | None:
    """The version that is installed; empty for a package without one, None if it is not installed."""
    try:
        return importlib.metadata.version(name) or ""
    except importlib.metadata.PackageNotFoundError:
        spec = importlib.util.find_spec(module) if module else None
        return "" if spec and spec.origin else None  # without an origin it is an empty folder


def find_lacks(packages: Iterable[Mapping[str, Any]], torch: str, cuda: bool) -> tuple[list[Lack], list[str]]:
    """What the host lacks, and a remark on each package whose version does not suit Trainyard."""
    lacks: list[Lack] = []
    remarks: list[str] = []
    for package in packages:
        found = installed(package["name"], package["import"])
        if found is not None:
            # Never changed: the host or another extension needs it as it is.
            if found and not within(found, package["accepts"]):
                remarks.append(f"{package['name']} {found} is installed, Trainyard works with {package['accepts']}")
            continue
        if not _wanted(package, cuda):
            continue
        for row in package["adds"]:
            if "torch_below" not in row or release(torch) < release(row["torch_below"]):
                lacks.append(Lack(package["name"] + row["versions"], package["required"]))
                break
    return lacks, remarks


def _wanted(package: Mapping[str, Any], cuda: bool) -> bool:
    """Whether this host has a use for it, and does not install it by itself.

    ``needs`` names CUDA, or the last Python that lacks what the package does; ``brought_by`` a module of the host.
    """
    what, _, python = package.get("needs", "").partition(" ")
    if (what == "cuda" and not cuda) or (what == "python" and sys.version_info[:2] > release(python)):
        return False
    return "brought_by" not in package or not _has_module(package["brought_by"])


def has_cuda(torch: str) -> bool:
    """Whether torch is a CUDA build: PyTorch's own wheels say so in their version, PyPI's bring CUDA as packages."""
    if "+" in torch:
        return "+cu" in torch
    return any(installed(name) for name in ("nvidia-cublas", "nvidia-cublas-cu12", "nvidia-cublas-cu11"))


def _has_module(name: str) -> bool:
    """Whether the host has this module, which may lie in a package that it does not have either."""
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def constraints() -> str:
    """Every installed package pinned to its version, so that pip changes none of them."""
    lines: dict[str, str] = {}
    for distribution in importlib.metadata.distributions():
        try:
            name, version = distribution.metadata["Name"], distribution.metadata["Version"]
        except (KeyError, TypeError, OSError):
            continue
        # The rest comes from broken installations; pip refuses the whole file for one line it cannot read.
        if name and version and re.match(r"[A-Za-z0-9][\w.-]*$", name) and _VERSION.match(version):
            lines.setdefault(re.sub(r"[-_.]+", "-", name).lower(), f"{name}=={version}")
    return "".join(f"{line}\n" for line in lines.values())


def _end_of(output: str) -> str:
    return "\n".join([line for line in output.splitlines() if line.strip()][-6:])


def add(launch: ModuleType, lacks: Sequence[Lack]) -> None:
    """Have the host install them; the optional ones separately, so that their failure does not affect the rest."""
    with tempfile.TemporaryDirectory(prefix="trainyard-") as folder:
        path = Path(folder) / "constraints.txt"
        for required in (True, False):
            wanted = " ".join(f'"{lack.requirement}"' for lack in lacks if lack.required is required)
            if not wanted:
                continue
            path.write_text(constraints(), "utf-8")
            try:
                launch.run_pip(f'install {wanted} -c "{path}"', "requirements for Trainyard")
            except Exception as error:  # noqa: BLE001 - whatever pip reports, the host has to start
                state = "Its tab says what is missing." if required else "It does without."
                print(f"Trainyard: {wanted} could not be installed. {state}\n{_end_of(str(error))}")


def complete(launch: ModuleType) -> None:
    """Install what the host lacks; `launch` is the host's module of that name."""
    packages = json.loads(TABLE.read_text("utf-8"))["packages"]
    torch = installed("torch") or ""
    lacks, remarks = find_lacks(packages, torch, has_cuda(torch))
    for remark in remarks:
        print(f"Trainyard: {remark}.")
    if lacks and getattr(getattr(launch, "args", None), "skip_install", False):
        print(f"Trainyard: --skip-install, so not installed: {', '.join(lack.requirement for lack in lacks)}.")
    elif lacks:
        add(launch, lacks)
