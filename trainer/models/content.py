"""What a module computes with, as a hash of its weights as they are in memory, and what it computes on.

What is kept of a run's computing is found again by it. A name or a file would not do: a host may have changed the
weights it lends.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import platform
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor, nn

_WORKERS = min(4, os.cpu_count() or 1)


def content_of(module: nn.Module) -> str:
    """A hash of a module's structure and of all its numbers, in their types; they may be on any device.

    The tensors are hashed at once in threads: those of SDXL's text encoders are gigabytes.
    """
    named = list(itertools.chain(module.named_parameters(), module.named_buffers()))
    whole = hashlib.sha256(repr(module).encode())
    with ThreadPoolExecutor(_WORKERS, thread_name_prefix="trainyard-content") as threads:
        for (name, tensor), digest in zip(named, threads.map(_digest, (tensor for _, tensor in named)), strict=True):
            whole.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode() + digest)
    return whole.hexdigest()


def computing_on(device: torch.device) -> tuple[object, ...]:
    """What the last digits of a result depend on beside the module and its input."""
    return (
        device.type,
        torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine(),
        torch.get_num_threads(),
        torch.__config__.show(),  # versions of the libraries behind it, and what of the CPU is used
        torch.backends.cuda.matmul.allow_tf32,
        torch.backends.cudnn.allow_tf32,
    )


def _digest(tensor: Tensor) -> bytes:
    flat = tensor.detach().to("cpu").contiguous().reshape(-1).view(torch.uint8)
    return hashlib.sha256(flat.numpy().data).digest()
