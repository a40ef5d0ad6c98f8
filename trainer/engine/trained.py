"""All that changes from step to step of a pass: what is saved of it, and what it would be continued from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..networks.base import Network
from ..optim import optimizers, schedules
from ..optim.average import WeightAverage
from ..optim.early_stop import EarlyStop
from ..optim.optimizers import averaged_weights, finalise
from ..optim.scaling import LossScaler
from ..optim.schedules import Plateau, Schedule
from .loss_reader import Means


@dataclass
class Trained:
    """All that changes from step to step.

    Attributes:
        step: the steps that are in the network.
        is_between_steps: whether the last one is complete, with all that comes after it.
    """

    network: Network
    optimizer: torch.optim.Optimizer
    schedule: Schedule
    scaler: LossScaler | None
    means: Means
    average: WeightAverage | None = None
    early_stop: EarlyStop | None = None
    step: int = 0
    is_between_steps: bool = True

    @contextmanager
    def next_step(self) -> Iterator[None]:
        """Within the block one step is in part the last one, in part the next."""
        self.is_between_steps = False
        yield
        self.is_between_steps = True

    def count(self, step: int) -> None:
        """The optimizer has taken a step."""
        self.step = step
        if self.average is not None:
            self.average.add(step)

    @contextmanager
    def as_saved(self) -> Iterator[None]:
        """The network as it would be saved, while the block lasts."""
        with averaged_weights(self.optimizer) if self.average is None else self.average.in_place():
            yield

    def finalise(self) -> None:
        """Leave the network as it is to be saved."""
        if self.average is None:
            finalise(self.optimizer)
        else:
            self.average.put()
        if self.is_over and self.early_stop is not None:
            self.early_stop.put_best(trained_of(self.network))

    @property
    def is_over(self) -> bool:
        """Whether it is time to end before the last step."""
        return self.early_stop is not None and self.early_stop.is_over

    @property
    def hears_means(self) -> bool:
        """Whether anything depends on the means of the losses."""
        stops_by_means = self.early_stop is not None and not self.early_stop.validates
        return isinstance(self.schedule, Plateau) or stops_by_means

    def hear_mean(self) -> None:
        mean = self.means.take()
        if isinstance(self.schedule, Plateau):
            self.schedule.hear(mean)
        if self.early_stop is not None and not self.early_stop.validates:
            self.early_stop.hear_mean(self.step, mean)

    def hear_validation(self, loss: float | None) -> None:
        if self.early_stop is not None and loss is not None:
            self.early_stop.hear_validation(self.step, loss, trained_of(self.network))

    def on_device(self) -> list[Tensor]:
        """The tensors that go from one step to the next: parameters and what is remembered of them."""
        self.network.zero_grad(set_to_none=True)  # gradients do not: the next step drops them anyway
        states = [state for state in self.optimizer.state.values() if isinstance(state, dict)]
        remembered = [value for state in states for value in state.values() if isinstance(value, Tensor)]
        means = [] if self.average is None else self.average.means
        best = [] if self.early_stop is None else self.early_stop.weights
        return [*self.network.parameters(), *self.network.buffers(), *remembered, *means, *best]

    def position(self) -> dict[str, Any]:
        """What :meth:`continue_from` takes; nothing is copied."""
        return {
            "step": self.step,
            "network": tensors_of(self.network),
            "optimizer": optimizers.kept(self.optimizer),
            "schedule": schedules.kept(self.schedule),
            "scaler": None if self.scaler is None else self.scaler.kept(),
            "losses": list(self.means.losses),
            "average": None if self.average is None else self.average.means,
            "early_stop": None if self.early_stop is None else self.early_stop.kept(),
        }

    def continue_from(self, start: Mapping[str, Any]) -> None:
        put_into(self.network, start["network"])
        optimizers.continue_from(self.optimizer, start["optimizer"])
        schedules.continue_from(self.schedule, start["schedule"])
        if self.scaler is not None:
            self.scaler.continue_from(start["scaler"])
        self.means.losses.extend(start["losses"])
        if self.average is not None:
            self.average.continue_from(start["average"])
        if self.early_stop is not None:
            self.early_stop.continue_from(start["early_stop"])
        self.step = start["step"]


def tensors_of(network: Network) -> dict[str, Tensor]:
    """Every parameter and buffer of a network by its name in the module, as it is."""
    return {**dict(network.named_parameters()), **dict(network.named_buffers())}


@torch.no_grad()
def put_into(network: Network, tensors: Mapping[str, Tensor]) -> None:
    """Give a network the numbers that :func:`tensors_of` found in one of the same make."""
    for name, tensor in tensors_of(network).items():
        tensor.copy_(tensors[name])


def trained_of(network: Network) -> list[Tensor]:
    """The parameters that are trained; those of adapters that are only carried along are not."""
    return [parameter for parameter in network.parameters() if parameter.requires_grad]
