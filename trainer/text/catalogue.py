"""Every text of a language by its key: one file a room under ``en`` and ``ja``, put together here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from .en import captioning as en_captioning
from .en import commands as en_commands
from .en import config as en_config
from .en import data as en_data
from .en import engine as en_engine
from .en import errors as en_errors
from .en import foreign as en_foreign
from .en import gallery as en_gallery
from .en import hosts as en_hosts
from .en import jobs as en_jobs
from .en import models as en_models
from .en import networks as en_networks
from .en import page as en_page
from .en import reports as en_reports
from .en import sets as en_sets
from .en import settings as en_settings
from .en import web as en_web
from .ja import captioning as ja_captioning
from .ja import commands as ja_commands
from .ja import config as ja_config
from .ja import data as ja_data
from .ja import engine as ja_engine
from .ja import errors as ja_errors
from .ja import foreign as ja_foreign
from .ja import gallery as ja_gallery
from .ja import hosts as ja_hosts
from .ja import jobs as ja_jobs
from .ja import models as ja_models
from .ja import networks as ja_networks
from .ja import page as ja_page
from .ja import reports as ja_reports
from .ja import sets as ja_sets
from .ja import settings as ja_settings
from .ja import web as ja_web
from .language import is_japanese

_EN = (
    en_page, en_settings, en_config, en_models, en_networks, en_data, en_engine, en_hosts, en_jobs, en_web, en_commands,
    en_errors, en_reports, en_foreign, en_gallery, en_sets, en_captioning,
)  # fmt: skip
_JA = (
    ja_page, ja_settings, ja_config, ja_models, ja_networks, ja_data, ja_engine, ja_hosts, ja_jobs, ja_web, ja_commands,
    ja_errors, ja_reports, ja_foreign, ja_gallery, ja_sets, ja_captioning,
)  # fmt: skip
ENGLISH: Mapping[str, str] = MappingProxyType({key: text for room in _EN for key, text in room.TEXTS.items()})
JAPANESE: Mapping[str, str] = MappingProxyType({key: text for room in _JA for key, text in room.TEXTS.items()})


def texts_of(language: str) -> Mapping[str, str]:
    """All texts of a language: Japanese, or English for every other."""
    return JAPANESE if is_japanese(language) else ENGLISH
