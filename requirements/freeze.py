"""Writes frozen-3.X.txt for the Python it is run with: every package that the pins beside it bring along.

Run it once with each of 3.10 to 3.13: pip judges markers by the Python it runs on, whatever it is told to resolve for.
Needs pip 24 or newer, which reads metadata without downloading; nothing is installed.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
# What belongs to the build of torch and not to us, and torch itself, which torch.txt pins.
BUILD = re.compile(r"(torch|triton|cuda-.*|nvidia-.*)$")


def resolve() -> dict[str, str]:
    """Name → version of everything pip would install into an empty environment."""
    pins = [argument for name in ("torch", "run", "test") for argument in ("-r", str(HERE / f"{name}.txt"))]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"]
        command += ["--only-binary=:all:", "--report", str(report)]
        subprocess.run(command + pins, check=True)
        found = json.loads(report.read_text("utf-8"))["install"]
    names = {re.sub(r"[-_.]+", "-", row["metadata"]["name"]).lower(): row["metadata"]["version"] for row in found}
    return {name: number for name, number in sorted(names.items()) if not BUILD.match(name)}


def main() -> None:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    packages = [f"{name}=={number}" for name, number in resolve().items()]
    about = f"# Made by freeze.py with Python {version}: constraints, so a name that is not needed costs nothing."
    path = HERE / f"frozen-{version}.txt"
    path.write_text("\n".join([about, *packages]) + "\n", "utf-8", newline="\n")
    print(f"{path.name}: {len(packages)} packages")


if __name__ == "__main__":
    main()
