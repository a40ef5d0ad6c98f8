"""One way to run every test: one torch thread, no network, the dearer tiers only when asked for.

Python's hash seed is left random on purpose: what depends on the order of a set shows up as a test that fails
now and then, and a run must be a function of its job.
"""

from __future__ import annotations

import copy
import functools
import gc
import os
import shutil
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from studies.studio import Studio
    from trainer.hosts.standalone import Standalone
    from trainer.paths import Folders

# Before torch is imported anywhere, and for the programs that tests start. The models here are small:
# handing work from thread to thread costs more than it brings, and one thread gives the same sums everywhere.
for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_name] = "1"
os.environ.update(
    HF_HUB_OFFLINE="1",
    TRANSFORMERS_OFFLINE="1",
    HF_HUB_DISABLE_TELEMETRY="1",
    TOKENIZERS_PARALLELISM="false",
    MPLBACKEND="Agg",
    LC_ALL="C.UTF-8",  # the command line speaks English
)
# A shell has what it starts in the background ignore Ctrl-C, which the programs that tests start would inherit.
signal.signal(signal.SIGINT, signal.default_int_handler)

MINUTES = {"first": 15, "more": 17, "both": 37}
"""How long the first two tiers take on two slow cores, and both together."""
DEAREST = (
    "jobs/test_survive.py", "web/page/test_browser.py", "engine/test_processes.py", "modes/test_lora_images.py",
    "web/page/test_for_everyone.py", "web/page/test_try.py", "engine/test_memory_estimate.py", "engine/test_asked.py",
    "test_count.py", "jobs/test_ending.py", "modes/test_addift_images.py", "web/services/test_run_images.py",
    "test_house.py", "test_adding.py", "test_cli.py", "web/page/", "web/test_hostile.py", "engine/", "modes/",
)  # fmt: skip
"""Below ``tests``, what takes longest: it is begun first, so that no worker waits for another one's at the end."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--more", action="store_true", default=False, help="run the second tier instead of the first")
    parser.addoption("--both", action="store_true", default=False, help="run the first two tiers together")
    parser.addoption("--all", action="store_true", default=False, help="run every tier, the slow one too")


def pytest_configure(config: pytest.Config) -> None:
    """What hypothesis tries: with ``--all`` thousands of examples, else a few, the same every time."""
    from hypothesis import HealthCheck, settings

    config.option.loadscopereorder = False  # of pytest-xdist, for which a file with one test is a short one

    slow = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    common = {"deadline": None, "database": None, "suppress_health_check": slow}
    settings.register_profile("short", max_examples=30, derandomize=True, **common)
    settings.register_profile("long", max_examples=800, print_blob=True, **common)
    settings.load_profile("long" if config.getoption("--all") else "short")


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Iterator[None]:
    """What is imported stays: to look for garbage in it takes a third of the time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    hostile = sys.modules.get("tests.helpers.hostile")
    if hostile is not None and hostile.EXAMPLES:
        counts = ", ".join(f"{count} {what}" for what, count in sorted(hostile.EXAMPLES.items()))
        terminalreporter.write_line(f"Tried {sum(hostile.EXAMPLES.values())} inputs of any content: {counts}.")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without a path the first tier runs; in the folders and files that are named, the second one too."""
    items.sort(key=lambda item: _place(item.nodeid.removeprefix("tests/")))
    if not _browser_expected(config):
        _keep(config, items, lambda item: not item.get_closest_marker("browser"))
    # Naming one test is asking for it, slow or not.
    if config.getoption("--all") or any("::" in argument for argument in config.args):
        return
    _keep(config, items, lambda item: not item.get_closest_marker("slow"))
    if config.getoption("--both"):
        return
    if config.getoption("--more"):
        _keep(config, items, lambda item: bool(item.get_closest_marker("more")))
    elif _is_whole(config):
        _keep(config, items, lambda item: not item.get_closest_marker("more"))


def _place(name: str) -> int:
    return next((place for place, beginning in enumerate(DEAREST) if name.startswith(beginning)), len(DEAREST))


def _is_whole(config: pytest.Config) -> bool:
    """Whether no path was named. The workers of pytest-xdist are told one all the same: that of all tests."""
    return [(config.rootpath / argument).resolve() for argument in config.args] == [config.rootpath / "tests"]


def _browser_expected(config: pytest.Config) -> bool:
    """Where there is none, those who ask for everything are told by a failure, others in the first lines."""
    from tests.helpers.browser.site import BROWSERS

    asked = config.getoption("--all") or any("::" in argument for argument in config.args)
    return bool(asked or os.environ.get("CHROMIUM") or any(map(shutil.which, BROWSERS)))


def _keep(config: pytest.Config, items: list[pytest.Item], wanted: Callable[[pytest.Item], bool]) -> None:
    left_out = [item for item in items if not wanted(item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if wanted(item)]


def pytest_report_header(config: pytest.Config) -> list[str]:
    lines = []
    if _is_whole(config) and not config.getoption("--all"):
        tier = "both" if config.getoption("--both") else "more" if config.getoption("--more") else "first"
        lines.append(f"This takes about {MINUTES[tier]} minutes on two cores; each line ends with how far it is.")
    if not _browser_expected(config):
        lines.append("No Chromium here: the tests that need a browser are left out.")
    elif config.getoption("--all") and sys.version_info[:2] > (3, 11):
        lines.append("The hosts' Gradios do not run on this Python: the page is driven under the current one alone.")
    return lines


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trainyard works off line; a test that reaches out fails at once, not after a time-out."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        host = address[0] if isinstance(address, tuple) else "localhost"
        if host not in ("localhost", "127.0.0.1", "::1"):
            raise AssertionError(f"a test tried to reach {host}; tests work off line")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(autouse=True, scope="module")
def _libraries_are_not_walked() -> None:
    """A run collects garbage once, which walks all that torch, diffusers and transformers have made: half a second."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="module")
def _vocabulary_is_read_once() -> None:
    """A model that is loaded reads CLIP's vocabulary, which takes as long as the steps of a small run."""
    clip = sys.modules.get("transformers.models.clip.tokenization_clip")
    if clip is None or "from_pretrained" in vars(clip.CLIPTokenizer):
        return
    read = functools.cache(clip.CLIPTokenizer.from_pretrained)

    def from_pretrained(*arguments: Any, **named: Any) -> Any:
        made = copy.copy(read(*arguments, **named))
        vars(made).update({name: dict(value) for name, value in vars(made).items() if isinstance(value, dict)})
        return made  # with another token to pad with, none but its owner has that

    clip.CLIPTokenizer.from_pretrained = from_pretrained


@pytest.fixture(autouse=True, scope="module")
def _nothing_is_drawn_for_the_meta_device() -> None:
    """A model that is loaded is built empty first, where torch works out a quarter of that time what it cannot keep."""
    nn = sys.modules.get("torch.nn")
    if nn is None or hasattr(nn.Linear.reset_parameters, "__wrapped__"):
        return
    for kind in (nn.Linear, nn.Embedding, nn.modules.conv._ConvNd):
        kind.reset_parameters = _unless_on_meta(kind.reset_parameters)


def _unless_on_meta(reset: Callable[[Any], None]) -> Callable[[Any], None]:
    @functools.wraps(reset)
    def reset_parameters(self: Any) -> None:
        if not self.weight.is_meta:
            reset(self)

    return reset_parameters


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with two levels, in half precision, for all tests that only read it."""
    import torch

    from tests.helpers.checkpoints import GROUPS, TWO_LEVELS, sd1_tensors, write_safetensors

    path = tmp_path_factory.mktemp("model") / "small.safetensors"
    return write_safetensors(path, sd1_tensors(TWO_LEVELS, dtype=torch.float16), GROUPS)


class _Models(dict[str, Path]):
    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def __missing__(self, family: str) -> Path:
        from tests.helpers.checkpoints import small_checkpoint

        self[family] = small_checkpoint(self._folder, family)
        return self[family]


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Family → a checkpoint with all that the family has, made when first asked for; tests only read it."""
    return _Models(tmp_path_factory.mktemp("models"))


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    from tests.helpers.home import folders_in

    return folders_in(tmp_path)


@pytest.fixture
def host(tmp_path: Path) -> Standalone:
    """Our own, with the folders above."""
    from tests.helpers.home import host_in

    return host_in(tmp_path)


@pytest.fixture(scope="session")
def studio() -> Studio:
    """The embedded checkpoint, whose pictures the tests of the modes count."""
    from studies.studio import Studio

    return Studio()
