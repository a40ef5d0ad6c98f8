"""Images made while training: the sample prompt at every strength, by the host's own generation or by our sampler."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from ..config.settings import AUTOMATIC, Settings
from ..errors import Stopped, UserError
from ..job import Preview
from ..models.checkpoint.parts import TEXT_ENCODER
from ..models.placement import text_to
from ..models.sample import is_black, sample
from ..networks.base import Network
from ..networks.files import file
from .context import RunContext
from .image_request import ImageRequest
from .reporting import Reporter


def request_of(settings: Settings, prompt: str, steps: int = ImageRequest.steps) -> ImageRequest:
    """Images of a prompt as the settings want them."""
    return ImageRequest(
        prompt=prompt,
        negative=settings.sample_negative,
        seed=settings.sample_seed,
        steps=steps,
        size=settings.size,
        model=settings.model,
        vae=settings.vae,
        v_pred=settings.model_v_pred,
        strengths=settings.sample_strengths,
    )


@dataclass(frozen=True)
class Previews:
    """Makes the previews of one pass.

    Attributes:
        earlier: the networks of the passes before it, which are off in its previews.
        suffix: appended to the files' names.
    """

    run: RunContext
    settings: Settings
    reporter: Reporter
    earlier: Sequence[Network]
    suffix: str

    def make(self, network: Network, step: int) -> None:
        """Previews after a step; what goes wrong is reported and never ends the run.

        The network's strength is left as it is: a pass sets its own before every forward pass it differentiates.
        """
        folder = self.run.files.samples
        try:
            for strength, image in zip(self.settings.sample_strengths, self._images(network), strict=True):
                path = folder / f"{step:06d}_{strength:+g}{self.suffix}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                image.save(path)
                if is_black(image):
                    self.reporter.warn("engine.black_preview", step=step)
                self.run.emit(Preview(step, path))
        except Stopped:  # the loop sees it, too, and ends as it was asked to
            return
        except UserError as error:
            self.reporter.warn("engine.no_preview", step=step, reason=error.whole)
        except (RuntimeError, OSError) as error:
            self.reporter.warn("engine.no_preview", step=step, reason=error)

    def _images(self, network: Network) -> Iterable[Image.Image]:
        request = request_of(self.settings, self.settings.sample_prompt)
        as_it_is = not self.settings.base_loras and request.v_pred == AUTOMATIC
        can_host = self.run.host.makes_previews and as_it_is
        return self._by_host(network, request) if can_host else self._by_sampler(network, request)

    def _by_sampler(self, network: Network, request: ImageRequest) -> Iterator[Image.Image]:
        """With the network as it is attached."""
        run = self.run
        try:
            text_to(run.bundle, run.host.device)
            with earlier_networks_off(self.earlier):
                for strength in request.strengths:
                    network.strength = strength
                    yield from sample(run.bundle, [request], check=run.control.check)
        finally:
            if not network.parameters_of(TEXT_ENCODER):
                text_to(run.bundle, "cpu")

    def _by_host(self, network: Network, request: ImageRequest) -> list[Image.Image]:
        """The host wants a file."""
        run = self.run
        tensors = network.tensors(factor=self.settings.network_strength)
        with tempfile.TemporaryDirectory(prefix="trainyard-") as folder:
            path = Path(folder) / "sample.safetensors"
            file.save(path, {name: tensor.to("cpu", run.precision.saved) for name, tensor in tensors.items()}, {})
            return run.host.draw(replace(request, lora=path), lambda _done, _total: run.control.check())


@contextmanager
def earlier_networks_off(networks: Sequence[Network]) -> Iterator[None]:
    """As they are where a finished LoRA is used, while the block lasts."""
    with ExitStack() as stack:
        for network in networks:
            stack.enter_context(network.off())
        yield
