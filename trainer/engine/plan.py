"""What a pass does at which step: the batches it takes, and after which steps it saves, draws and validates."""

from __future__ import annotations

from dataclasses import dataclass

from ..config.settings import Settings


@dataclass(frozen=True)
class Multiples:
    """The steps that are a multiple of any of some numbers.

    Attributes:
        numbers: 0 has no multiples.
        last: no step after this one is among them.
    """

    numbers: tuple[int, ...]
    last: int

    def __contains__(self, step: int) -> bool:
        return step <= self.last and any(number > 0 and step % number == 0 for number in self.numbers)

    def __len__(self) -> int:
        numbers = [number for number in self.numbers if number > 0]
        if len(numbers) < 2:
            return self.last // numbers[0] if numbers else 0
        return len({step for number in numbers for step in range(number, self.last + 1, number)})


class Plan:
    """The steps of one pass.

    Attributes:
        steps: how many there are.
        steps_per_epoch: how many show every sample once; 0 for modes without epochs.
        saves, previews: the steps after which the pass saves and makes previews; after the last one the run does more.
        validations: those after which it measures the loss of the validation images.
    """

    def __init__(self, settings: Settings, batches_per_epoch: int = 0) -> None:
        """Args:
        batches_per_epoch: 0 for modes without epochs.
        """
        self.steps = settings.train_iterations
        self._batches = settings.train_gradient_accumulation
        self._batches_per_epoch = batches_per_epoch
        self.steps_per_epoch = -(-batches_per_epoch // self._batches)
        before_last = self.steps - 1
        saves, previews = settings.save_every_epochs, settings.sample_every_epochs
        self.saves = Multiples((settings.save_per_steps, saves * self.steps_per_epoch), before_last)
        self.previews = Multiples((settings.sample_every_steps, previews * self.steps_per_epoch), before_last)
        validates = settings.validation_split > 0
        every = settings.validation_every_steps or self.steps_per_epoch
        self.validations = Multiples((every if validates else 0,), self.steps)

    def batches_of(self, step: int) -> range:
        """The numbers of the batches of a step; both count from 1.

        ``train_gradient_accumulation`` of them, fewer in the last step of an epoch, so that an epoch is whole steps.
        """
        if not self._batches_per_epoch:
            return range((step - 1) * self._batches + 1, step * self._batches + 1)
        epoch, place = divmod(step - 1, self.steps_per_epoch)
        before, first = epoch * self._batches_per_epoch, place * self._batches
        return range(before + first + 1, before + min(first + self._batches, self._batches_per_epoch) + 1)

    def epoch_of(self, step: int) -> int:
        """The epoch that a step belongs to, counted from 1; 0 for modes without epochs."""
        return -(-step // self.steps_per_epoch) if self.steps_per_epoch else 0
