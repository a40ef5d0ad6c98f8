"""The house stays as it was planned: sizes, names, layers, no hidden state; and the checkers are content."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "trainer"
PRODUCT = sorted([*PACKAGE.rglob("*.py"), *(ROOT / "scripts").glob("*.py"), ROOT / "install.py"])
INSIDE = [path for path in PRODUCT if PACKAGE in path.parents]

# From the innermost to the outermost: a file may import from its own room and from those before it.
ROOMS = (
    "text",
    "errors",
    "paths",
    "config",
    "job",
    "claims",
    "diffusion",
    "models.checkpoint",
    "models",
    "models.stable_diffusion",
    "data",
    "sets",
    "captioning",
    "networks",
    "optim",
    "reports",
    "variations",
    "modes",
    "engine",
    "hosts",
    "hosts.webui",
    "jobs",
    "web.services",
    "web.api",
    "web.page",
    "web",
    "commands",
    "cli",
    "__main__",
)
# Where only some rooms may reach out to.
RESERVED = {
    **dict.fromkeys(("modules", "modules_forge", "backend", "ldm_patched", "launch", "ldm", "sgm"), "hosts.webui"),
    "gradio": "web.page",
}
LIGHT = (
    "text.words",
    "errors",
    "config.choices",
    "config.settings",
    "config.labels",
    "config.schema",
    "config.presets",
    "networks.files.settings",
    "paths",
    "job",
    "claims",
    "jobs.worker",
    "jobs.store",
    "jobs.run_status",
    "cli",
    "web.api.core",
    "hosts.webui.dependencies",
)
HEAVY = {"torch", "numpy", "diffusers", "transformers", "pandas", "matplotlib", "gradio", "PIL", "safetensors"}
# Module-level state: the queue's worker, which has to outlive the host's "Reload UI".
STATE: set[tuple[str, str]] = {("trainer/jobs/worker.py", "_HELD")}


# Checked strictly: the product, and of the tests what several of them share.
TYPED = [
    part
    for name in ("trainer", "studies", "tests.helpers", "tests.hosts.doubles", "tests.toy")
    for part in ("-p", name)
]


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def module_of(path: Path) -> str:
    """``trainer/models/base.py`` → ``models.base``."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


def nodes(path: Path) -> Iterator[ast.AST]:
    return ast.walk(ast.parse(path.read_text("utf-8"), named(path)))


def inner_imports(path: Path) -> Iterator[str]:
    """The modules of trainer that a file of it imports anywhere, also inside functions."""
    parts = module_of(path).split(".")
    for node in nodes(path):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = parts[: len(parts) - node.level]
            if node.module:
                yield ".".join([*base, node.module])
            else:
                yield from (".".join([*base, alias.name]) for alias in node.names)


def outer_imports(path: Path) -> Iterator[str]:
    """The top-level names of what a file imports from elsewhere."""
    for node in nodes(path):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module.split(".")[0]


def room_of(module: str) -> int:
    """The number of the room a module stands in: the one with the longest name that it begins with."""
    parts = module.split(".")
    for length in range(len(parts), 0, -1):
        name = ".".join(parts[:length])
        if name in ROOMS:
            return ROOMS.index(name)
    raise AssertionError(f"trainer/{module} has no place in the house yet: give it one in ROOMS")


def test_what_is_looked_through_is_there() -> None:
    """A room that has moved would be searched in vain, and nothing found wrong in it."""
    assert len(INSIDE) > 100
    for room in ROOMS:
        place = PACKAGE.joinpath(*room.split("."))
        assert place.is_dir() or place.with_suffix(".py").is_file(), f"there is no room {room} any more"
    assert set(RESERVED.values()) <= set(ROOMS)


# ---- sizes and names ------------------------------------------------------------------------------------------------


def test_functions_stay_small() -> None:
    found = []
    for path in PRODUCT:
        for node in nodes(path):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > 60:
                    found.append(f"{named(path)}:{node.lineno}: {node.name} has {length} lines")
    assert not found, "at most 60 lines a function:\n" + "\n".join(found)


def test_the_root_of_the_package_has_few_files() -> None:
    assert len(list(PACKAGE.glob("*.py"))) <= 6


@pytest.mark.parametrize("name", ["__init__", "train", "trainer", "lora", "dataset", "gen"])
def test_the_root_of_trainer_keeps_clear_of_traintrain(name: str) -> None:
    # TrainTrain has a package of the same name with these files in it, and both have to load side by side.
    assert not (PACKAGE / f"{name}.py").exists()


def test_the_host_finds_one_short_script() -> None:
    scripts = list((ROOT / "scripts").glob("*.py"))
    assert [path.name for path in scripts] in ([], ["trainyard.py"]), "a WebUI runs every file in scripts/"
    for path in scripts:
        assert len(path.read_text("utf-8").splitlines()) <= 40


# ---- layers ---------------------------------------------------------------------------------------------------------


def test_imports_inside_trainer_are_relative() -> None:
    found = [named(path) for path in INSIDE if "trainer" in outer_imports(path)]
    assert not found, "the host loads the package under another name: " + ", ".join(found)


def test_imports_point_inward() -> None:
    found = []
    for path in INSIDE:
        module = module_of(path)
        for target in inner_imports(path):
            if room_of(target) > room_of(module):
                found.append(f"{module} imports {target}")
    assert not found, "one direction, no way back:\n" + "\n".join(found)


def test_no_two_files_import_each_other() -> None:
    modules = {module_of(path): path for path in INSIDE}
    targets = {module: {name for name in inner_imports(path) if name in modules} for module, path in modules.items()}
    done: set[str] = set()

    def visit(module: str, way: tuple[str, ...]) -> None:
        assert module not in way, "a ring of imports: " + " → ".join([*way[way.index(module) :], module])
        if module not in done:
            for target in sorted(targets[module]):
                visit(target, (*way, module))
            done.add(module)

    for module in modules:
        visit(module, ())


def test_hosts_and_gradio_are_known_in_their_rooms_only() -> None:
    found = []
    for path in INSIDE:
        room = ROOMS[room_of(module_of(path))]
        found += [f"{named(path)}: {name}" for name in outer_imports(path) if room != RESERVED.get(name, room)]
    assert not found, "only in hosts/webui/ and web/page/:\n" + "\n".join(found)


def test_the_table_of_settings_needs_the_standard_library_only() -> None:
    for name in ("config/settings", "hosts/webui/dependencies"):
        path = PACKAGE / f"{name}.py"
        assert set(outer_imports(path)) <= sys.stdlib_module_names, named(path)
    assert not list(inner_imports(PACKAGE / "hosts/webui/dependencies.py")), "install.py loads it by its path, alone"


@pytest.mark.parametrize("module", [name for name in LIGHT if (PACKAGE / (name.replace(".", "/") + ".py")).exists()])
def test_light_modules_bring_nothing_heavy(module: str) -> None:
    code = f"import sys, trainer.{module}; print(*sorted({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stdout.split(), f"importing trainer.{module} imports {done.stdout.strip()}"


# ---- no hidden state, nothing swallowed -----------------------------------------------------------------------------

MUTABLE_CALLS = {"list", "dict", "set", "defaultdict", "deque", "OrderedDict", "Counter", "WeakKeyDictionary"}
MUTATORS = {"append", "extend", "insert", "remove", "pop", "popitem", "clear", "update", "setdefault", "add", "discard"}
CACHES = {"cache", "lru_cache"}


def name_of(node: ast.AST | None) -> str:
    """The last name of ``a.b.c``, ``c`` or ``c(…)``."""
    if isinstance(node, ast.Call):
        return name_of(node.func)
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def mutables(path: Path) -> Iterator[tuple[str, bool]]:
    """Names of lists, dicts and sets at module level, and whether they begin empty."""
    for node in ast.parse(path.read_text("utf-8")).body:
        if not isinstance(node, ast.Assign | ast.AnnAssign):
            continue
        value = node.value
        literal = isinstance(value, ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp)
        call = isinstance(value, ast.Call) and name_of(value) in MUTABLE_CALLS
        if literal or call:
            empty = not any(getattr(value, field, None) for field in ("elts", "keys", "elt", "key", "args", "keywords"))
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                yield name_of(target), empty


def mutated(path: Path) -> Iterator[str]:
    """Names that a file stores into, deletes from or calls a changing method of."""
    for node in nodes(path):
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
            yield name_of(node.value)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in MUTATORS:
            yield name_of(node.func.value)
        elif isinstance(node, ast.AugAssign):
            yield name_of(node.target)


def test_there_is_no_module_level_state() -> None:
    found = []
    tables = {name for path in PRODUCT for name, _ in mutables(path) if name.isupper()}
    for path in PRODUCT:
        here = dict(mutables(path))
        found += [f"{named(path)}: {name} begins empty" for name, empty in here.items() if empty]
        found += [f"{named(path)}: {name} is changed" for name in set(mutated(path)) if name in tables | set(here)]
        for node in nodes(path):
            if isinstance(node, ast.Global):
                found.append(f"{named(path)}:{node.lineno}: global {', '.join(node.names)}")
            elif isinstance(node, ast.FunctionDef) and CACHES & {name_of(item) for item in node.decorator_list}:
                found.append(f"{named(path)}:{node.lineno}: {node.name} keeps a cache")
    found = [line for line in found if not any(line.startswith(f"{file}: {name} ") for file, name in STATE)]
    assert not found, "a run is a function of its job, nothing else:\n" + "\n".join(found)


def test_no_error_is_swallowed() -> None:
    found = []
    for path in PRODUCT:
        for node in nodes(path):
            if isinstance(node, ast.ExceptHandler):
                silent = all(isinstance(line, ast.Pass | ast.Continue) for line in node.body)
                if node.type is None or (silent and name_of(node.type) in ("Exception", "BaseException")):
                    found.append(f"{named(path)}:{node.lineno}")
            elif isinstance(node, ast.Call) and name_of(node) == "suppress":
                too_wide = {name_of(argument) for argument in node.args} & {"Exception", "BaseException"}
                found += [f"{named(path)}:{node.lineno}"] if too_wide else []
    assert not found, "name what may go wrong, or say it: " + ", ".join(found)


# ---- the checkers ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [("ruff", "check", "."), ("ruff", "format", "--check", "."), ("mypy", *TYPED), ("mypy", "install.py")],
    ids=" ".join,
)
def test_checker(arguments: tuple[str, ...]) -> None:
    tool = arguments[0]
    assert importlib.util.find_spec(tool), f"{tool} is not installed: run the tests with `python install.py test`"
    done = subprocess.run([sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
