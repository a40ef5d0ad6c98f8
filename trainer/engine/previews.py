"""Images made while training: the sample prompts at every strength, by the host's own generation or by our sampler."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image, PngImagePlugin

from ..config.sample_prompts import SamplePrompt
from ..config.settings import FOUND, Settings
from ..errors import Stopped, UserError
from ..job import Preview
from ..models.placement import text_on
from ..models.sample import is_black, sample
from ..networks.base import Network
from ..networks.files import file
from ..paths import write_whole
from .context import RunContext
from .host import Host
from .image_request import ImageRequest
from .plan import saves_memory
from .reporting import Reporter

PROMPT_KEY = "prompt"
"""Under which an image's file says what it shows."""
_Draw = Callable[[ImageRequest], Iterable[Image.Image]]
"""Makes the images of a request, one for each of its strengths."""


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
        prediction=settings.prediction,
        clip_skip=settings.clip_skip,
        strengths=settings.sample_strengths,
    )


def _request_of_line(settings: Settings, line: SamplePrompt) -> ImageRequest:
    """The same, with what the line itself says."""
    request = replace(request_of(settings, line.prompt), size=line.size(settings.size))
    own = {name: getattr(line, name) for name in ("negative", "seed", "steps", "cfg")}
    return replace(request, **{name: value for name, value in own.items() if value is not None})


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

    def make(self, network: Network, step: int) -> list[Path]:
        """Previews after a step, as far as they could be made; what goes wrong is reported and never ends the run.

        The network's strength is left as it is: a pass sets its own before every forward pass it differentiates.
        """
        made: list[Path] = []
        try:
            with self._drawing(network) as draw:
                for number, line in enumerate(self.run.prompts, start=1):
                    try:
                        made += self._make_of(line, number, step, draw)
                    except UserError as error:  # the next prompt may be of another size
                        self.reporter.warn("engine.no_preview", step=step, reason=error.whole)
        except Stopped:  # the loop sees it, too, and ends as it was asked to
            return made
        except UserError as error:
            self.reporter.warn("engine.no_preview", step=step, reason=error.whole)
        except Exception as error:  # noqa: BLE001 - whatever the host does wrong, a run is worth more than an image
            reason = error if isinstance(error, RuntimeError | OSError) else f"{type(error).__name__}: {error}"
            self.reporter.warn("engine.no_preview", step=step, reason=reason)
        return made

    def _make_of(self, line: SamplePrompt, number: int, step: int, draw: _Draw) -> Iterator[Path]:
        """One prompt at every strength; ``number`` counts from 1."""
        is_one_of_several = len(self.run.prompts) > 1
        of_prompt = f"_p{number:02d}" if is_one_of_several else ""
        request = _request_of_line(self.settings, line)
        for strength, image in zip(request.strengths, draw(request), strict=True):
            path = self.run.files.samples / f"{step:06d}{of_prompt}_{strength:+g}{self.suffix}.png"
            _save(image, path, line.prompt)
            if is_black(image):
                self.reporter.warn("engine.black_preview", step=step)
            self.run.emit(Preview(step, path, number, line.prompt) if is_one_of_several else Preview(step, path))
            yield path

    def _drawing(self, network: Network) -> AbstractContextManager[_Draw]:
        by_host = host_makes_previews(self.run.host, self.settings)
        return self._by_host(network) if by_host else self._by_sampler(network)

    @contextmanager
    def _by_sampler(self, network: Network) -> Iterator[_Draw]:
        """With the network as it is attached."""
        run = self.run

        def draw(request: ImageRequest) -> Iterator[Image.Image]:
            for strength in request.strengths:
                network.strength = strength
                yield from sample(run.bundle, [request], check=run.control.check)

        with ExitStack() as stack:
            if not saves_memory(self.settings):
                stack.enter_context(text_on(run.bundle, run.host.device))
            stack.enter_context(earlier_networks_off(self.earlier))
            yield draw

    @contextmanager
    def _by_host(self, network: Network) -> Iterator[_Draw]:
        """The host wants a file."""
        run = self.run
        tensors = network.tensors(factor=self.settings.network_strength)
        with tempfile.TemporaryDirectory(prefix="trainyard-") as folder:
            path = Path(folder) / "sample.safetensors"
            file.save(path, {name: tensor.to("cpu", run.precision.saved) for name, tensor in tensors.items()}, {})
            yield lambda request: run.host.draw(replace(request, lora=path), lambda _done, _total: run.control.check())


def host_makes_previews(host: Host, settings: Settings) -> bool:
    """Whether it makes those of a run, which it can of the model as it is loaded there."""
    return host.makes_previews and not settings.base_loras and settings.prediction == FOUND


def _save(image: Image.Image, path: Path, prompt: str) -> None:
    """Whole or not at all; the file says what it shows."""
    content, texts = io.BytesIO(), PngImagePlugin.PngInfo()
    texts.add_itxt(PROMPT_KEY, prompt)
    image.save(content, "PNG", pnginfo=texts)
    write_whole(path, [content.getvalue()], overwrite=True)


@contextmanager
def earlier_networks_off(networks: Sequence[Network]) -> Iterator[None]:
    """As they are where a finished LoRA is used, while the block lasts."""
    with ExitStack() as stack:
        for network in networks:
            stack.enter_context(network.off())
        yield
