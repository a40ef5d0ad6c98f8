"""A pause between two steps: the device's memory is freed, and the run waits until it is resumed."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ..errors import Stopped
from ..job import Control, Listener, Paused, Resumed, Warned
from ..models.base import Bundle
from .host import Host


def pause(host: Host, bundle: Bundle, tensors: Sequence[Tensor], step: int, control: Control, emit: Listener) -> None:
    """Wait until the user resumes the run, or stops it.

    Where the memory is not available again, the run stays paused rather than being lost.

    Args:
        tensors: what leaves the device beside the model.
        step: the step that was finished last.
    """
    try:
        bring_back = host.make_room(bundle, tensors)
    except (RuntimeError, MemoryError) as error:
        emit(Warned("engine.pause_keeps_memory", reason=error))
        bring_back = _stay
    emit(Paused(step))
    while True:
        control.wait()
        if control.asked_to_stop and not control.asked_to_save:
            return
        try:
            bring_back()
            break
        except Stopped:
            return
        except RuntimeError as error:
            if control.asked_to_stop:  # saving does not need the device
                emit(Warned("engine.not_back_after_pause", device=host.device, reason=error))
                return
            control.pause()
            emit(Warned("engine.still_paused", device=host.device))
    if not control.asked_to_stop:
        emit(Resumed(step))


def _stay() -> None:
    """No-op: the model never left the device."""
