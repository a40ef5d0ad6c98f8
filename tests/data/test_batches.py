"""Batches of one bucket, an epoch that shows every sample once, an order that seed and step alone decide."""

from __future__ import annotations

from collections import Counter

import pytest

from trainer.data.batches import Batches

BUCKETS = ["wide"] * 5 + ["tall"] * 3 + ["wide"] * 2 + ["square"]


def epoch(batches: Batches, number: int = 0) -> list[list[int]]:
    first = number * batches.per_epoch
    return [batches.of_step(first + step) for step in range(1, batches.per_epoch + 1)]


@pytest.mark.parametrize("size", [1, 2, 3, 20])
def test_an_epoch_shows_every_sample_once_in_batches_of_one_bucket(size: int) -> None:
    batches = Batches(BUCKETS, size, seed=1)
    for number in range(3):
        shown = epoch(batches, number)
        assert Counter(sample for batch in shown for sample in batch) == Counter(range(len(BUCKETS)))
        for batch in shown:
            assert 1 <= len(batch) <= size
            assert len({BUCKETS[sample] for sample in batch}) == 1


def test_batches_are_as_full_as_they_can_be() -> None:
    assert sorted(len(batch) for batch in epoch(Batches(BUCKETS, 3, seed=1))) == [1, 1, 3, 3, 3]


def test_each_bucket_has_its_own_size_of_batches() -> None:
    batches = Batches(BUCKETS, {"wide": 4, "tall": 1, "square": 2}, seed=1)
    assert batches.per_epoch == 2 + 3 + 1
    assert sorted((BUCKETS[batch[0]], len(batch)) for batch in epoch(batches)) == [
        ("square", 1), ("tall", 1), ("tall", 1), ("tall", 1), ("wide", 3), ("wide", 4),
    ]  # fmt: skip


def test_the_order_depends_on_seed_and_step_alone() -> None:
    forwards = Batches(BUCKETS, 2, seed=5)
    wanted = [forwards.of_step(step) for step in range(1, 40)]
    assert [Batches(BUCKETS, 2, seed=5).of_step(step) for step in (39, 3, 20)] == [wanted[38], wanted[2], wanted[19]]
    other = Batches(BUCKETS, 2, seed=6)
    assert [other.of_step(step) for step in range(1, 40)] != wanted


def test_every_epoch_has_an_order_of_its_own() -> None:
    batches = Batches(["one"] * 50, 1, seed=0)
    orders = {tuple(batch[0] for batch in epoch(batches, number)) for number in range(10)}
    assert len(orders) == 10
    first = Counter(epoch(batches, number)[0][0] for number in range(200))
    assert max(first.values()) < 20  # no sample is always first
