"""Optimizers: made from their descriptors, and what differs between them while training."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import torch
from torch import Tensor, nn

from ..config.choices import OPTIMIZERS, load
from ..config.key_values import parse_literals
from ..config.settings import Settings
from ..errors import UserError
from ..text.messages import Message, label, message
from .values import attributes_of

_OPTIMIZER, _SETTINGS = label("train_optimizer"), label("train_optimizer_settings")
_KEPT_SMALL = 4096
"""The states of a parameter with fewer numbers are kept in 32 bits by the 8-bit optimizers."""
_FUSES_ON_CPU = (2, 4)
"""Torch's version."""


def optimizer_class(name: str) -> type[torch.optim.Optimizer]:
    """The class behind ``name``.

    Raises:
        UserError: its package is not installed, or too old for it.
    """
    info = OPTIMIZERS[name]
    try:
        found = load(info.path)
    except (ImportError, AttributeError) as error:
        raise UserError(
            "optim.no_package", where=_OPTIMIZER, optimizer=name, package=info.package, reason=error
        ) from error
    assert isinstance(found, type)
    return found


def arguments(settings: Settings) -> dict[str, Any]:
    """What the chosen optimizer is called with beside its parameters and their learning rates.

    Raises:
        UserError: the settings' text names something the optimizer does not take.
    """
    chosen, given = settings.train_optimizer, parse_literals(settings.train_optimizer_settings)
    accepted = inspect.signature(optimizer_class(chosen).__init__).parameters
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in accepted.values())
    names = [name for name in accepted if name not in ("self", "params", "model", "lr", "kwargs")]
    unknown = [name for name in given if name not in names and (name == "lr" or not takes_any)]
    if unknown == ["lr"]:
        raise UserError("optim.rate_has_a_field", where=_SETTINGS, name=chosen)
    if unknown:
        raise UserError("optim.unknown_settings", where=_SETTINGS, name=chosen, unknown=unknown, known=names)
    return {**OPTIMIZERS[chosen].defaults, **given}


def make_optimizer(settings: Settings, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    """The chosen optimizer over parameter ``groups`` (``params`` and ``lr`` each), ready to train.

    Raises:
        UserError: a setting has a value the optimizer refuses, or the optimizer cannot step on this device.
    """
    made = construct(settings, groups)
    name = settings.train_optimizer
    if OPTIMIZERS[name].compiled:
        _try_out(name, optimizer_class(name), arguments(settings), groups[0]["params"][0])
    _switch(made, "train")
    return made


def construct(settings: Settings, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    """The chosen optimizer, of which it is not known yet whether it can step.

    Raises:
        UserError: a setting has a value it refuses.
    """
    name = settings.train_optimizer
    chosen: Any = optimizer_class(name)
    kwargs = arguments(settings)
    if kwargs.get("relative_step"):  # this AdaFactor finds its learning rate itself and takes none
        groups = [{"params": group["params"], "lr": None} for group in groups]
    elif OPTIMIZERS[name].fuses and not kwargs.keys() & _NOT_FUSED and _can_fuse(groups):
        kwargs["fused"] = True
    try:
        if OPTIMIZERS[name].takes_module:
            return _over_module(chosen, groups, kwargs)
        made: torch.optim.Optimizer = chosen(groups, lr=groups[0]["lr"], **kwargs)
    except (TypeError, ValueError, RuntimeError) as error:
        raise UserError("optim.refused", where=_SETTINGS, name=name, reason=error) from error
    return made


def _try_out(name: str, chosen: Any, kwargs: Mapping[str, Any], like: Tensor) -> None:
    """One step over a test parameter: a package built without this device imports well and fails in a step."""
    trial = nn.Parameter(torch.zeros(_KEPT_SMALL, dtype=like.dtype, device=like.device))
    trial.grad = torch.ones_like(trial)
    try:
        chosen([trial], lr=1e-4, **kwargs).step()
    except torch.cuda.OutOfMemoryError:
        raise
    except Exception as error:
        raise UserError(
            "optim.cannot_step",
            where=_OPTIMIZER,
            optimizer=name,
            device=like.device.type,
            package=OPTIMIZERS[name].package,
            reason=f"{type(error).__name__}: {error}",
        ) from error


_NOT_FUSED: Final = frozenset({"amsgrad", "capturable", "differentiable", "foreach", "fused", "maximize"})
"""Who says one of these gets torch's plain form, which takes them all, and refuses what it cannot do."""


def _can_fuse(groups: list[dict[str, Any]]) -> bool:
    """Whether torch steps all parameters in one pass where they are; on the CPU since 2.4."""
    devices = {parameter.device.type for group in groups for parameter in group["params"]}
    version = tuple(int(part) for part in torch.__version__.split(".")[:2])
    return devices == {"cuda"} or (devices == {"cpu"} and version >= _FUSES_ON_CPU)


def _over_module(chosen: Any, groups: list[dict[str, Any]], kwargs: dict[str, Any]) -> torch.optim.Optimizer:
    """An optimizer that makes its own groups, one a parameter: each gets the learning rate of the group it is from."""
    module = nn.ParameterList([parameter for group in groups for parameter in group["params"]])
    made: torch.optim.Optimizer = chosen(module, lr=groups[0]["lr"], **kwargs)
    rates = {id(parameter): group["lr"] for group in groups for parameter in group["params"]}
    for group in made.param_groups:
        group["lr"] = rates[id(group["params"][0])]
    return made


def is_available(name: str) -> bool:
    """Whether the package of the optimizer ``name`` is there, and new enough."""
    try:
        optimizer_class(name)
    except UserError:
        return False
    return True


def state_bytes(settings: Settings, parameters: Sequence[Tensor], device: torch.device) -> int:
    """The memory of what the optimizer remembers of parameters, found by one step with each of their shapes.

    Args:
        parameters: on any device, the meta device too; they are not touched.
        device: the run's, where the step is taken: some optimizers can step on a card alone.

    Raises:
        UserError: as :func:`make_optimizer`.
    """
    counts = Counter((tuple(each.shape), each.dtype) for each in parameters)
    trials = [nn.Parameter(torch.zeros(shape, dtype=dtype, device=device)) for shape, dtype in counts]
    if not trials:
        return 0
    optimizer = make_optimizer(settings, [{"params": trials, "lr": settings.train_learning_rate}])
    for each in trials:
        each.grad = torch.full_like(each, 1e-3)
    optimizer.step()
    total = 0
    for each, count in zip(trials, counts.values(), strict=True):
        state = optimizer.state.get(each, {})
        held = [value for value in state.values() if isinstance(value, Tensor)] if isinstance(state, dict) else []
        total += count * sum(value.numel() * value.element_size() for value in held)
    return total


@contextmanager
def averaged_weights(optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """The parameters as they are to be saved and looked at, while the block lasts.

    Schedule-free optimizers take gradients at one point and mean another, an average (Defazio et al. 2024,
    arXiv:2405.15682); with all others the two are the same.
    """
    _switch(optimizer, "eval")
    try:
        yield
    finally:
        _switch(optimizer, "train")


def finalise(optimizer: torch.optim.Optimizer) -> None:
    """Leave the parameters as they are to be saved; see :func:`averaged_weights`."""
    _switch(optimizer, "eval")


def _switch(optimizer: torch.optim.Optimizer, to: str) -> None:
    change = getattr(optimizer, to, None)
    if change is not None:
        change()


def effective_rates(optimizer: torch.optim.Optimizer) -> list[float]:
    """The learning rate of each group as it acts: some multiply it by the step size they have found (``d``)."""
    return [float(group["lr"] or 0.0) * float(group.get("d", 1.0)) for group in optimizer.param_groups]


_MADE_ANEW = ("state", "param_groups", "defaults")
"""Attributes of optimizers that are kept elsewhere, or made with them."""
_OF_THE_DEVICE = ("params", "fused", "foreach", "capturable")
"""What a group holds that belongs to the parameters and where they are: a run may continue on another device."""


def kept(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """What an optimizer needs to continue exactly; see :func:`continue_from`.

    More than its ``state_dict``, which some load in another precision, and which leaves out what they keep beside it.
    """
    numbers = {id(parameter): number for number, parameter in enumerate(_parameters(optimizer))}
    return {
        "groups": [{key: group[key] for key in group if key not in _OF_THE_DEVICE} for group in optimizer.param_groups],
        "states": {numbers.get(id(key), key): _plain(state) for key, state in optimizer.state.items()},
        "attributes": attributes_of(optimizer, without=_MADE_ANEW),
    }


def continue_from(optimizer: torch.optim.Optimizer, given: Mapping[str, Any]) -> None:
    """Put a new optimizer where another one was, which gave what it needed by :func:`kept`."""
    for group, values in zip(optimizer.param_groups, given["groups"], strict=True):
        group.update(values)
    parameters = _parameters(optimizer)
    for key, state in given["states"].items():
        if isinstance(key, int):
            parameter = parameters[key]
            optimizer.state[parameter] = {name: _shared(value, parameter, optimizer) for name, value in state.items()}
        else:
            optimizer.state[key] = state
    vars(optimizer).update(given["attributes"])


def _plain(state: Any) -> Any:
    return dict(state) if isinstance(state, dict) else state


def _shared(value: Any, parameter: Tensor, optimizer: Any) -> Any:
    """What a paged optimizer remembers, in memory of its own that the device and the CPU share."""
    if not getattr(value, "is_paged", False):
        return value
    return optimizer.get_state_buffer(parameter, dtype=value.dtype).copy_(value)


def _parameters(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def advice(settings: Settings) -> Iterator[Message]:
    """What to do where a learning rate does not suit the optimizer."""
    info = OPTIMIZERS[settings.train_optimizer]
    least, most = info.usual
    for name in ("train_learning_rate", "train_textencoder_learning_rate"):
        rate = getattr(settings, name)
        named = {"optimizer": info.name, "setting": label(name), "rate": f"{rate or 0:g}", "least": f"{least:g}"}
        if not rate:
            continue
        if rate < least:
            yield message("optim.rate_is_a_factor" if info.finds_its_rate else "optim.rate_is_low", **named)
        elif rate > most:
            yield message("optim.rate_is_high", **named, most=f"{most:g}")
