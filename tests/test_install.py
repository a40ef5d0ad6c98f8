"""install.py: what it decides, as functions; what it does, with a stand-in for pip and for the host."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

import install
from install import Card, Machine, SetupError, Step, Venv
from trainer.hosts.webui import dependencies

ROOT = Path(__file__).resolve().parent.parent
PYTHONS = ["3.10", "3.11", "3.12", "3.13"]
LINUX = Machine("Linux", "x86_64", (3, 11))
WINDOWS = Machine("Windows", "AMD64", (3, 10))
MAC = Machine("Darwin", "arm64", (3, 13))
ADA = Card(8.9, 580)
PASCAL = Card(6.1, 580)
BLACKWELL = Card(12.0, 570)
WAIT = 120.0


# ---- pins -----------------------------------------------------------------------------------------------------------


def pins(name: str, python: str) -> dict[str, str]:
    """Name → version of one file's pins that hold for a Python version; every pin has to be exact."""
    found = {}
    for line in (ROOT / "requirements" / f"{name}.txt").read_text("utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        requirement = Requirement(line)
        if requirement.marker and not requirement.marker.evaluate({"python_version": python}):
            continue
        (specifier,) = requirement.specifier
        assert specifier.operator == "=="
        assert requirement.name not in found, f"{requirement.name} twice for {python}"
        found[re.sub(r"[-_.]+", "-", requirement.name).lower()] = specifier.version
    return found


@pytest.mark.parametrize("python", PYTHONS)
def test_every_pin_is_in_the_frozen_list(python: str) -> None:
    frozen = pins(f"frozen-{python}", python)
    direct = {**pins("run", python), **pins("test", python)}
    assert {name: frozen.get(name) for name in direct} == direct
    assert "torch" not in frozen


@pytest.mark.parametrize("python", PYTHONS)
def test_the_same_packages_are_pinned_for_every_python(python: str) -> None:
    backports = {"run": {"tomli"}} if python == "3.10" else {}  # in the standard library since
    for name in ("torch", "run", "test", "cuda"):
        assert set(pins(name, python)) == set(pins(name, "3.11")) | backports.get(name, set())


def test_this_environment_is_the_pinned_one() -> None:
    if Path(sys.prefix) != ROOT / ".venv":
        pytest.skip("these tests run in another environment than .venv")
    python = "{}.{}".format(*sys.version_info)
    for name, version in {**pins("torch", python), **pins("run", python), **pins("test", python)}.items():
        found = dependencies.installed(name)
        assert found is not None
        assert Version(found).public == version, name


# ---- decisions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("machine", "word"),
    [
        (LINUX._replace(python=(3, 9)), "3.10 to 3.13"),
        (LINUX._replace(python=(3, 14)), "3.10 to 3.13"),
        (LINUX._replace(python=(2, 7)), "3.10 to 3.13"),
        (WINDOWS._replace(bits=32), "64-bit"),
        (MAC._replace(processor="x86_64"), "Intel"),
    ],
)
def test_a_machine_that_cannot_do_it_is_told_so_in_one_line(machine: Machine, word: str) -> None:
    sentence = install.unfit(machine)
    assert sentence is not None
    assert word in sentence
    assert "\n" not in sentence


@pytest.mark.parametrize("machine", [LINUX, WINDOWS, MAC, LINUX._replace(python=(3, 10))])
def test_a_machine_that_can_is_not_held_up(machine: Machine) -> None:
    assert install.unfit(machine) is None


def test_an_old_python_can_read_far_enough_to_say_so() -> None:
    ast.parse((ROOT / "install.py").read_text("utf-8"), feature_version=(3, 8))


@pytest.mark.parametrize(
    ("machine", "card", "indexes"),
    [
        (LINUX, None, ["cpu", ""]),
        (LINUX, ADA, [""]),
        (LINUX, PASCAL, ["cu126"]),
        (LINUX, Card(8.6, 550), ["cu126"]),
        (LINUX, BLACKWELL, [""]),
        (WINDOWS, None, [""]),
        (WINDOWS, ADA, ["cu130"]),
        (WINDOWS, PASCAL, ["cu126"]),
        (WINDOWS, BLACKWELL, ["cu130"]),
        (MAC, None, [""]),
    ],
)
def test_the_build_of_torch_fits_the_machine(machine: Machine, card: Card | None, indexes: list[str]) -> None:
    step = install.torch_step(machine, card)
    found = []
    for arguments in step.tries:
        assert arguments[:2] == ("-r", "torch.txt")
        found.append(arguments[arguments.index("--index-url") + 1].split("/")[-1] if len(arguments) > 2 else "")
    assert found == indexes


def test_torch_comes_first_and_alone_and_stays_as_it_is() -> None:
    for command in ("demo", "test"):
        torch, *rest = install.plan(LINUX, ADA, command)
        assert all("run.txt" not in arguments for arguments in torch.tries)
        for step in rest:
            for arguments in step.tries:
                text = " ".join(arguments)
                assert "-c torch.txt" in text
                assert "-c frozen-3.11.txt" in text


def test_test_tools_are_for_the_tests_and_bitsandbytes_for_cards() -> None:
    def asked(machine: Machine, card: Card | None, command: str) -> str:
        return " ".join(" ".join(step.tries[0]) for step in install.plan(machine, card, command))

    assert "test.txt" not in asked(LINUX, None, "demo")
    assert "test.txt" in asked(LINUX, None, "test")
    assert "cuda.txt" not in asked(LINUX, None, "test")
    assert "cuda.txt" in asked(WINDOWS, ADA, "demo")
    assert not install.plan(WINDOWS, ADA, "demo")[-1].required


def test_cards_are_read_from_the_driver() -> None:
    text = "8.9, 580.95.05\n6.1, 580.95.05\nFailed to initialize NVML\n"
    assert install.parse_cards(text) == [Card(8.9, 580), Card(6.1, 580)]
    assert install.parse_cards("NVIDIA-SMI has failed because it couldn't communicate\n") == []


@pytest.mark.skipif(os.name == "nt", reason="the stand-in is a shell script")
@pytest.mark.parametrize(
    ("script", "card"),
    [
        ("echo '6.1, 580.1'; echo '12.0, 580.1'", Card(12.0, 580)),
        ("echo 'No devices were found'; exit 6", None),
        ("echo 'Field \"compute_cap\" is not a valid field to query.'; exit 2", None),
    ],
)
def test_a_card_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, card: Card | None) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n", "utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert install.find_card() == card


def test_no_driver_no_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert install.find_card() is None


def test_the_fingerprint_follows_the_pins(tmp_path: Path) -> None:
    folder = tmp_path / "requirements"
    shutil.copytree(ROOT / "requirements", folder)
    before = {command: install.fingerprint(LINUX, command, folder) for command in ("demo", "test")}
    assert before["demo"] != before["test"]
    (folder / "test.txt").write_text("pytest==9.0.0\n", "utf-8")
    assert install.fingerprint(LINUX, "demo", folder) == before["demo"]
    assert install.fingerprint(LINUX, "test", folder) != before["test"]
    (folder / "frozen-3.11.txt").write_text("", "utf-8")
    assert install.fingerprint(LINUX, "demo", folder) != before["demo"]
    other = install.fingerprint(LINUX._replace(python=(3, 12)), "demo", folder)
    assert other != install.fingerprint(LINUX, "demo", folder)


@pytest.mark.parametrize(
    "output",
    [
        "The virtual environment was not created successfully because ensurepip is not\navailable.",
        "/usr/bin/python3: No module named venv",
    ],
)
def test_a_missing_venv_module_is_named(output: str) -> None:
    sentence = install.venv_trouble(output)
    assert "apt install python3." in sentence
    assert "\n" not in sentence


# ---- the environment ------------------------------------------------------------------------------------------------


class Shop:
    """A stand-in for pip and for making an environment: notes what was asked for."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.venv = Venv(folder / ".venv")
        self.asked: list[tuple[str, ...]] = []
        self.made = 0
        self.sound = True
        self.answer: Callable[[tuple[str, ...]], str] = lambda arguments: ""
        monkeypatch.setattr(install, "pip_install", self.pip)
        monkeypatch.setattr(install, "find_card", lambda: None)
        monkeypatch.setattr(Venv, "works", lambda venv, machine: venv.folder.is_dir() and self.sound)
        monkeypatch.setattr(Venv, "make", self.make)

    def pip(self, python: Path, arguments: Sequence[str]) -> str:
        self.asked.append(tuple(arguments))
        return self.answer(tuple(arguments))

    def make(self) -> None:
        shutil.rmtree(self.venv.folder, ignore_errors=True)
        self.venv.folder.mkdir()
        self.made += 1
        self.sound = True

    def prepare(self, command: str) -> int:
        """How many times pip was called for a command."""
        before = len(self.asked)
        install.prepare(self.venv, LINUX, command)
        return len(self.asked) - before


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    return Shop(tmp_path, monkeypatch)


def test_the_second_time_nothing_is_installed(shop: Shop) -> None:
    assert shop.prepare("demo") == 2
    assert shop.prepare("demo") == 0
    assert shop.prepare("test") == 2  # the same environment, more in it
    assert shop.prepare("test") == 0
    assert shop.prepare("demo") == 0
    assert shop.made == 1


def test_the_demo_has_what_it_needs_after_the_tests(shop: Shop) -> None:
    assert shop.prepare("test") == 2
    assert shop.prepare("demo") == 0


def test_changed_pins_are_installed_into_the_same_environment(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.prepare("test")
    print_of = install.fingerprint
    monkeypatch.setattr(install, "fingerprint", lambda machine, command: "new" + print_of(machine, command))
    assert shop.prepare("test") == 2
    assert shop.prepare("demo") == 0
    assert shop.made == 1


def test_what_was_interrupted_is_made_anew(shop: Shop) -> None:
    def interrupt(arguments: tuple[str, ...]) -> str:
        raise KeyboardInterrupt

    shop.answer = interrupt
    with pytest.raises(KeyboardInterrupt):
        shop.prepare("demo")
    shop.answer = lambda arguments: ""
    assert shop.prepare("demo") == 2
    assert shop.made == 2
    assert shop.prepare("demo") == 0


def test_an_environment_whose_python_is_gone_is_made_anew(shop: Shop) -> None:
    shop.prepare("demo")
    shop.sound = False
    assert shop.prepare("demo") == 2
    assert shop.made == 2


@pytest.mark.parametrize("content", ["", "[]", "{", "null"])
def test_a_spoilt_stamp_is_no_stamp(shop: Shop, content: str) -> None:
    shop.prepare("demo")
    shop.venv.stamp.write_text(content, "utf-8")
    assert shop.prepare("demo") == 2


def test_without_pytorchs_index_pypi_is_asked(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    shop.answer = lambda arguments: "no route" if "--index-url" in arguments else ""
    assert shop.prepare("demo") == 3
    assert shop.asked[1] == ("-r", "torch.txt")
    said = capsys.readouterr().out
    assert "PyPI" in said
    assert "no route" not in said


def test_pip_is_heard_only_when_it_fails(shop: Shop) -> None:
    shop.answer = lambda arguments: (
        "\n".join(f"line {number}" for number in range(100)) if "run.txt" in arguments else ""
    )
    with pytest.raises(SetupError) as caught:
        shop.prepare("demo")
    text = str(caught.value)
    assert "line 99" in text
    assert "line 50" not in text
    assert "run the same command again" in text
    shop.answer = lambda arguments: ""
    assert shop.prepare("demo") == 2
    assert shop.made == 1  # nothing was torn down for it


PIP = """
import sys, time
print("Collecting numpy==2.3.1 (from -r run.txt (line 3))")
print("  Downloading numpy-2.3.1-cp311-cp311-manylinux_2_28_x86_64.whl.metadata (62 kB)")
print("Downloading numpy-2.3.1-cp311-cp311-manylinux_2_28_x86_64.whl (16.9 MB)", flush=True)
time.sleep(0.3)
print("Installing collected packages: six, numpy", flush=True)
sys.exit(sys.argv[-1] == "broken.txt")
"""


@pytest.mark.parametrize("is_broken", [False, True])
def test_pip_says_what_it_is_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], is_broken: bool
) -> None:
    (tmp_path / "pip.py").write_text(PIP, "utf-8")
    monkeypatch.setattr(install, "clean_environment", lambda: {**os.environ, "PYTHONPATH": str(tmp_path)})
    life = install.show_life
    monkeypatch.setattr(install, "show_life", lambda ended: life(ended, 0.1))
    trouble = install.pip_install(Path(sys.executable), ["-r", "broken.txt" if is_broken else "run.txt"])
    assert trouble.startswith("Collecting numpy") == is_broken
    assert bool(trouble) == is_broken
    said = capsys.readouterr().out.splitlines()
    life_signs = [line for line in said if re.fullmatch(r"  … \d+ s", line)]
    assert [line for line in said if line not in life_signs] == ["  numpy 2.3.1, 16.9 MB", "  unpacking 2 packages"]
    assert life_signs, "pip says nothing for a while"


def test_what_is_optional_may_fail(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    shop.answer = lambda arguments: "no wheel"
    install.install(shop.venv, [Step("8-bit optimizers", (("-r", "cuda.txt"),), required=False)])
    assert "does without" in capsys.readouterr().out


def test_nothing_leads_out_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYTHONPATH", "PYTHONHOME", "PIP_TARGET", "PIP_USER", "PIP_PREFIX"):
        monkeypatch.setenv(name, "elsewhere")
    monkeypatch.setenv("PIP_INDEX_URL", "https://mirror.example/simple")
    environment = install.clean_environment()
    assert "elsewhere" not in environment.values()
    assert environment["PIP_INDEX_URL"] == "https://mirror.example/simple"


@pytest.mark.slow
def test_a_real_environment_is_made_and_known(tmp_path: Path) -> None:
    folder = tmp_path / "with space, ü and 電車"
    folder.mkdir()
    venv = Venv(folder / ".venv")
    machine = install.this_machine()
    assert not venv.works(machine)
    venv.make()
    assert venv.works(machine)
    assert not venv.works(machine._replace(python=(3, 9)))
    assert "busy" in venv.read()
    assert "No matching distribution" in install.pip_install(venv.python, ["--no-index", "trainyard-of-nowhere"])
    venv.python.unlink()
    assert not venv.works(machine)
    venv.make()
    assert venv.works(machine)


# ---- the command line -----------------------------------------------------------------------------------------------


def command_line(*arguments: str, at: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(at / "install.py"), *arguments], cwd=at, capture_output=True, encoding="utf-8", check=False
    )


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [((), 0, "usage"), (("--help",), 0, "usage"), (("dmeo",), 2, "`dmeo`")],
)
def test_what_needs_no_environment(arguments: tuple[str, ...], code: int, words: str) -> None:
    done = command_line(*arguments)
    assert done.returncode == code, done.stderr
    assert words in done.stdout


def test_what_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    assert install.after("demo", ["--seed", "3"]) == ["-m", "trainer", "demo", "--seed", "3"]
    assert install.after("ui", ["--port", "1"]) == ["-m", "trainer", "ui", "--port", "1"]
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    assert install.after("test", ["--all"]) == ["-m", "pytest", "--all"]
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    assert install.after("test", ["--all"]) == ["-m", "pytest", "-n", "2", "--dist", "loadfile", "--all"]
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    assert "4" in install.after("test", [])


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose environment stands and whose program is another one."""
    root = tmp_path / "a checkout, 電車"
    shutil.copytree(ROOT / "requirements", root / "requirements")
    shutil.copy(ROOT / "install.py", root)
    (root / "trainer").mkdir()
    program = "import sys, time; print(sys.argv[1:], flush=True); 'wait' in sys.argv and time.sleep(600); sys.exit(3)"
    (root / "trainer" / "__main__.py").write_text(program, "utf-8")
    venv = Venv(root / ".venv")
    venv.python.parent.mkdir(parents=True)
    venv.python.symlink_to(sys.executable)
    shutil.copy(Path(sys.prefix) / "pyvenv.cfg", venv.folder)
    packages = next(Path(sys.prefix).glob("lib/python*/site-packages"))
    shutil.copytree(packages / "pip", venv.folder / packages.relative_to(sys.prefix) / "pip")
    machine = install.this_machine()
    venv.write({"demo": install.fingerprint(machine, "demo")})
    return root


posix_venv = pytest.mark.skipif(
    os.name == "nt" or not (Path(sys.prefix) / "pyvenv.cfg").exists(), reason="borrows this environment by a link"
)


@posix_venv
@pytest.mark.parametrize("command", ["demo", "ui"])
def test_the_exit_code_is_that_of_the_command(checkout: Path, command: str) -> None:
    done = command_line(command, "--seed", "3", at=checkout)
    assert done.stdout.strip() == f"['{command}', '--seed', '3']", done.stderr
    assert done.returncode == 3


@posix_venv
def test_ctrl_c_ends_it_without_a_traceback(checkout: Path) -> None:
    command = [sys.executable, str(checkout / "install.py"), "demo", "wait"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", start_new_session=True
    )
    assert process.stdout is not None
    assert "wait" in process.stdout.readline()
    os.killpg(process.pid, signal.SIGINT)
    out, errors = process.communicate(timeout=WAIT)
    assert process.returncode == 130
    assert "Interrupted" in out
    assert "install.py" not in errors  # the program's own traceback here is this test's, not ours


# ---- run by a WebUI -------------------------------------------------------------------------------------------------

LAUNCH = """
import json, pathlib, re, types
HERE = pathlib.Path(__file__).parent
args = types.SimpleNamespace(skip_install=(HERE / "skip").exists())
def run_pip(command, desc=None, live=False):
    path = pathlib.Path(re.search(r'-c "([^"]+)"', command).group(1))
    with open(HERE / "calls.jsonl", "a", encoding="utf-8") as file:
        file.write(json.dumps({"command": command, "desc": desc, "constraints": path.read_text("utf-8")}) + "\\n")
    if (HERE / "broken").exists():
        raise RuntimeError("Couldn't install requirements for Trainyard.\\nstderr: no network")
    for name in re.findall(r'"([a-z-]+)[<>=]', command):
        folder = HERE / f"{name.replace('-', '_')}-9.9.dist-info"
        folder.mkdir()
        version = "4.1.0" if name == "pytorch-optimizer" else "0.45.5"
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n")
"""


class Host:
    """A WebUI's folder with its `launch` and its packages, none of which are this environment's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        (folder / "launch.py").write_text(LAUNCH, "utf-8")
        for name, version in {"torch": "2.1.2+cu121", "matplotlib": "3.8.4", "transformers": "4.30.2"}.items():
            self.has(name, version)

    def has(self, name: str, version: str) -> None:
        folder = self.folder / f"{name}-{version}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", "utf-8")

    def start(self) -> str:
        """What the host shows of install.py; run as the host does, but without this environment's packages."""
        done = subprocess.run(
            [sys.executable, "-S", str(ROOT / "install.py")],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(self.folder)},
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert not done.stderr
        return done.stdout

    def calls(self) -> list[dict[str, str]]:
        path = self.folder / "calls.jsonl"
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path / "web ui")


def test_a_host_gets_what_it_lacks_once(host: Host) -> None:
    host.start()
    required, optional = host.calls()
    assert '"pytorch-optimizer>=4.1,<5" "diffusers>=0.29.2,<0.32"' in required["command"]
    assert required["desc"] == "requirements for Trainyard"
    assert set(required["constraints"].split()) == {
        "torch==2.1.2+cu121",
        "matplotlib==3.8.4",
        "transformers==4.30.2",
    }
    assert '"bitsandbytes>=0.44.1,<0.46"' in optional["command"]
    assert "diffusers==" in optional["constraints"]
    assert host.start() == ""
    assert len(host.calls()) == 2


def test_what_a_host_has_is_left_as_it_is(host: Host) -> None:
    host.has("diffusers", "0.25.1")
    host.has("pytorch_optimizer", "4.1.0")
    host.has("bitsandbytes", "0.50.2")
    said = host.start()
    assert host.calls() == []
    assert "diffusers 0.25.1" in said
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize("brings", [True, False], ids=["Forge", "Neo"])
def test_bitsandbytes_is_left_to_a_host_that_installs_it(host: Host, brings: bool) -> None:
    """Both have the same packages; only one of them has the module that installs it."""
    for name in ("modules_forge", "backend"):
        (host.folder / name).mkdir()
    if brings:
        (host.folder / "modules_forge" / "bnb_installer.py").write_text("", "utf-8")
    host.start()
    assert any("bitsandbytes" in call["command"] for call in host.calls()) is not brings


def test_no_cuda_no_bitsandbytes(host: Host) -> None:
    shutil.rmtree(host.folder / "torch-2.1.2+cu121.dist-info")
    host.has("torch", "2.4.1+rocm6.1")
    host.start()
    assert not any("bitsandbytes" in call["command"] for call in host.calls())


def test_a_failure_does_not_stop_the_host(host: Host) -> None:
    (host.folder / "broken").touch()
    said = host.start()
    assert "could not be installed" in said
    assert "no network" in said
    assert "Traceback" not in said


def test_skip_install_is_obeyed(host: Host) -> None:
    (host.folder / "skip").touch()
    assert "--skip-install" in host.start()
    assert host.calls() == []


def test_a_host_that_does_not_load_is_not_our_concern(host: Host) -> None:
    (host.folder / "launch.py").write_text("raise OSError('half updated')", "utf-8")
    assert "half updated" in host.start()


def test_debris_of_broken_installations_stays_out_of_the_constraints(host: Host) -> None:
    host.has("~orch", "2.0.0")
    host.has("odd", "0.1-dirty")
    (host.folder / "empty-1.0.dist-info").mkdir()
    host.start()
    assert "orch==2.0.0" not in host.calls()[0]["constraints"]
    assert "odd" not in host.calls()[0]["constraints"]
    assert "empty" not in host.calls()[0]["constraints"]


def test_a_module_without_a_record_counts_as_there(host: Host) -> None:
    for name in ("diffusers", "pytorch_optimizer"):
        (host.folder / f"{name}.py").write_text("", "utf-8")
    host.start()
    assert [call["command"].split('"')[1] for call in host.calls()] == ["bitsandbytes>=0.44.1,<0.46"]


@pytest.mark.parametrize(
    ("torch", "bounds"),
    [("2.1.2+cu121", ">=0.44.1,<0.46"), ("2.3.1+cu121", ">=0.44.1,<0.50"), ("2.9.0", ">=0.45,<0.51")],
)
def test_the_cap_follows_the_hosts_torch(torch: str, bounds: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dependencies, "installed", lambda name, module="": None)
    packages = json.loads(dependencies.TABLE.read_text("utf-8"))["packages"]
    lacks, remarks = dependencies.find_lacks(packages, torch, cuda=True)
    assert f"bitsandbytes{bounds}" in [lack.requirement for lack in lacks]
    assert remarks == []


@pytest.mark.parametrize(("python", "lacking"), [((3, 10, 6), True), ((3, 11, 0), False), ((3, 13, 1), False)])
def test_what_a_newer_python_has_is_not_added(python: tuple[int, ...], lacking: bool, monkeypatch) -> None:
    monkeypatch.setattr(dependencies, "installed", lambda name, module="": None)
    monkeypatch.setattr(dependencies.sys, "version_info", python)
    packages = json.loads(dependencies.TABLE.read_text("utf-8"))["packages"]
    lacks, _ = dependencies.find_lacks(packages, "2.9.0", cuda=True)
    assert ("tomli>=2,<3" in [lack.requirement for lack in lacks]) is lacking


@pytest.mark.parametrize(
    ("version", "bounds", "inside"),
    [
        ("4.1.0", ">=4.1,<5", True),
        ("4.1", ">=4.1.0,<5", True),
        ("5.0.0", ">=4.1,<5", False),
        ("0.31.0", ">=0.29.2,<0.32", True),
        ("0.9.9", ">=0.29.2", False),
        ("2.1.2+cu121", ">=2.1.2", True),
        ("0.44.1.post1", ">=0.44.1,<0.46", True),
    ],
)
def test_bounds(version: str, bounds: str, inside: bool) -> None:
    assert dependencies.within(version, bounds) is inside


def test_every_row_of_the_hosts_table_is_whole() -> None:
    for package in json.loads(dependencies.TABLE.read_text("utf-8"))["packages"]:
        assert {"name", "import", "required", "accepts", "adds"} <= set(package)
        assert set(package) <= {"name", "import", "required", "accepts", "adds", "needs", "brought_by"}
        assert "torch_below" not in package["adds"][-1], "some row has to hold for the newest torch"
        for row in package["adds"]:
            lowest = row["versions"].split(",")[0].removeprefix(">=")
            assert dependencies.within(lowest, row["versions"])
            assert dependencies.within(lowest, package["accepts"])
