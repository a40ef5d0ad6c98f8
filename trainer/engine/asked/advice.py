"""What to change where a LoRA does not do what was asked, with the settings' labels and present values."""

from __future__ import annotations

from ...config.choices import MODES, OPTIMIZERS
from ...config.settings import Settings
from ...text.messages import Message, label, message


def more_training(settings: Settings) -> Message:
    """More steps, or a higher rate where the optimizer does not find it; a LoRA that was trained at a quarter of its
    strength may also be saved at a higher one."""
    steps = {"iterations": label("train_iterations"), "steps": settings.train_iterations}
    if OPTIMIZERS[settings.train_optimizer].finds_its_rate:
        return message("engine.asked_train_longer", **steps)
    if "turns" in MODES[settings.mode].groups and not settings.diff_reach_target:
        strength = {"strength": label("network_strength"), "factor": f"{settings.network_strength:g}"}
        return message("engine.asked_train_or_strength", **steps, **rate_of(settings), **strength)
    return message("engine.asked_train_more", **steps, **rate_of(settings))


def rate_of(settings: Settings) -> dict[str, object]:
    """The learning rate by its label, and its value."""
    return {"rate": label("train_learning_rate"), "value": f"{settings.train_learning_rate:g}"}
