"""Loss scaling for fp16, kept on the device: nothing is read back to find an overflow."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


class LossScaler:
    """Multiplies the loss so that small gradients survive fp16, and undoes it before the optimizer steps.

    Unlike torch's own scaler the CPU never waits to learn whether a gradient overflowed: such a step's gradients are
    set to zero on the device and the scale is halved; after ``patience`` clean steps it is doubled. With zero
    gradients an optimizer still applies its momentum and weight decay, which a rare overflow can afford.
    """

    def __init__(self, parameters: list[nn.Parameter], *, start: float = 2.0**14, patience: int = 500) -> None:
        device = parameters[0].device
        self._parameters = parameters
        self._patience = patience
        self.scale = torch.tensor(start, device=device)
        self.overflows = torch.zeros((), device=device, dtype=torch.int64)
        self._clean = torch.zeros((), device=device, dtype=torch.int64)

    def kept(self) -> dict[str, Tensor]:
        """What it needs to continue; see :meth:`continue_from`."""
        return {"scale": self.scale, "overflows": self.overflows, "clean": self._clean}

    def continue_from(self, kept: Mapping[str, Tensor]) -> None:
        self.scale, self.overflows, self._clean = kept["scale"], kept["overflows"], kept["clean"]

    def scaled(self, loss: Tensor) -> Tensor:
        return loss * self.scale

    @torch.no_grad()
    def unscale(self) -> None:
        """Divide the gradients by the scale, or set all of them to zero if one is not finite."""
        gradients = [parameter.grad for parameter in self._parameters if parameter.grad is not None]
        finite = torch.stack([gradient.isfinite().all() for gradient in gradients]).all()
        factor = 1.0 / self.scale
        for gradient in gradients:
            gradient.copy_(torch.where(finite, gradient * factor, torch.zeros_like(gradient)))
        self._clean = torch.where(finite, self._clean + 1, 0)
        grown = torch.where(self._clean >= self._patience, self.scale * 2, self.scale)
        self._clean = torch.where(self._clean >= self._patience, 0, self._clean)
        self.scale = torch.where(finite, grown, self.scale * 0.5).clamp(1.0, 2.0**24)
        self.overflows += (~finite).long()
