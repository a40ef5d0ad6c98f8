"""A host within which nothing is trained: what is asked of one before a job waits."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from trainer.models.about import About


def played_host() -> Any:
    """As a WebUI: it lends a model of its own, and takes every name of another one."""
    return SimpleNamespace(
        device=SimpleNamespace(type="cpu"),
        prepare=lambda: None,
        lends_model=True,
        check_model=lambda _settings: SimpleNamespace(about=About()),
        defaults=lambda _settings: {},
    )
