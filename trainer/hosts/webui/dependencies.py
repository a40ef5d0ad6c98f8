"""What a WebUI lacks of what Trainyard needs, and how it is added without touching anything the host has.

install.py loads this file by its path at every start of the host, before the package can be imported: standard library
only, and no imports from beside it. The tab uses it to say what is missing.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

TABLE = Path(__file__).resolve().parents[3] / "requirements" / "host.json"
_VERSION = re.compile(r"(\d+!)?\d+(\.\d+)*((a|b|rc)\d+)?(\.post\d+)?(\.dev\d+)?(\+[a-z0-9]+([._-][a-z0-9]+)*)?$", re.I)


class Lack(NamedTuple):
    """A package the host does not have, as pip wants it."""

    requirement: str
    required: bool


def release(version: str) -> tuple[int, ...]:
    """``2.1.2+cu121`` → (2, 1, 2); what is no number ends it."""
    match = re.match(r"\s*v?(\d+(?:\.\d+)*)", version)
    numbers = [int(part) for part in match.group(1).split(".")] if match else []
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)


def within(version: str, bounds: str) -> bool:
    """Whether a version obeys bounds such as ``>=4.1,<5``."""
    for bound in bounds.split(","):
        low = bound.startswith(">=")
        limit = release(bound.lstrip("<>="))
        if (release(version) < limit) if low else (release(version) >= limit):
            return False
    return True


def installed(name: str, module: str = "") -> str | None:
    """The version that is there; empty if a package is there that does not say which it is."""
    try:
        return importlib.metadata.version(name) or ""
    except importlib.metadata.PackageNotFoundError:
        spec = importlib.util.find_spec(module) if module else None
        return "" if spec and spec.origin else None  # without an origin it is an empty folder, left behind


def find_lacks(
    packages: Iterable[Mapping[str, Any]], torch: str, forge: bool, cuda: bool
) -> tuple[list[Lack], list[str]]:
    """What the host lacks, and a line about each package it has in a version that Trainyard cannot work with."""
    lacks: list[Lack] = []
    remarks: list[str] = []
    for package in packages:
        found = installed(package["name"], package["import"])
        if found is not None:
            # Never touched: the host or another extension wants it as it is.
            if found and not within(found, package["accepts"]):
                remarks.append(f"{package['name']} {found} is installed, Trainyard works with {package['accepts']}")
            continue
        if (package.get("needs") == "cuda" and not cuda) or (package.get("not_on") == "forge" and forge):
            continue
        for row in package["adds"]:
            if "torch_below" not in row or release(torch) < release(row["torch_below"]):
                lacks.append(Lack(package["name"] + row["versions"], package["required"]))
                break
    return lacks, remarks


def has_cuda(torch: str) -> bool:
    """Whether the host's torch is a CUDA build: PyTorch's own says so in its version, PyPI's brings CUDA's packages."""
    if "+" in torch:
        return "+cu" in torch
    return any(installed(name) for name in ("nvidia-cublas", "nvidia-cublas-cu12", "nvidia-cublas-cu11"))


def is_forge() -> bool:
    """Forge brings bitsandbytes in by itself; its forks of the older kind have no `backend`."""
    return all(importlib.util.find_spec(name) is not None for name in ("modules_forge", "backend"))


def constraints() -> str:
    """Every installed package at its version, so that pip changes none of them."""
    lines: dict[str, str] = {}
    for distribution in importlib.metadata.distributions():
        try:
            name, version = distribution.metadata["Name"], distribution.metadata["Version"]
        except (KeyError, TypeError, OSError):
            continue
        # The rest is the debris of broken installations: one line pip cannot read makes it refuse them all.
        if name and version and re.match(r"[A-Za-z0-9][\w.-]*$", name) and _VERSION.match(version):
            lines.setdefault(re.sub(r"[-_.]+", "-", name).lower(), f"{name}=={version}")
    return "".join(f"{line}\n" for line in lines.values())


def _end_of(output: str) -> str:
    return "\n".join([line for line in output.splitlines() if line.strip()][-6:])


def add(launch: ModuleType, lacks: Sequence[Lack]) -> None:
    """Have the host install them; the optional ones apart, so that they take nothing down with them."""
    with tempfile.TemporaryDirectory(prefix="trainyard-") as folder:
        path = Path(folder) / "constraints.txt"
        for required in (True, False):
            wanted = " ".join(f'"{lack.requirement}"' for lack in lacks if lack.required is required)
            if not wanted:
                continue
            path.write_text(constraints(), "utf-8")
            try:
                launch.run_pip(f'install {wanted} -c "{path}"', "requirements for Trainyard")
            except Exception as error:  # noqa: BLE001 - whatever pip met, the host has to start
                state = "Its tab says what is missing." if required else "It does without."
                print(f"Trainyard: {wanted} could not be installed. {state}\n{_end_of(str(error))}")


def complete(launch: ModuleType) -> None:
    """Add what the host lacks; `launch` is its module of that name."""
    packages = json.loads(TABLE.read_text("utf-8"))["packages"]
    torch = installed("torch") or ""
    lacks, remarks = find_lacks(packages, torch, is_forge(), has_cuda(torch))
    for remark in remarks:
        print(f"Trainyard: {remark}.")
    if lacks and getattr(getattr(launch, "args", None), "skip_install", False):
        print(f"Trainyard: --skip-install, so not installed: {', '.join(lack.requirement for lack in lacks)}.")
    elif lacks:
        add(launch, lacks)
