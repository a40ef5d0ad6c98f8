"""What a run writes of its network: files while training, the finished LoRA, and the card beside it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..claims import free_name
from ..config.filenames import named_by
from ..config.settings import Settings
from ..errors import DivergedError, OutputError
from ..job import Job, Listener, Saved, Warned
from ..models.checkpoint.hashes import Hashing
from ..networks.base import Network
from ..networks.files import file
from ..networks.files.card import write_card
from ..networks.files.metadata import Origin, metadata
from ..networks.files.settings import ENDED_EARLY, job_of
from ..paths import Folders
from ..text.messages import label, message


def output_path(job: Job, folders: Folders, suffix: str = "") -> Path:
    """Where the LoRA goes; ``suffix`` for one of several passes."""
    return folders.lora(job.name, suffix)


def path_while_training(job: Job, folders: Folders, step: int, epoch: int, suffix: str = "") -> Path:
    """Where one goes that is saved while training, after a step of an epoch."""
    pattern = job.settings.save_file_name
    if not pattern:
        return folders.lora(job.name, f"{suffix}_{step}steps")
    return folders.lora(named_by(pattern, name=job.name, step=step, epoch=epoch), suffix)


def check_output(target: Path, job: Job) -> None:
    """Raises:
    OutputError: the file is there already and is not the job's own, or its folder cannot be written to.
    """
    if target.exists() and not job.settings.save_overwrite and job_of(target) != job.id:
        raise OutputError(
            "engine.name_taken", where=label("save_lora_name"), name=target.name, setting=label("save_overwrite")
        )
    folder = next(parent for parent in target.parents if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise OutputError("engine.folder_not_writable", where=str(folder))


@dataclass(frozen=True)
class Saver:
    """Saves one network.

    Attributes:
        settings: the run's.
        hashing: the checkpoint's hashes, which may still be on their way.
        dtype: the precision of the file.
        suffix: appended to its files' names, for one of several passes.
        resumed: the run continues another one of its job, whose files it takes up.
    """

    job: Job
    settings: Settings
    folders: Folders
    origin: Origin
    hashing: Hashing
    dtype: torch.dtype
    emit: Listener
    suffix: str = ""
    resumed: bool = False

    def while_training(self, network: Network, step: int, epoch: int) -> None:
        """Save after a step; where that fails it is reported, for the run is worth more than this file."""
        tensors = self._tensors(network, step)
        with self._free(path_while_training(self.job, self.folders, step, epoch, self.suffix)) as path:
            try:
                written = self._save(path, tensors, self._described(path, step))
            except OutputError as error:
                self.emit(Warned(error.whole))
            else:
                self.emit(Saved(written, step))

    def beside_image(self, network: Network, step: int, epoch: int, path: Path) -> None:
        """Write the network as it is after a step, for the user to keep: see :mod:`.film`. Hashes of the checkpoint
        that are still being computed are not waited for.

        Raises:
            OutputError: it cannot be written.
            DivergedError: it has NaN in it.
        """
        named = path_while_training(self.job, self.folders, step, epoch, self.suffix)
        described = metadata(self.job, self.origin, self.hashing.so_far, named, step)
        file.save(path, self._tensors(network, step), described, overwrite=True)

    def finished(self, network: Network, step: int, *, is_early: bool = False) -> Path:
        """Save the LoRA and its card; one that cannot go where it should is put somewhere else rather than lost.

        Args:
            is_early: it is done, though it has not taken all of its steps.

        Raises:
            DivergedError: what was trained cannot be saved in the file's precision.
            OutputError: there is no place at all to save it.
        """
        tensors = self._tensors(network, step)
        with self._free(output_path(self.job, self.folders, suffix=self.suffix)) as path:
            described = self._described(path, step) | ({ENDED_EARLY: "True"} if is_early else {})
            if self.hashing.problem is not None:
                self.emit(Warned(self.hashing.problem))
            try:
                written = self._save(path, tensors, described)
            except OutputError as error:
                written = self._rescue(path.name, tensors, described, error)
        self.emit(Saved(written, step))
        try:
            write_card(written, self.origin)
        except OutputError as error:
            self.emit(Warned("engine.no_card", error=error.whole))
        return written

    def discard(self) -> None:
        """Delete what the broken run has saved of this network before it was done, which a whole run would not have."""
        with self._free(output_path(self.job, self.folders, suffix=self.suffix)) as path:
            if not (self.resumed and self._is_own(path)):
                return
            try:
                path.unlink()
                path.with_suffix(".json").unlink(missing_ok=True)
            except OSError as error:
                self.emit(Warned("engine.not_discarded", path=path, reason=error.strerror or error))

    def _tensors(self, network: Network, step: int) -> dict[str, Tensor]:
        named = network.tensors(factor=self.origin.settings.network_strength)
        tensors = {name: tensor.to("cpu", self.dtype) for name, tensor in named.items()}
        broken = [name for name, tensor in tensors.items() if not tensor.isfinite().all()]
        if broken:
            raise DivergedError(
                "engine.broken_tensors", where=message("engine.step", step=step), broken=len(broken), count=len(tensors)
            )
        return tensors

    def _free(self, path: Path) -> AbstractContextManager[Path]:
        """The name the file will have, which it tells itself. A job that is run again replaces its own files."""
        return nullcontext(path) if self.settings.save_overwrite else free_name(path, self._is_own)

    def _is_own(self, path: Path) -> bool:
        return job_of(path) == self.job.id

    def _described(self, path: Path, step: int) -> dict[str, str]:
        return metadata(self.job, self.origin, self.hashing.result(), path, step)

    def _save(self, path: Path, tensors: Mapping[str, Tensor], described: Mapping[str, str]) -> Path:
        return file.save(path, tensors, described, overwrite=self.settings.save_overwrite or self._is_own(path))

    def _rescue(
        self, name: str, tensors: Mapping[str, Tensor], described: Mapping[str, str], error: OutputError
    ) -> Path:
        for folder in (self.folders.data / "rescued", Path(tempfile.gettempdir()) / "trainyard-rescued"):
            try:
                written = file.save(folder / name, tensors, described)
            except OutputError:
                continue
            self.emit(Warned("engine.rescued", error=error.whole, path=written))
            return written
        raise error
