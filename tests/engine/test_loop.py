"""The loop on a problem small enough to follow: it learns, stops, notices broken losses, and keeps no one waiting."""

from __future__ import annotations

import gc
from dataclasses import replace
from importlib.metadata import version

import pytest
import torch
from packaging.version import Version
from torch import nn

from trainer.config.choices import OPTIMIZERS
from trainer.config.settings import Settings
from trainer.diffusion.random import StepRandom
from trainer.engine import loop
from trainer.engine.loop import LoopHooks, train
from trainer.engine.plan import Plan
from trainer.errors import DivergedError
from trainer.job import Control, Event, Step
from trainer.models.lora_target import Target
from trainer.modes.base import PassContext, StepLoss
from trainer.networks.base import Network, Ranks, build, builder_of
from trainer.networks.lora import LoRA
from trainer.optim.optimizers import averaged_weights, finalise, make_optimizer
from trainer.optim.schedules import Plateau

CPU = torch.device("cpu")


class Regression:
    """A pass: a linear layer with a LoRA learns another linear layer."""

    def __init__(self, broken_at: int = 0, broken_sample: int = 0) -> None:
        generator = torch.Generator().manual_seed(0)
        self.layer = nn.Linear(6, 5, bias=False).requires_grad_(False)
        self.wanted = torch.randn(5, 6, generator=generator)
        self.layer.weight.copy_(torch.randn(5, 6, generator=generator))
        make = builder_of(LoRA, Ranks(4, 4.0), torch.float32, CPU)
        self.network: Network = build([Target("layer", self.layer, "denoiser")], make, generator)
        self._broken = (broken_at, broken_sample)
        self.steps = 0

    def prepare(self, context: PassContext) -> None: ...

    def loss(self, rng: StepRandom) -> StepLoss:
        self.steps += 1
        x = rng.noise((3, 6), torch.float32)
        losses = ((self.layer(x) - x @ self.wanted.T) ** 2).mean(dim=1)
        if rng.step == self._broken[0]:
            losses = torch.where(torch.arange(3) == self._broken[1], torch.nan, losses)
        return StepLoss(losses, torch.tensor([10, 20, 30]))


def settings(**changes: object) -> Settings:
    return replace(Settings(), train_iterations=60, train_learning_rate=0.05, train_seed=1, **changes)


def unused(*_arguments: object) -> None: ...


def hooks_of(save=unused, preview=unused, pause=unused) -> LoopHooks:
    return LoopHooks(save, preview, pause, lambda step: None)


def run(
    problem: Regression, given: Settings, *, control: Control | None = None, listen=None, hooks: LoopHooks | None = None
) -> tuple[int, list[Step]]:  # fmt: skip
    steps: list[Step] = []

    def emit(event: Event) -> None:
        assert isinstance(event, Step)
        steps.append(event)
        if listen:
            listen(event)

    with problem.network.attached():
        taken = train(
            problem, problem.network, given, device=CPU, scale_loss=False, control=control or Control(), emit=emit,
            hooks=hooks or hooks_of(),
        )  # fmt: skip
    return taken, steps


def rate_for(optimizer: str) -> float:
    if OPTIMIZERS[optimizer].finds_its_rate:
        return 1.0
    return 0.02 if "Lion" in optimizer or optimizer == "Tiger" else 0.05


RUNNABLE = [
    pytest.param(
        name,
        marks=pytest.mark.skipif(
            OPTIMIZERS[name].compiled and Version(version("bitsandbytes")) < Version("0.46"),
            reason="a bitsandbytes so old is for cards alone",
        ),
    )
    for name in OPTIMIZERS
]


@pytest.mark.parametrize("optimizer", RUNNABLE)
def test_every_optimizer_learns(optimizer: str) -> None:
    problem = Regression()
    given = replace(settings(train_optimizer=optimizer), train_iterations=200, train_learning_rate=rate_for(optimizer))
    if optimizer in ("DAdaptAdaGrad", "DAdaptAdan", "DAdaptSGD"):  # from their 1e-6 they need thousands of steps
        slowly = ";growth_rate=1.02" if optimizer == "DAdaptSGD" else ""
        given = replace(given, train_optimizer_settings=f"d0={0.1 if slowly else 0.05}{slowly}")
    taken, steps = run(problem, given)
    assert taken == 200
    first, last = (sum(step.loss for step in part) / 20 for part in (steps[:20], steps[-20:]))
    assert last < first * 0.6


@pytest.mark.parametrize("optimizer", RUNNABLE)
def test_first_steps_of_every_optimizer_are_finite_and_move(optimizer: str) -> None:
    problem = Regression()
    before = [parameter.detach().clone() for parameter in problem.network.parameters()]
    steps = 8 if optimizer == "RAdamScheduleFree" else 1  # which waits until its variance is known
    run(problem, replace(settings(train_optimizer=optimizer), train_iterations=steps))
    assert all(parameter.isfinite().all() for parameter in problem.network.parameters())
    assert any(not torch.equal(old, new) for old, new in zip(before, problem.network.parameters(), strict=True))


@pytest.mark.parametrize("optimizer", RUNNABLE)
def test_a_new_optimizer_has_not_touched_the_parameters(optimizer: str) -> None:
    parameter = nn.Parameter(torch.ones(4, 4))
    made = make_optimizer(settings(train_optimizer=optimizer), [{"params": [parameter], "lr": 1e-3}])
    assert not any(len(state) for state in made.state.values())
    assert parameter.grad is None
    assert torch.equal(parameter, torch.ones(4, 4))


def test_exactly_the_steps_asked_for_each_reported_once() -> None:
    taken, steps = run(Regression(), settings())
    assert taken == 60
    assert [step.number for step in steps] == list(range(1, 61))
    assert {step.total for step in steps} == {60}


def test_stops_within_one_step() -> None:
    control = Control()

    def listen(step: Step) -> None:
        if step.number == 7:
            control.stop()

    taken, steps = run(Regression(), settings(), control=control, listen=listen)
    assert taken == 7
    assert len(steps) == 7


@pytest.mark.parametrize("sample", [0, 2])
def test_a_loss_that_is_no_number_names_step_and_sample(sample: int) -> None:
    with pytest.raises(DivergedError) as caught:
        run(Regression(broken_at=5, broken_sample=sample), settings())
    sentence = str(caught.value)
    assert sentence.startswith(f"step 5 of 60: The loss of sample {sample + 1} of 3 at timestep {(10, 20, 30)[sample]}")
    assert "Lower the learning rate" in sentence


def test_saves_every_n_but_not_at_the_end() -> None:
    saved: list[int] = []
    run(Regression(), settings(save_per_steps=20), hooks=hooks_of(save=saved.append))
    assert saved == [20, 40]


@pytest.fixture
def late(monkeypatch: pytest.MonkeyPatch) -> None:
    """Losses come in bundles, as from a device that is not waited for."""
    reader = loop.LossReader
    monkeypatch.setattr(loop, "LossReader", lambda total, _device, emit: reader(total, torch.device("mps"), emit))


@pytest.mark.usefixtures("late")
def test_late_losses_arrive_whole_and_in_order() -> None:
    seen_at: list[int] = []
    problem = Regression()
    taken, steps = run(problem, settings(), listen=lambda step: seen_at.append(problem.steps))
    assert taken == 60
    assert [step.number for step in steps] == list(range(1, 61))
    assert seen_at[0] >= loop.READ_EVERY
    assert all(seen - step.number <= 2 * loop.READ_EVERY for seen, step in zip(seen_at, steps, strict=True))


@pytest.mark.parametrize("lateness", ["at once", "late"])
def test_nothing_broken_is_saved(lateness: str, request: pytest.FixtureRequest) -> None:
    if lateness == "late":
        request.getfixturevalue("late")
    saved: list[int] = []
    with pytest.raises(DivergedError, match="step 20 of 60"):
        run(Regression(broken_at=20), settings(save_per_steps=20), hooks=hooks_of(save=saved.append))
    assert saved == []


def test_samples_on_the_way_change_nothing() -> None:
    def disturb(_step: int) -> None:
        torch.randn(100)

    plain, disturbed = Regression(), Regression()
    run(plain, settings())
    run(disturbed, settings(sample_every_steps=3), hooks=hooks_of(preview=disturb))
    for one, two in zip(plain.network.parameters(), disturbed.network.parameters(), strict=True):
        assert torch.equal(one, two)


def test_schedule_free_saves_the_average_and_trains_elsewhere() -> None:
    """x = (1 - 1/t) x + z/t, z the plain SGD; the gradient is taken at y = (1 - b) z + b x (Defazio et al. 2024)."""
    beta, rate = 0.8, 0.1
    target, saved = torch.tensor([1.0, -2.0]), []
    parameter = nn.Parameter(torch.zeros(2))
    given = settings(train_optimizer="SGDScheduleFree", train_optimizer_settings=f"momentum={beta}")
    optimizer = make_optimizer(given, [{"params": [parameter], "lr": rate}])
    x = z = torch.zeros(2)
    for step in range(1, 6):
        y = (1 - beta) * z + beta * x
        assert torch.allclose(parameter.detach(), y, atol=1e-6)
        optimizer.zero_grad()
        (0.5 * (parameter - target) ** 2).sum().backward()
        optimizer.step()
        z = z - rate * (y - target)
        x = (1 - 1 / step) * x + z / step
        with averaged_weights(optimizer):
            saved.append(parameter.detach().clone())
        assert torch.allclose(saved[-1], x, atol=1e-6)
    finalise(optimizer)
    assert torch.allclose(parameter.detach(), x, atol=1e-6)


def test_what_a_schedule_free_run_saves_is_what_it_ends_with() -> None:
    seen: list[list[torch.Tensor]] = []
    problem = Regression()

    def keep(_step: int) -> None:
        seen.append([parameter.detach().clone() for parameter in problem.network.parameters()])

    given = settings(train_optimizer="AdamWScheduleFree", train_lr_scheduler="constant", save_per_steps=20)
    run(problem, given, hooks=hooks_of(save=keep))
    shorter = Regression()
    run(shorter, replace(given, train_iterations=40))
    for one, two in zip(seen[1], shorter.network.parameters(), strict=True):
        assert torch.allclose(one, two, atol=1e-6)


def test_a_plateau_hears_the_mean_loss_of_every_25_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[float] = []
    monkeypatch.setattr(Plateau, "hear", lambda _self, loss: heard.append(loss))
    _, steps = run(Regression(), settings(train_lr_scheduler="reduce_on_plateau"))
    losses = [step.loss for step in steps]
    assert heard == pytest.approx([sum(losses[:25]) / 25, sum(losses[25:50]) / 25])


def test_collector_rests_in_the_loop_and_only_there() -> None:
    seen: list[bool] = []
    run(Regression(), settings(), listen=lambda step: seen.append(gc.isenabled()))
    assert not any(seen)
    assert gc.isenabled()
    with pytest.raises(DivergedError):
        run(Regression(broken_at=2), settings())
    assert gc.isenabled()


def test_the_collector_is_free_during_a_pause() -> None:
    """It may last for hours, and the host goes on meanwhile."""
    control, seen, story = Control(), [], []

    def listen(step: Step) -> None:
        story.append(gc.isenabled())
        if step.number == 20:
            control.pause()

    def pause(step: int, tensors: list[torch.Tensor]) -> None:
        assert all(tensor.grad is None for tensor in tensors)
        seen.append((step, gc.isenabled(), len(tensors) > 4))
        control.resume()

    taken, _ = run(Regression(), settings(), control=control, listen=listen, hooks=hooks_of(pause=pause))
    assert taken == 60
    assert seen == [(20, True, True)]
    assert not any(story)
    assert gc.isenabled()


def test_a_pause_asked_for_at_the_last_step_is_none() -> None:
    control, seen = Control(), []
    listen = lambda step: control.pause() if step.number == 60 else None  # noqa: E731
    taken, _ = run(
        Regression(), settings(), control=control, listen=listen, hooks=hooks_of(pause=lambda *_: seen.append(1))
    )
    assert (taken, seen) == (60, [])


def test_a_step_of_several_batches_is_one_of_a_batch_as_large() -> None:
    """Three batches of three: the mean of nine losses, its gradient and one plain step, worked out in double."""
    problem = Regression()
    down, up = (each.detach().double().requires_grad_() for each in problem.network.parameters())
    x = torch.cat([StepRandom.of_step(1, batch, CPU).noise((3, 6), torch.float32) for batch in (4, 5, 6)]).double()
    weight = problem.layer.weight.double() + up @ down
    loss = ((x @ weight.T - x @ problem.wanted.double().T) ** 2).mean(dim=1).mean()
    wanted = up - 0.05 * torch.autograd.grad(loss, [up, down])[0]
    given = settings(
        train_gradient_accumulation=3, train_optimizer="SGDNesterov", train_lr_scheduler="constant",
        train_optimizer_settings="momentum=0; nesterov=False",
    )  # fmt: skip
    plan = Plan(given)
    plan.steps = 1
    plan.batches_of = lambda step: range(4, 7)  # type: ignore[method-assign]
    steps: list[Step] = []
    with problem.network.attached():
        train(
            problem, problem.network, given, device=CPU, scale_loss=False, control=Control(), emit=steps.append,
            hooks=hooks_of(), plan=plan,
        )  # fmt: skip
    _, found = problem.network.parameters()
    torch.testing.assert_close(found.double(), wanted, rtol=1e-5, atol=1e-7)
    assert [step.loss for step in steps] == [pytest.approx(loss.item(), rel=1e-5)]


def test_a_broken_loss_of_several_batches_is_counted_over_all_of_them() -> None:
    """Step 3 has the batches 5 and 6; the second sample of the sixth is the fifth of six."""
    with pytest.raises(DivergedError, match=r"step 3 of 60: The loss of sample 5 of 6 at timestep 20"):
        run(Regression(6, 1), settings(train_gradient_accumulation=2))
