"""A pause between two steps: the device's memory is given back, and the run waits until it may go on."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ..errors import Stopped
from ..job import Continued, Control, Listener, Paused, Warned
from ..models.base import Bundle
from .host import Host


def pause(host: Host, bundle: Bundle, tensors: Sequence[Tensor], step: int, control: Control, emit: Listener) -> None:
    """Wait until the user lets the run go on, or stops it.

    Where the memory cannot be had again the run waits on rather than being lost.

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
        emit(Continued(step))


def _stay() -> None:
    """What brings back a model that has not gone anywhere."""
