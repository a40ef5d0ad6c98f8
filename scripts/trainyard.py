"""What a WebUI runs when it starts, and again at each "Reload UI": puts Trainyard's tab, settings and routes into it.

The package beside us is loaded under a different name: `trainer` is also what TrainTrain calls its package.
"""

import importlib
import importlib.machinery
import importlib.util
import sys
import traceback
from pathlib import Path

NAME = "trainyard_trainer"
FOLDER = Path(__file__).resolve().parent.parent / "trainer"

if NAME not in sys.modules:  # it outlives "Reload UI", and so does a run in progress
    spec = importlib.machinery.ModuleSpec(NAME, None, is_package=True)
    spec.submodule_search_locations = [str(FOLDER)]
    sys.modules[NAME] = importlib.util.module_from_spec(spec)


def tabs():
    """A tab that only says why Trainyard could not be loaded."""
    import gradio

    with gradio.Blocks() as page:
        gradio.Markdown(f"Trainyard could not be loaded: {reason}. What went wrong in full is on the console.")
    return [(page, "Trainyard", "trainyard")]


try:
    if sys.version_info < (3, 10):  # noqa: UP036 - older hosts have an older one
        raise RuntimeError(f"it needs Python 3.10 or newer, this WebUI runs on {sys.version.split()[0]}")
    importlib.import_module(f"{NAME}.web.extension").register()
except Exception as error:  # noqa: BLE001 - whatever it is, the tab has to say it
    reason = f"{type(error).__name__}: {error}"
    traceback.print_exc()
    importlib.import_module("modules.script_callbacks").on_ui_tabs(tabs)
