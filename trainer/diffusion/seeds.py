"""Seeds that are made of a run's, without torch: what looks at images alone need not load it."""

from __future__ import annotations


def mixed_seed(seed: int, *numbers: int) -> int:
    """A well-mixed 63-bit seed from ``seed`` and ``numbers`` (SplitMix64's finaliser, once a number)."""
    mask = (1 << 64) - 1
    state = seed & mask
    for number in (0, *numbers):
        state = (state + 0x9E3779B97F4A7C15 * (number + 1)) & mask
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & mask
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & mask
        state ^= state >> 31
    return state >> 1
