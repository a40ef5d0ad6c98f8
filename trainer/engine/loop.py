"""THE LOOP: one for all modes. It knows no mode, no host and no user interface.

The device never waits for the CPU within a step: losses stay on the device and are read back together, at most
twice ``READ_EVERY`` steps late (on the CPU at once), and the garbage collector is held off while the loop runs.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor

from ..config.settings import Settings
from ..diffusion.random import StepRandom
from ..errors import DivergedError
from ..job import Control, Listener, Warned
from ..modes.base import Pass, StepLoss
from ..networks.base import Network
from ..optim.average import WeightAverage
from ..optim.early_stop import EarlyStop
from ..optim.gradients import take_gradients
from ..optim.groups import RateGroup, ShownRates, rate_groups
from ..optim.optimizers import effective_rates, make_optimizer
from ..optim.scaling import LossScaler
from ..optim.schedules import READ_EVERY, make_schedule
from .loss_reader import LossReader, Means
from .plan import Plan
from .processes import Processes
from .trained import Trained, tensors_of, trained_of


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
    processes: Processes | None = None,
) -> int:
    """Take ``train_iterations`` steps, or fewer if the user stops, or the loss no longer falls.

    Args:
        plan: what happens at which step; None: as the settings say, without epochs.
        groups: of the parameters, by their learning rates; None: as the settings say, without those of blocks.
        early_stop: when to end before the last step; None: never.
        start: what was put into ``keeping``; the loop continues there as if it had not ended.
        processes: that take the steps together, of which this is one.

    Returns:
        The number of steps taken.

    Raises:
        DivergedError: a loss was not finite; nothing has been saved since.
    """
    plan, groups = plan or Plan(settings), groups or rate_groups(network, settings)
    loop = _Loop(
        training, network, settings, device, control, hooks, plan, groups, early_stop, keeping, emit,
        processes, scale_loss=scale_loss,
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
        processes: Processes | None,
        *,
        scale_loss: bool,
    ) -> None:
        optimizer = make_optimizer(settings, [group.for_optimizer() for group in groups])
        schedule = make_schedule(optimizer, settings)
        scaler = LossScaler(list(network.parameters())) if scale_loss else None
        means = Means(emit)
        decay = settings.train_ema_decay
        average = WeightAverage(trained_of(network), decay) if decay else None
        self.trained = Trained(network, optimizer, schedule, scaler, means, average, early_stop)
        self._training = training
        self._settings = settings
        self._device = device
        self._control = control
        self._hooks = hooks
        self._plan = plan
        self._shown_rates = ShownRates(optimizer, groups)
        self._keeping = keeping
        self._reader = LossReader(settings.train_iterations, device, means)
        self._processes = processes
        self._asked = (False, False)
        """Whether to stop and to pause, as all processes were told after the last step."""

    def run(self) -> None:
        trained, keeping = self.trained, self._keeping
        if self._processes is not None:
            self._processes.same_numbers(list(tensors_of(trained.network).values()))
            self._asked = self._processes.asked(self._control)
        if self._settings.sample_at_start and trained.step == 0 and self._goes_on():
            self._hooks.preview(0)
        while self._goes_on():
            with _collector_held():
                while self._goes_on() and not self._is_to_pause:
                    self._take_step(trained.step + 1)
                    if keeping is not None and keeping.is_due:
                        self._reader.read_all()
                        keeping.keep(trained.position())
                self._reader.read_all()
            if self._goes_on() and self._is_to_pause:
                if keeping is not None:
                    keeping.keep(trained.position())
                self._hooks.pause(trained.step, trained.on_device())
                if self._processes is not None:
                    self._asked = self._processes.asked(self._control)

    def _goes_on(self) -> bool:
        stops = self._control.asked_to_stop if self._processes is None else self._asked[0]
        return self.trained.step < self._plan.steps and not stops and not self.trained.is_over

    @property
    def _is_to_pause(self) -> bool:
        return self._control.asked_to_pause if self._processes is None else self._asked[1]

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
        if self._processes is not None:
            self._asked = self._processes.asked(self._control)

    def _learn(self, batches: Sequence[int]) -> StepLoss:
        """The gradients of a step's batches, and their losses."""
        trained, seed, found = self.trained, self._settings.train_seed, list[StepLoss]()
        others = self._processes
        own = batches if others is None else others.share_of(batches)

        def losses() -> Iterator[Tensor]:
            for batch in own:
                rng = StepRandom.of_step(seed, batch, self._device)
                with trained.network.in_batch(rng):
                    loss = self._training.loss(rng)
                    yield loss.samples
                found.append(replace(loss, samples=loss.samples.detach()))

        take_gradients(
            trained.optimizer, losses(), scaler=trained.scaler, max_norm=self._settings.train_max_grad_norm,
            add_up=None if others is None else others.added_up,
        )  # fmt: skip
        if others is None:
            return StepLoss.joined(found)
        return others.losses_of_all(StepLoss.joined(found) if found else None)

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
