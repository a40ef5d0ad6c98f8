"""The differences between Gradio 3.41, 4.40 and the current one, all in one place."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr

MAJOR = int(gr.__version__.split(".", maxsplit=1)[0])
"""Gradio's major version: 3 in AUTOMATIC1111 and reForge, 4 in Forge, the current one on our own page."""


def on(
    event: Callable[..., Any],
    function: Callable[..., Any],
    inputs: Sequence[Any] = (),
    outputs: Sequence[Any] = (),
    *,
    latest: bool = False,
) -> Any:
    """Call a function at an event: at once, without a queue, a progress overlay or an API endpoint.

    Args:
        latest: if the event happens again while the function runs, call it once more afterwards, with the values of
            then. Gradio 3 cannot do that.

    Returns:
        An object with an event ``then``, for when the function's values are on the page.
    """
    options = _quietly(event)
    if latest and _takes(event, "trigger_mode"):
        options["trigger_mode"] = "always_last"
    return event(function, list(inputs), list(outputs), **options)


def on_page(event: Callable[..., Any], script: str, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
    """Call a JavaScript function at an event, on the page itself, so with the values that are there now.

    Args:
        script: the function; gets the values of the inputs and, in Gradio before 5, then those of the outputs; returns
            those of the outputs.
    """
    event(None, list(inputs), list(outputs), **{"js" if _takes(event, "js") else "_js": script}, **_quietly(event))


def choices(names: Sequence[str]) -> list[Any]:
    """The choices of a list as the page holds them, for updates that bypass Gradio's server."""
    return list(names) if MAJOR < 4 else [[name, name] for name in names]


def _quietly(event: Callable[..., Any]) -> dict[str, Any]:
    private = {"api_visibility": "private"} if _takes(event, "api_visibility") else {"api_name": False}
    return {"queue": False, "show_progress": "hidden", **private}


def changes(component: Any) -> Callable[..., Any]:
    """The event of a component being changed by a user, not by the program."""
    event: Callable[..., Any] = component.input if hasattr(component, "input") else component.change
    return event


def offered(names: Sequence[str], chosen: str) -> list[str]:
    """The choices of a list that may stay empty. Gradio 4 selects the first if nothing is: so an empty one is first."""
    return list(names) if chosen or "" in names or not names else ["", *names]


def page(title: str) -> Any:
    """An empty page, to be filled in a ``with`` block."""
    return gr.Blocks(title=title, analytics_enabled=False, **({} if MAJOR > 4 else {"theme": _theme()}))


def _theme() -> Any:
    """Gradio's default theme with the machine's fonts: the page loads nothing from elsewhere. The main buttons are
    darker: white on the theme's orange has a contrast of 2.8, and 4.5 can be read by everyone."""
    theme = gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])
    fill = "button_primary_background_fill"
    return theme.set(
        **dict.fromkeys((fill, f"{fill}_dark"), "*primary_700"),
        **dict.fromkeys((f"{fill}_hover", f"{fill}_hover_dark"), "*primary_800"),
        **dict.fromkeys(("button_primary_text_color", "button_primary_text_color_dark"), "white"),
    )


def mount(app: Any, blocks: Any, head: str) -> Any:
    """The page as the root of a FastAPI application.

    Args:
        head: HTML for the page's head. A page within a host has none: the host itself loads our files.
    """
    if MAJOR > 5:
        return gr.mount_gradio_app(app, blocks, path="/", head=head, theme=_theme(), footer_links=[])
    blocks.head = head
    blocks.queue()
    return gr.mount_gradio_app(app, blocks, path="/")


def _takes(function: Callable[..., Any], name: str) -> bool:
    return name in inspect.signature(function).parameters
