"""When a run ends early: at which step, of what it hears, and with which weights."""

from __future__ import annotations

import math

import pytest
import torch

from trainer.optim.early_stop import WINDOW, EarlyStop


def heard(losses: list[float], patience: int = 20) -> tuple[EarlyStop, int]:
    """After a validation every ten steps, and the step it ended after; 0 if it did not."""
    early = EarlyStop(patience, validates=True)
    for number, loss in enumerate(losses, 1):
        early.hear_validation(10 * number, loss, [torch.tensor([float(number)])])
        if early.is_over:
            return early, 10 * number
    return early, 0


def test_it_ends_when_no_loss_was_lower_for_as_long_as_it_waits() -> None:
    early, step = heard([5.0, 3.0, 4.0, 2.5, 2.6, 2.7, 2.0])
    assert (step, early.best, early.best_step) == (60, 2.5, 40)
    assert heard([5.0, 4.0, 3.0, 2.0])[1] == 0


def test_the_weights_of_the_lowest_loss_are_put_back() -> None:
    early, _ = heard([5.0, 2.0, 3.0, 4.0])
    parameter = torch.zeros(1)
    early.put_best([parameter])
    assert parameter.item() == 2.0


def test_what_is_no_number_is_no_low() -> None:
    early, step = heard([math.nan, 3.0, math.nan, math.nan])
    assert (step, early.best, early.best_step) == (40, 3.0, 20)


def test_training_losses_are_averaged_over_a_window() -> None:
    """One low mean among high ones is chance: only the mean of the window counts, and no weights are kept."""
    early = EarlyStop(50, validates=False)
    means = [8.0] * WINDOW + [0.8] + [8.0] * WINDOW
    ended = 0
    for number, mean in enumerate(means, 1):
        early.hear_mean(25 * number, mean)
        ended = ended or (25 * number if early.is_over else 0)
    lowest = (7 * 8.0 + 0.8) / 8
    assert early.best == pytest.approx(lowest)
    assert (early.best_step, ended) == (25 * 9, 25 * 11)
    assert early.weights == []


def test_another_one_continues() -> None:
    early, _ = heard([5.0, 2.0, 3.0])
    other = EarlyStop(20, validates=True)
    other.continue_from(early.kept())
    assert not other.is_over
    other.hear_validation(40, 2.5, [torch.tensor([9.0])])
    assert other.is_over
    assert (other.best, other.best_step, other.weights[0].item()) == (2.0, 20, 2.0)
    waiting = EarlyStop(25, validates=False)
    for number in range(1, WINDOW):
        waiting.hear_mean(25 * number, 1.0)
    taken_up = EarlyStop(25, validates=False)
    taken_up.continue_from(waiting.kept())
    taken_up.hear_mean(25 * WINDOW, 1.0)
    assert taken_up.best_step == 25 * WINDOW
