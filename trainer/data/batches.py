"""Which samples make up a step: batches of one bucket, an epoch that shows every sample once.

The order is a function of the seed and the step alone, so a run that is resumed continues with the same batches.
"""

from __future__ import annotations

import random
from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

from ..diffusion.seeds import mixed_seed

_Bucket = TypeVar("_Bucket", bound=Hashable)

_ORDER_STREAM = 2 << 32  # no step has this number


class Batches:
    """The order of samples, from the bucket each of them is in.

    Args:
        buckets: the bucket of each sample.
        size: samples a batch at most, in all buckets or in each; the last batch of a bucket may have fewer.
        seed: the run's.
    """

    def __init__(self, buckets: Sequence[_Bucket], size: int | Mapping[_Bucket, int], seed: int) -> None:
        members: dict[_Bucket, list[int]] = {}
        for number, bucket in enumerate(buckets):
            members.setdefault(bucket, []).append(number)
        sizes = dict.fromkeys(members, size) if isinstance(size, int) else size
        self._members = [(numbers, sizes[bucket]) for bucket, numbers in members.items()]
        self._seed = seed
        self.per_epoch = sum(-(-len(numbers) // size) for numbers, size in self._members)
        self._epoch: tuple[int, list[list[int]]] = (-1, [])

    def of_step(self, step: int) -> list[int]:
        """The samples of a step, counted from 1."""
        epoch, position = divmod(step - 1, self.per_epoch)
        if self._epoch[0] != epoch:
            self._epoch = (epoch, self._order(epoch))
        return self._epoch[1][position]

    def _order(self, epoch: int) -> list[list[int]]:
        shuffle = random.Random(mixed_seed(self._seed, _ORDER_STREAM, epoch)).shuffle
        batches = []
        for members, size in self._members:
            numbers = list(members)
            shuffle(numbers)
            batches += [numbers[at : at + size] for at in range(0, len(numbers), size)]
        shuffle(batches)
        return batches
