"""THE LOOP: one for all modes. It knows no mode, no host and no user interface.

The device never waits for the CPU within a step: losses stay on the device and are read back together, at most
twice ``READ_EVERY`` steps late (on the CPU at once), and the garbage collector is held off while the loop runs.
"""

from __future__ import annotations

import gc
import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor

from ..config.settings import Settings
from ..diffusion.random import StepRandom
from ..errors import DivergedError
from ..job import Control, Listener, Step, Warned
from ..modes.base import Pass, StepLoss
from ..networks.base import Network
from ..optim import optimizers, schedules
from ..optim.average import WeightAverage
from ..optim.early_stop import EarlyStop
from ..optim.gradients import take_gradients
from ..optim.groups import RateGroup, ShownRates, rate_groups
from ..optim.optimizers import averaged_weights, effective_rates, finalise, make_optimizer
from ..optim.scaling import LossScaler
from ..optim.schedules import READ_EVERY, Plateau, Schedule, make_schedule
from ..text.messages import message
from .plan import Plan

_READ_SECONDS = 0.5


@dataclass(frozen=True)
class LoopHooks:
    """What the loop calls between steps.

    Attributes:
        save: writes the network as it is after a step's number.
        preview: makes images after a step's number.
        pause: waits after a step's number; receives the tensors the loop keeps on the device, which come back as
            they were.
        step_done: called after each step with its number, once its work is complete.
        validate: measures the loss of the validation images, with the network as it would be saved.
        failed: called where an error ends the loop, with the number of steps taken; the network is as it is to be
            saved.
    """

    save: Callable[[int], None]
    preview: Callable[[int], None]
    pause: Callable[[int, Sequence[Tensor]], None]
    step_done: Callable[[int], None]
    validate: Callable[[], float | None] = lambda: None
    failed: Callable[[int], None] = lambda _step: None


class Keeping(Protocol):
    """Where the loop puts what it would continue from: numbers, texts, tensors, and collections of these."""

    @property
    def is_due(self) -> bool:
        """Whether it is time for it."""

    def keep(self, position: Mapping[str, Any]) -> None:
        """Keep it for the case that the program ends here. Copied before this returns."""

    def hold(self, position: Mapping[str, Any]) -> None:
        """Remember it as the last; it is kept if the run does not end well. Copied before this returns."""


def train(
    training: Pass,
    network: Network,
    settings: Settings,
    *,
    device: torch.device,
    scale_loss: bool,
    control: Control,
    emit: Listener,
    hooks: LoopHooks,
    plan: Plan | None = None,
    groups: list[RateGroup] | None = None,
    early_stop: EarlyStop | None = None,
    keeping: Keeping | None = None,
    start: Mapping[str, Any] | None = None,
) -> int:
    """Take ``train_iterations`` steps, or fewer if the user stops, or the loss no longer falls.

    Args:
        plan: what happens at which step; None: as the settings say, without epochs.
        groups: of the parameters, by their learning rates; None: as the settings say, without those of blocks.
        early_stop: when to end before the last step; None: never.
        start: what was put into ``keeping``; the loop continues there as if it had not ended.

    Returns:
        The number of steps taken.

    Raises:
        DivergedError: a loss was not finite; nothing has been saved since.
    """
    plan, groups = plan or Plan(settings), groups or rate_groups(network, settings)
    loop = _Loop(
        training, network, settings, device, control, hooks, plan, groups, early_stop, keeping, emit,
        scale_loss=scale_loss,
    )  # fmt: skip
    if start is not None:
        loop.trained.continue_from(start)
    try:
        loop.run()
    except DivergedError:
        raise
    except Exception as error:
        try:
            loop.end_after_error()
        except DivergedError:
            raise
        except Exception as another:  # noqa: BLE001 - whatever it was, the first error is the one to report
            emit(Warned("engine.nothing_kept", reason=f"{type(another).__name__}: {another}"))
        raise error
    loop.end()
    return loop.trained.step


class _Loop:
    """The steps of one pass; see :func:`train`."""

    def __init__(
        self,
        training: Pass,
        network: Network,
        settings: Settings,
        device: torch.device,
        control: Control,
        hooks: LoopHooks,
        plan: Plan,
        groups: list[RateGroup],
        early_stop: EarlyStop | None,
        keeping: Keeping | None,
        emit: Listener,
        *,
        scale_loss: bool,
    ) -> None:
        optimizer = make_optimizer(settings, [group.for_optimizer() for group in groups])
        schedule = make_schedule(optimizer, settings)
        scaler = LossScaler(list(network.parameters())) if scale_loss else None
        means = _Means(emit)
        decay = settings.train_ema_decay
        average = WeightAverage(trained_of(network), decay) if decay else None
        self.trained = _Trained(network, optimizer, schedule, scaler, means, average, early_stop)
        self._training = training
        self._settings = settings
        self._device = device
        self._control = control
        self._hooks = hooks
        self._plan = plan
        self._shown_rates = ShownRates(optimizer, groups)
        self._keeping = keeping
        self._reader = LossReader(settings.train_iterations, device, means)

    def run(self) -> None:
        trained, control, keeping = self.trained, self._control, self._keeping
        if self._settings.sample_at_start and trained.step == 0 and self._goes_on():
            self._hooks.preview(0)
        while self._goes_on():
            with _collector_held():
                while self._goes_on() and not control.asked_to_pause:
                    self._take_step(trained.step + 1)
                    if keeping is not None and keeping.is_due:
                        self._reader.read_all()
                        keeping.keep(trained.position())
                self._reader.read_all()
            if self._goes_on() and control.asked_to_pause:
                if keeping is not None:
                    keeping.keep(trained.position())
                self._hooks.pause(trained.step, trained.on_device())

    def _goes_on(self) -> bool:
        return self.trained.step < self._plan.steps and not self._control.asked_to_stop and not self.trained.is_over

    def _take_step(self, number: int) -> None:
        trained, hooks, plan = self.trained, self._hooks, self._plan
        losses = self._learn(plan.batches_of(number))
        rates = self._shown_rates.of(effective_rates(trained.optimizer))
        with trained.next_step():
            trained.optimizer.step()
            trained.schedule.step()
            trained.count(number)
            self._reader.note(number, losses, rates, self._validated(number))
            if trained.hears_means and number % READ_EVERY == 0:
                self._reader.read_all()  # all, so that it sees the same losses on every machine
                trained.hear_mean()
            if number in plan.saves:
                self._reader.read_all()
                with trained.as_saved():
                    hooks.save(number)
            if number in plan.previews:
                with trained.as_saved():
                    hooks.preview(number)
        hooks.step_done(number)

    def _learn(self, batches: Iterable[int]) -> StepLoss:
        """The gradients of a step's batches, and their losses."""
        trained, seed, found = self.trained, self._settings.train_seed, list[StepLoss]()

        def losses() -> Iterator[Tensor]:
            for batch in batches:
                rng = StepRandom.of_step(seed, batch, self._device)
                with trained.network.in_batch(rng):
                    loss = self._training.loss(rng)
                    yield loss.samples
                found.append(replace(loss, samples=loss.samples.detach()))

        take_gradients(
            trained.optimizer, losses(), scaler=trained.scaler, max_norm=self._settings.train_max_grad_norm
        )  # fmt: skip
        return StepLoss.joined(found)

    def _validated(self, number: int) -> float | None:
        """The validation loss after a step, where the plan has one."""
        if number not in self._plan.validations:
            return None
        with self.trained.as_saved():
            loss = self._hooks.validate()
            self.trained.hear_validation(loss)
        return loss

    def end(self) -> None:
        """Leave the network as it is to be saved."""
        if self._keeping is not None and (self._control.asked_to_save or not self._control.asked_to_stop):
            self._keeping.hold(self.trained.position())
        self.trained.finalise()

    def end_after_error(self) -> None:
        """The same, and have it saved.

        Raises:
            DivergedError: a loss that had not been read yet is not finite: there is nothing to save.
        """
        self._reader.read_all()
        if self._keeping is not None and self.trained.is_between_steps:
            self._keeping.hold(self.trained.position())
        self.trained.finalise()
        self._hooks.failed(self.trained.step)


@dataclass
class _Trained:
    """All that changes from step to step.

    Attributes:
        step: the steps that are in the network.
        is_between_steps: whether the last one is complete, with all that comes after it.
    """

    network: Network
    optimizer: torch.optim.Optimizer
    schedule: Schedule
    scaler: LossScaler | None
    means: _Means
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


@dataclass(frozen=True)
class _Noted:
    """One step whose loss has not been read yet."""

    step: int
    losses: StepLoss
    rates: tuple[float, ...]
    validation: float | None


class _Means:
    """Passes steps on and keeps their losses until their mean is taken."""

    def __init__(self, emit: Listener) -> None:
        self._emit = emit
        self.losses: deque[float] = deque(maxlen=READ_EVERY)

    def __call__(self, step: Step) -> None:
        self.losses.append(step.loss)
        self._emit(step)

    def take(self) -> float:
        mean = sum(self.losses) / len(self.losses)
        self.losses.clear()
        return mean


class LossReader:
    """Carries losses from the device to the listeners, in order and late, and notices those that are NaN or infinite.

    On CUDA a batch of losses is copied while the device works on, and looked at when the next batch is sent: the CPU
    never waits for the step in flight.
    """

    def __init__(self, total: int, device: torch.device, emit: Callable[[Step], None]) -> None:
        self._total = total
        self._emit = emit
        self._device = device
        self._noted: list[_Noted] = []
        self._sent: tuple[list[_Noted], Tensor, torch.cuda.Event | None] = ([], torch.empty(0), None)
        self._last_sent = time.monotonic()

    def note(self, step: int, losses: StepLoss, rates: list[float], validation: float | None = None) -> None:
        noted = _Noted(step, replace(losses, samples=losses.samples.detach()), tuple(rates), validation)
        self._noted.append(noted)
        long_ago = time.monotonic() - self._last_sent > _READ_SECONDS
        if self._device.type == "cpu":
            self.read_all()
        elif len(self._noted) >= READ_EVERY or long_ago:
            self._receive()
            self._send()

    def read_all(self) -> None:
        """Report every step noted so far.

        Raises:
            DivergedError: one of its losses is not finite.
        """
        self._receive()
        self._send()
        self._receive()

    def _send(self) -> None:
        noted, self._noted = self._noted, []
        self._last_sent = time.monotonic()
        if not noted:
            return
        together = torch.cat([entry.losses.samples.float() for entry in noted])
        if self._device.type != "cuda":
            self._sent = (noted, together.cpu(), None)
            return
        arriving = torch.empty(together.shape, pin_memory=True)
        arriving.copy_(together, non_blocking=True)
        arrived = torch.cuda.Event()
        arrived.record()
        self._sent = (noted, arriving, arrived)

    def _receive(self) -> None:
        noted, together, arrived = self._sent
        self._sent = ([], torch.empty(0), None)
        if arrived is not None:
            arrived.synchronize()
        at = 0
        for entry in noted:
            count = len(entry.losses.samples)
            losses = together[at : at + count].tolist()
            at += count
            for index, loss in enumerate(losses):
                if not math.isfinite(loss):
                    raise self._diverged(entry, index)
            self._emit(Step(entry.step, self._total, sum(losses) / count, entry.rates, entry.validation))

    def _diverged(self, entry: _Noted, sample: int) -> DivergedError:
        losses = entry.losses
        named = {"name": losses.names[sample]} if losses.names else {}
        return DivergedError(
            "engine.named_loss_diverged" if named else "engine.loss_diverged",
            where=message("engine.step_of", step=entry.step, steps=self._total),
            sample=sample + 1,
            count=len(losses.samples),
            timestep=int(losses.timesteps[sample]),
            **named,
        )


@contextmanager
def _collector_held() -> Iterator[None]:
    # A collection walks every object diffusers and transformers have made: it can cost more than the step.
    was_on = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
