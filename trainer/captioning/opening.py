"""From what is asked for to what describes the images, wherever it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol

import torch

from ..errors import UserError
from ..paths import Folders
from ..text.messages import Message, message
from .base import Captioner, Check
from .chat_captioner import ChatCaptioner
from .find import TAGS, TEXT, find_model, find_models, own_folder
from .local_captioner import LocalCaptioner
from .placed import Placed
from .request import CPU, CaptionRequest
from .wd_tagger import WdTagger

_ADDRESSES = ("http://", "https://")
_TOKENS_OF_SERVER = 300


class Place(Protocol):
    """What is needed of a host; see :class:`trainer.engine.host.Host`."""

    @property
    def interrogators(self) -> Sequence[str]: ...

    def interrogator(self, name: str) -> Captioner: ...

    def spare_device(self, check: Check) -> AbstractContextManager[torch.device]: ...


@dataclass(frozen=True)
class Source:
    """Something that can describe images here.

    Attributes:
        name: what :attr:`CaptionRequest.captioner` chooses it by.
        label: what it is called on the page.
        makes: tags or a text.
        takes_prompt: whether it heeds a request's prompt and detail. A WebUI's interrogator heeds the WebUI's settings.
        problem: why it cannot be used; None if nothing is known.
    """

    name: str
    label: Message
    makes: str
    takes_prompt: bool
    problem: Message | None = None


def sources(folders: Folders, place: Place) -> list[Source]:
    """All that are found on this machine; a server is known by its address only."""
    hosts = [
        Source(name, message("captioning.of_webui", name=name), TEXT if name == "CLIP" else TAGS, takes_prompt=False)
        for name in place.interrogators
    ]
    key = {TAGS: "captioning.tagger", TEXT: "captioning.captioner"}
    found = [
        Source(each.name, message(key[each.makes], name=each.name), each.makes, each.makes == TEXT, each.problem)
        for each in find_models(folders)
    ]
    return [*found, *hosts]


def open_captioner(
    request: CaptionRequest,
    folders: Folders,
    place: Place,
    *,
    anywhere: bool = False,
    prepare: Callable[[], object] | None = None,
) -> Captioner:
    """What describes the images; a model is loaded with the first of them.

    Args:
        anywhere: whether a server may be outside this machine and its private network.
        prepare: imports the libraries of captioners, where several threads might do so at once.

    Raises:
        UserError: there is none of that name, or it cannot be used.
    """
    name = name_of_choice(request, folders, place)
    if name.lower().startswith(_ADDRESSES):
        most = request.most_tokens or _TOKENS_OF_SERVER
        return ChatCaptioner(
            name, model=request.server_model, prompt=request.prompt, most_tokens=most, anywhere=anywhere
        )
    if name in place.interrogators:
        return place.interrogator(name)
    found = find_model(name, folders)
    device = _on_cpu if request.device == CPU else place.spare_device
    if found.makes == TAGS:
        return Placed(lambda where: WdTagger(found.folder, where), device)

    def load(where: torch.device) -> Captioner:
        tokens = request.most_tokens
        return LocalCaptioner(found.folder, where, prompt=request.prompt, detail=request.detail, most_tokens=tokens)

    return Placed(load, device, prepare)


def name_of_choice(request: CaptionRequest, folders: Folders, place: Place) -> str:
    """What the journal of a set calls what was chosen.

    Raises:
        UserError: nothing was, and there is not just one.
    """
    return request.captioner or _only_one(folders, place)


def _only_one(folders: Folders, place: Place) -> str:
    names = [each.name for each in sources(folders, place) if each.problem is None]
    if not names:
        raise UserError("captioning.nothing_found", folder=own_folder(folders))
    if len(names) > 1:
        raise UserError("captioning.choose_one", known=names)
    return names[0]


@contextmanager
def _on_cpu(check: Check) -> Iterator[torch.device]:
    check()
    yield torch.device("cpu")
