"""Multi-ADDifT: ADDifT over many pairs, found by their file names in a folder and bucketed like LoRA's images."""

from __future__ import annotations

from ..config.settings import Settings
from .addift import ADDifT, PairPass
from .base import Pass


class MultiADDifT(ADDifT):
    """The mode for a folder of pairs."""

    def passes(self, _settings: Settings) -> list[Pass]:
        return [PairPass()]
