"""Makes what Trainyard runs on.

By hand, ``python install.py`` with ``demo``, ``ui`` or ``test`` makes ``.venv`` beside this file and runs the command.
Run by a WebUI, at every start of it, this only adds what the host lacks. Standard library only, and light for that
reason.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent
PINS = ROOT / "requirements"
PYTORCH = "https://download.pytorch.org/whl"
MOST_WORKERS = 4  # of the tests: each has a gigabyte or two of its own
USAGE = """usage: python install.py COMMAND

  demo           train a LoRA on a small checkpoint and show what it does
  test           run the tests, some minutes; --more the second tier, --both the two together, --all the slow
                 ones too. More arguments go to pytest
  ui             the page: form, queue and plot. More arguments: ui --help

The first time makes .venv beside this file and installs what is needed; later it takes a second.
A WebUI runs this file by itself, without a command."""


class SetupError(Exception):
    """One sentence for the user."""


def say(text: str) -> None:
    print(text, flush=True)


# ---- by hand: decisions ---------------------------------------------------------------------------------------------


class Machine(NamedTuple):
    system: str  # as platform.system() names it: Linux, Windows, Darwin
    processor: str
    python: tuple[int, int]
    bits: int = 64


class Card(NamedTuple):
    """An NVIDIA card."""

    capability: float
    driver: int  # its first number


class Step(NamedTuple):
    """One thing to install: pip's arguments, and other arguments to try when those fail."""

    title: str
    tries: tuple[tuple[str, ...], ...]
    required: bool = True


def unfit(machine: Machine) -> str | None:
    """Why there can be no environment here, in a sentence. This file has to parse on Python 3.8 to say so."""
    if not (3, 10) <= machine.python <= (3, 13):
        found = ".".join(map(str, machine.python))
        return f"Trainyard needs Python 3.10 to 3.13 and this is {found}: run install.py with one of those."
    if machine.bits != 64:
        return "This Python is a 32-bit one, for which there is no PyTorch: install the 64-bit Python."
    if machine.system == "Darwin" and machine.processor == "x86_64":
        return (
            "PyTorch is no longer made for Macs with an Intel processor; on Apple silicon, take Python's arm64 build."
        )
    return None


def parse_cards(output: str) -> list[Card]:
    """The lines of ``nvidia-smi --query-gpu=compute_cap,driver_version --format=csv,noheader``."""
    cards = []
    for line in output.splitlines():
        match = re.match(r"\s*(\d+\.\d+)\s*,\s*(\d+)", line)
        if match:
            cards.append(Card(float(match.group(1)), int(match.group(2))))
    return cards


def cuda_index(card: Card) -> str:
    """PyTorch's index for a card. CUDA 13: Turing and newer, driver 580. CUDA 12.6: before Blackwell."""
    newest = card.capability >= 10 or (card.capability >= 7.5 and card.driver >= 580)
    return f"{PYTORCH}/cu130" if newest else f"{PYTORCH}/cu126"


def torch_step(machine: Machine, card: Card | None) -> Step:
    plain = ("-r", "torch.txt")
    if card and (machine.system == "Windows" or cuda_index(card).endswith("cu126")):
        return Step("PyTorch for the NVIDIA card (some gigabytes)", ((*plain, "--index-url", cuda_index(card)),))
    if card:
        return Step("PyTorch for the NVIDIA card (some gigabytes)", (plain,))
    if machine.system == "Linux":
        # PyPI's build for Linux brings gigabytes of CUDA along; PyTorch's own index may be out of reach, though.
        without_cuda = (*plain, "--index-url", f"{PYTORCH}/cpu", "--timeout", "10", "--retries", "1")
        return Step("PyTorch", (without_cuda, plain))
    return Step("PyTorch", (plain,))


def plan(machine: Machine, card: Card | None, command: str) -> list[Step]:
    """What to install, in this order: torch alone, so that nothing else decides about its build; then the rest."""
    frozen = ("-c", "torch.txt", "-c", "frozen-{}.{}.txt".format(*machine.python))
    steps = [torch_step(machine, card), Step("the other packages", (("-r", "run.txt", *frozen),))]
    if command == "test":
        steps[1] = Step("the other packages and the test tools", (("-r", "run.txt", "-r", "test.txt", *frozen),))
    if card and machine.system in ("Linux", "Windows"):
        steps.append(Step("8-bit optimizers", (("-r", "cuda.txt", *frozen),), required=False))
    return steps


def fingerprint(machine: Machine, command: str, pins: Path = PINS) -> str:
    """What the stamp in .venv says when everything a command needs is installed as pinned."""
    names = ["torch.txt", "run.txt", "cuda.txt", "frozen-{}.{}.txt".format(*machine.python)]
    names += ["test.txt"] if command == "test" else []
    digest = hashlib.sha256(repr(machine).encode())
    for name in names:
        digest.update(name.encode() + b"\0" + (pins / name).read_bytes() + b"\0")
    return digest.hexdigest()


def after(command: str, arguments: Sequence[str]) -> list[str]:
    """What is run when the environment is there, as arguments of its Python."""
    if command != "test":
        return ["-m", "trainer", command, *arguments]
    workers = min(os.cpu_count() or 1, MOST_WORKERS)
    # A file's tests stay together: they share what it made. Each worker computes in one thread.
    shared = ["-n", str(workers), "--dist", "loadfile"] if workers > 1 else []
    return ["-m", "pytest", *shared, *arguments]


# ---- by hand: deeds -------------------------------------------------------------------------------------------------


def this_machine() -> Machine:
    bits = 64 if sys.maxsize > 2**32 else 32
    return Machine(platform.system(), platform.machine(), (sys.version_info[0], sys.version_info[1]), bits)


def find_card() -> Card | None:
    """The newest NVIDIA card that the driver lists, if any."""
    program = shutil.which("nvidia-smi")
    if not program:
        return None
    query = ["--query-gpu=compute_cap,driver_version", "--format=csv,noheader"]
    try:
        result = subprocess.run([program, *query], capture_output=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    # A driver too old to know the question (2021) is too old for this PyTorch as well: no card, then.
    cards = parse_cards(result.stdout.decode("utf-8", "replace"))
    return max(cards) if cards and not result.returncode else None


def clean_environment() -> dict[str, str]:
    """The user's environment without what would lead Python or pip out of .venv, or to another package `trainer`."""
    unwanted = (
        "PYTHONHOME",
        "PYTHONPATH",
        "PIP_USER",
        "PIP_TARGET",
        "PIP_PREFIX",
        "PIP_ROOT",
        "PIP_REQUIRE_VIRTUALENV",
    )
    kept = {name: value for name, value in os.environ.items() if name.upper() not in unwanted}
    return {**kept, "PYTHONNOUSERSITE": "1"}


class Venv:
    """The environment beside this file, with a stamp of what was installed into it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        self.stamp = folder / "trainyard.json"

    def read(self) -> dict[str, str]:
        """Command → fingerprint; {"busy": …} between the beginning and the end of an installation."""
        try:
            content = json.loads(self.stamp.read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    def write(self, content: Mapping[str, str]) -> None:
        beside = self.stamp.with_suffix(".new")
        beside.write_text(json.dumps(content), "utf-8")
        os.replace(beside, self.stamp)

    def works(self, machine: Machine) -> bool:
        """Whether its Python starts, is of this version and has a pip."""
        code = "import sys, pip; print(*sys.version_info[:2])"
        try:
            found = subprocess.run(
                [str(self.python), "-c", code], capture_output=True, env=clean_environment(), check=False
            )
        except OSError:
            return False
        return found.returncode == 0 and found.stdout.split() == [b"%d" % number for number in machine.python]

    def make(self) -> None:
        """Recreate it. The stamp goes in first: if this is interrupted, the next run knows that it is half-made."""
        try:
            if self.folder.is_dir():
                shutil.rmtree(self.folder)
            self.folder.mkdir()
            self.write({"busy": "venv"})
        except OSError as error:
            raise SetupError(f"{self.folder} cannot be made anew ({error}): delete it and try again.") from error
        made = subprocess.run([sys.executable, "-m", "venv", str(self.folder)], capture_output=True, check=False)
        if made.returncode:
            raise SetupError(venv_trouble((made.stdout + made.stderr).decode("utf-8", "replace")))


def venv_trouble(output: str) -> str:
    if "ensurepip" in output or "No module named venv" in output:
        name = "python{}.{}-venv".format(*sys.version_info[:2])
        return f"This Python cannot make environments: install its venv module (Debian, Ubuntu: apt install {name})."
    return f"Python could not make .venv: {last_lines(output, 3)}"


def last_lines(output: str, count: int) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return "\n".join(lines[-count:])


def pip_install(python: Path, arguments: Sequence[str]) -> str:
    """Run pip, saying what it is at and now and then how long that takes; its output if it failed, else nothing."""
    command = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--only-binary=:all:"]
    pip = subprocess.Popen(
        [*command, *arguments],
        cwd=str(PINS),  # the pins are named relative to it: a path with spaces or from afar needs no quoting
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert pip.stdout is not None
    ended = threading.Event()
    threading.Thread(target=show_life, args=(ended,), daemon=True).start()
    lines = []
    try:
        for line in pip.stdout:
            lines.append(line.decode("utf-8", "replace"))
            told = progress(lines[-1])
            if told:
                say(f"  {told}")
        failed = pip.wait()
    finally:
        ended.set()
        pip.stdout.close()
        if pip.poll() is None:
            pip.kill()
            pip.wait()
    return "".join(lines) or "pip failed" if failed else ""


def progress(line: str) -> str:
    """What a line of pip's tells of how far it is; empty for those that only pip's authors need."""
    found = re.match(r"\s*(Downloading|Using cached) (\S+\.whl) \((.+)\)", line)
    if found:
        name, version = found.group(2).rpartition("/")[2].split("-")[:2]
        return f"{name} {version}, {found.group(3)}"
    found = re.match(r"Installing collected packages: (.+)", line)
    return f"unpacking {len(found.group(1).split(','))} packages" if found else ""


def show_life(ended: threading.Event, every: float = 15.0) -> None:
    """Say again and again how long it has taken, until it has ended."""
    began = time.monotonic()
    while not ended.wait(every):
        say(f"  … {time.monotonic() - began:.0f} s")


def install(venv: Venv, steps: Iterable[Step]) -> None:
    for step in steps:
        say(f"Installing {step.title} …")
        for number, arguments in enumerate(step.tries):
            if number:
                say("  that did not work; trying PyPI, whose build may be a large one …")
            trouble = pip_install(venv.python, arguments)
            if not trouble:
                break
        else:
            if step.required:
                advice = "Check the network connection and the free space on the disk, then run the same command again."
                raise SetupError(
                    f"{last_lines(trouble, 12)}\n\n{step.title[0].upper()}{step.title[1:]}: not installed. {advice}"
                )
            say("  not to be had here; Trainyard does without them.")


def prepare(venv: Venv, machine: Machine, command: str) -> None:
    """Bring the environment to what a command needs; nothing to do if the stamp says that it is there."""
    wanted = fingerprint(machine, command)
    stamp = venv.read()
    inside = Path(sys.prefix).resolve() == venv.folder.resolve()  # run by its own Python: it cannot be replaced then
    sound = inside or ("busy" not in stamp and venv.works(machine))
    if sound and stamp.get(command) == wanted:
        return
    if not sound:
        say("Making .venv anew: it is half-made or of another Python …" if venv.folder.exists() else "Making .venv …")
        venv.make()
        stamp = {}
    venv.write({"busy": command})
    try:
        install(venv, plan(machine, find_card(), command))
    except SetupError:
        venv.write({})  # pip stopped on its own and left things whole: no reason to start from scratch next time
        raise
    # What one command needs includes torch and the packages that the other one needs: keep only what is still true.
    kept = {name: value for name, value in stamp.items() if value == fingerprint(machine, name)}
    both = {"demo": fingerprint(machine, "demo")} if command == "test" else {}
    venv.write({**kept, **both, command: wanted})


def by_hand(arguments: Sequence[str]) -> int:
    command = arguments[0] if arguments else "--help"
    if command in ("--help", "-h", "help"):
        say(USAGE)
        return 0
    if command not in ("demo", "test", "ui"):
        say(f"install.py does not know `{command}`.\n\n{USAGE}")
        return 2
    machine = this_machine()
    reason = unfit(machine)
    if reason:
        say(reason)
        return 2
    venv = Venv(ROOT / ".venv")
    try:
        prepare(venv, machine, "demo" if command == "ui" else command)  # the two need the same
    except SetupError as error:
        say(str(error))
        return 1
    # The small checkpoint of demo and test is too small to share among threads: one is faster than two.
    threads = {} if command == "ui" else {"OMP_NUM_THREADS": "1"}
    environment = {**threads, **clean_environment()}
    process = subprocess.Popen([str(venv.python), *after(command, arguments[1:])], cwd=str(ROOT), env=environment)
    try:
        returned = process.wait()
    except KeyboardInterrupt:
        process.wait()  # it got the same Ctrl-C and puts its things away
        raise
    return 128 - returned if returned < 0 else returned


# ---- run by a WebUI -------------------------------------------------------------------------------------------------


def host_launch() -> ModuleType | None:
    """The WebUI's `launch`, where this is run by one."""
    if importlib.util.find_spec("launch") is None:
        return None
    launch = importlib.import_module("launch")
    return launch if hasattr(launch, "run_pip") else None


def load(path: Path) -> ModuleType:
    """A module by its file: the name `trainer` may be another extension's here."""
    spec = importlib.util.spec_from_file_location(f"trainyard_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ImportError(str(path))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main(arguments: Sequence[str]) -> int:
    if arguments:
        return by_hand(arguments)
    try:
        launch = host_launch()
        if launch:
            load(ROOT / "trainer" / "hosts" / "webui" / "dependencies.py").complete(launch)
    except Exception as error:  # noqa: BLE001 - the same
        say(f"Trainyard: looking for what is missing failed ({type(error).__name__}: {error}).")
        return 0
    return 0 if launch else by_hand(arguments)


if __name__ == "__main__":
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a console that lacks a letter of the path is no reason to fail
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        say("\nInterrupted.")
        sys.exit(130)
