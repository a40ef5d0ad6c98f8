"""The network of a pass: new, continued from a LoRA file or loaded; and the files it is saved to."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from ..diffusion.seeds import mixed_seed
from ..job import Event, Saved
from ..modes.base import PassSpec
from ..networks import resume
from ..networks.base import Network, build
from ..networks.dropout import Dropout
from ..networks.files.find import find_lora
from ..networks.files.read import network_from_file
from ..networks.registry import builder, targets_of
from .context import RunContext
from .reporting import Reporter
from .saving import Saver

_NETWORK_STREAM = 1 << 32  # no step has this number


class PassNetwork:
    """Makes the network of one pass, and saves it.

    Attributes:
        settings: what the pass is run with: those of the LoRA file it continues from among them, and its own seed.
        usage: how its LoRA is used.
    """

    def __init__(self, run: RunContext, spec: PassSpec, reporter: Reporter) -> None:
        self._run = run
        self._spec = spec
        self._reporter = reporter
        settings = spec.settings or run.settings
        self._stored = resume.stored(settings, run.host.folders.loras)
        if self._stored is not None:
            settings = resume.as_stored(settings, self._stored)
        seed = mixed_seed(settings.train_seed, spec.stream) % 2**32 if spec.stream else settings.train_seed
        self.settings = replace(settings, train_seed=seed)
        origin = replace(run.origin, settings=settings, usage=spec.usage or run.origin.usage)
        self.usage = origin.usage
        self._saver = Saver(
            run.job, run.settings, run.host.folders, origin, run.hashing, run.precision.saved, self._emit, spec.suffix,
            run.keeper.is_resumed,
        )  # fmt: skip

    def load(self) -> Network:
        """The network of a file in place of one that is trained.

        Raises:
            NetworkError: there is no such file, or it does not fit the model.
        """
        path = find_lora(self._spec.loaded, self._run.host.folders.loras)
        return network_from_file(path, self._run.bundle, self._reporter.warn)

    def make(self) -> Network:
        """The network to train.

        Raises:
            NetworkError: the file to continue from does not fit, or there is nothing to train.
        """
        run, settings, dtype = self._run, self.settings, self._run.precision.network
        targets = targets_of(run.bundle, settings, trains_text=run.origin.trains_text_encoder)
        generator = torch.Generator().manual_seed(mixed_seed(settings.train_seed, _NETWORK_STREAM))
        new = builder(settings, dtype, run.host.device)
        if self._stored is None:
            return self._told(build(targets, new, generator))
        of_seed = partial(new, generator=generator)
        network, notes = resume.resumed_network(self._stored, run.bundle, targets, of_seed, settings, dtype)
        self._stored = None  # the file's tensors, which the network has taken over
        for note in notes:
            self._reporter.warn(note)
        return self._told(network)

    def _told(self, network: Network) -> Network:
        """The network, with its dropout; of a higher rank than layers can have, nothing more is learned, which is
        reported."""
        settings = self.settings
        sizes = [min(each.weight.shape[0], each.weight.flatten(1).shape[1]) for each in network]
        if settings.network_dropout or settings.network_rank_dropout or settings.network_module_dropout:
            shares = settings.network_dropout, settings.network_rank_dropout, settings.network_module_dropout
            network.drop_out(Dropout(*shares))
        small = [size for size in sizes if size < self.settings.network_rank]
        if small:
            self._reporter.warn(
                "engine.rank_above_layers",
                rank=self.settings.network_rank,
                count=len(small),
                total=len(sizes),
                least=min(small),
            )
        return network

    def save_while_training(self, network: Network, step: int, epoch: int) -> None:
        if self._spec.saved:
            self._saver.while_training(network, step, epoch)

    def save_beside_image(self, network: Network, step: int, epoch: int, path: Path) -> None:
        """See :meth:`Saver.beside_image`."""
        self._saver.beside_image(network, step, epoch, path)

    def save_finished(self, network: Network, steps: int, *, is_early: bool = False) -> Path:
        """See :meth:`Saver.finished`."""
        return self._saver.finished(network, steps, is_early=is_early)

    def discard(self) -> None:
        """Of a pass that is not saved: see :meth:`Saver.discard`."""
        self._saver.discard()

    def _emit(self, event: Event) -> None:
        if isinstance(event, Saved):
            self._run.host.saved(event.path)
        self._run.emit(event)
