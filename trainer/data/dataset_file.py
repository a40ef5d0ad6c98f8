"""Dataset files of sd-scripts (``--dataset_config``), TOML or JSON: what they say, as subsets with our settings.

A file has datasets with subsets. What a subset does not say, its dataset says, then ``general``, then the run's
settings, as with sd-scripts' command line. Only keys are translated here: what they do is done where the settings act.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath, PureWindowsPath
from types import MappingProxyType
from typing import Any, Final

from ..config.choices import MODES
from ..config.documents import json_object, read_text, toml_table, yaml_mapping
from ..config.foreign.datasets import as_dataset_file
from ..config.settings import Settings, row_of
from ..config.size import Size
from ..config.values import closest, read_value, shown, slip_of
from ..errors import DataError, WrongValue
from ..paths import path_of
from ..text.messages import Message, label, message
from . import buckets

ENDINGS: Final = (".toml", ".json", ".jsonl", ".yaml", ".yml")
"""Of files that may be given in place of a folder."""
MOST_BYTES = 256 * 2**20
"""Of a file with captions: a million of them take less."""

_OF_DATASET: Mapping[str, str] = MappingProxyType(
    {
        "batch_size": "train_batch_size",
        "resolution": "image_size",
        "enable_bucket": "image_bucketing",
        "bucket_no_upscale": "image_disable_upscale",
        "bucket_reso_steps": "image_bucket_reso_steps",
        "min_bucket_reso": "image_min_bucket_reso",
        "max_bucket_reso": "image_max_bucket_reso",
        "skip_image_resolution": "",
    }
)
"""What all subsets of a dataset share, and may be said of all datasets; the settings they become."""
_OF_SUBSET: Mapping[str, str] = MappingProxyType(
    {
        "num_repeats": "image_num_multiply",
        "flip_aug": "image_random_flip",
        "color_aug": "image_color_augmentation",
        "random_crop": "image_random_crop",
        "caption_extension": "caption_extension",
        "shuffle_caption": "caption_shuffle",
        "keep_tokens": "caption_keep_tokens",
        "keep_tokens_separator": "caption_keep_tokens_separator",
        "caption_separator": "caption_separator",
        "secondary_separator": "caption_secondary_separator",
        "enable_wildcard": "caption_wildcards",
        "caption_prefix": "caption_prefix",
        "caption_suffix": "caption_suffix",
        "caption_dropout_rate": "caption_dropout_rate",
        "caption_dropout_every_n_epochs": "caption_dropout_every_n_epochs",
        "caption_tag_dropout_rate": "caption_tag_dropout_rate",
        "class_tokens": "",
    }
)
"""What a subset says itself, or its dataset or the whole file for it."""
_OF_ONE_SUBSET: Mapping[str, str] = MappingProxyType(
    {
        "image_dir": "",
        "metadata_file": "",
        "conditioning_data_dir": "image_mask_directory",
        "is_reg": "",
        "alpha_mask": "",
    }
)
"""What only a subset says."""
_PATHS: Final = ("image_dir", "metadata_file", "in_json", "conditioning_data_dir")
_NEEDLESS: Final = ("cache_info", "custom_attributes")
"""Keys without an effect on what is trained."""
_UNSUPPORTED: Mapping[str, Any] = MappingProxyType(
    {
        "face_crop_aug_range": None,
        "token_warmup_min": 1,
        "token_warmup_step": 0,
        "resize_interpolation": None,
        "network_multiplier": 1.0,
        "validation_seed": None,
        "validation_split": 0.0,
    }
)
"""Keys of sd-scripts that have no counterpart, with the value at which they have no effect."""
_MEANT: Mapping[str, str] = MappingProxyType(
    {
        "train_batch_size": "batch_size",
        "dataset_repeats": "num_repeats",
        "train_data_dir": "image_dir",
        "reg_data_dir": "image_dir",
        "in_json": "metadata_file",
        "no_upscale": "bucket_no_upscale",
        "repeats": "num_repeats",
    }
)
"""Names that sd-scripts has for the same on its command line, and others that people write."""
_SECTIONS: Final = frozenset(("general", "datasets", "subsets"))
_BY_HAND: Final = ("resolution", "enable_bucket", "enable_wildcard", "num_repeats")
"""Keys that need more than their setting's own reader."""
_KEYS: Final = (*_OF_DATASET, *_OF_SUBSET, *_OF_ONE_SUBSET, *_NEEDLESS, *_UNSUPPORTED)


@dataclass(frozen=True)
class Described:
    """A subset as a file describes it.

    Attributes:
        place: where in the file.
        dataset: its dataset's number, from 0.
        settings: the run's, with what the file says put in.
        folder: with its images, which are directly in it; None if only the metadata file says where they are.
        metadata: the file with the captions of its images, if it has one.
        repeats: of each image; below 1 the subset is not to be used.
        class_words: the caption of an image that has none.
        is_reg: whether its images regularise.
        skipped_area: pixels; images that are not larger are left out.
    """

    place: Message
    dataset: int
    settings: Settings
    folder: Path | None
    metadata: Path | None = None
    repeats: int = 1
    class_words: str = ""
    is_reg: bool = False
    skipped_area: int = 0


@dataclass(frozen=True)
class DatasetFile:
    """What a file says.

    Attributes:
        path: the file.
        subsets: in its order.
        notes: what of it is not used, and what is used in another way than it may seem.
    """

    path: Path
    subsets: tuple[Described, ...]
    notes: tuple[Message, ...]


def dataset_file(settings: Settings) -> Path | None:
    """The dataset file that says what is trained, if there is one: ``dataset_config``, or ``lora_data_directory`` where
    that is a file. Modes without regularisation images read none.

    Raises:
        DataError: there is none where one is set.
    """
    if "subsets" not in MODES[settings.mode].groups:
        return None
    if settings.dataset_config:
        where = label("dataset_config")
        path = path_of(settings.dataset_config, where)
        if not path.is_file():
            raise DataError("data.no_dataset_file", where=where, path=settings.dataset_config)
        return path
    written = settings.lora_data_directory
    if not written.strip().lower().endswith(ENDINGS):
        return None
    path = path_of(written, label("lora_data_directory"))
    return path if path.is_file() else None


def with_largest(settings: Settings, datasets: Iterable[Settings]) -> Settings:
    """A run's settings with the image size and the batch size of the dataset that has most pixels in a step."""
    most = max(datasets, key=lambda each: each.size.area * each.train_batch_size)
    return replace(settings, image_size=most.image_size, train_batch_size=most.train_batch_size)


def relative_paths(path: Path) -> tuple[str, ...]:
    """The paths in a dataset file that mean different places in different folders, in its order.

    Raises:
        UserError: the file cannot be read.
    """
    values = _values(path)
    found = _paths_in(as_dataset_file(values) or values)
    return tuple(dict.fromkeys(each for each in found if not _is_absolute(each)))


def _paths_in(values: Any) -> Iterator[str]:
    if isinstance(values, list):
        for each in values:
            yield from _paths_in(each)
    elif isinstance(values, Mapping):
        for key, value in values.items():
            if key in _PATHS and isinstance(value, str) and value.strip():
                yield value.strip()
            else:
                yield from _paths_in(value)


def _is_absolute(written: str) -> bool:
    """On any system: a file that was written on Windows is no less whole elsewhere."""
    return written.startswith("~") or PurePosixPath(written).is_absolute() or PureWindowsPath(written).is_absolute()


def read_dataset_file(path: Path, settings: Settings) -> DatasetFile:
    """What a dataset file says; a file with captions alone is one subset.

    Args:
        settings: the run's, for what the file does not say.

    Raises:
        UserError: it cannot be read, or something in it cannot be used; names the place.
    """
    if path.suffix.lower() == ".jsonl":
        return _captions_alone(path, settings)
    values = _values(path)
    converted = as_dataset_file(values)
    if converted is not None:
        return _Reader(path, settings, is_foreign=True).read(converted)
    if not isinstance(values, dict):
        raise DataError("data.no_dataset", where=str(path))
    if values and all(isinstance(value, dict) for value in values.values()) and not _SECTIONS & set(values):
        return _captions_alone(path, settings)
    return _Reader(path, settings).read(values)


def _values(path: Path) -> Any:
    """What a file of JSON, YAML or TOML holds."""
    text = read_text(path, MOST_BYTES)
    if path.suffix.lower() in (".yaml", ".yml"):
        return yaml_mapping(text, str(path))
    if path.suffix.lower() != ".json" and not text.lstrip().startswith("{"):
        return toml_table(text, str(path))
    if text.lstrip().startswith("["):
        with suppress(ValueError, RecursionError):
            return json.loads(text)
    return json_object(text, str(path))


def _captions_alone(path: Path, settings: Settings) -> DatasetFile:
    given = settings.lora_data_directory if settings.dataset_config else ""
    where = label("lora_data_directory")
    folder = path_of(given, where) if given else path.parent
    if not folder.is_dir():
        raise DataError("data.no_folder", where=where, path=given, advice=message("data.advice_check"))
    place = message("data.at_file", file=path.name)
    own = Described(place, 0, settings, folder, path, repeats=settings.image_num_multiply)
    return DatasetFile(path, (own,), ())


@dataclass(frozen=True)
class _Content:
    """What holds in a place of a file, with what holds around it.

    Attributes:
        place: the innermost; where keys are that are given nowhere.
        values: key -> value.
        places: key -> where it is written.
    """

    place: Message
    values: Mapping[str, Any]
    places: Mapping[str, Message]

    def within(self, values: Mapping[str, Any], place: Message) -> _Content:
        """What holds in a place inside of this one."""
        return _Content(place, {**self.values, **values}, {**self.places, **dict.fromkeys(values, place)})

    def at(self, key: str) -> Message:
        return self.places.get(key, self.place)


@dataclass
class _Reader:
    """One reading of a file."""

    path: Path
    settings: Settings
    is_foreign: bool = False
    """Whether it is another program's, which has buckets where nothing is said of them."""
    notes: list[Message] = field(default_factory=list)

    def read(self, content: Mapping[str, Any]) -> DatasetFile:
        loose = {key: value for key, value in content.items() if key not in _SECTIONS}
        file = message("data.at_file", file=self.path.name)
        general = self._general(content, _Content(file, {}, {}).within(self._known(loose, file, _OF_ONE_SUBSET), file))
        datasets = self._tables(content.get("datasets", []), file, "datasets")
        if "subsets" in content:
            datasets = [*datasets, {"subsets": content["subsets"]}]
        found: list[Described] = []
        for number, dataset in enumerate(datasets):
            found += self._dataset(number, dataset, general)
        if not found:
            raise DataError("data.no_dataset", where=str(self.path))
        for name in ("lora_data_directory", "reg_data_directory"):
            written = getattr(self.settings, name)
            if written and (name != "lora_data_directory" or self.settings.dataset_config):
                self.notes.append(message("data.beside_dataset_file", setting=label(name), file=self.path.name))
        return DatasetFile(self.path, tuple(found), tuple(dict.fromkeys(self.notes)))

    def _general(self, content: Mapping[str, Any], file: _Content) -> _Content:
        general = content.get("general", {})
        if not isinstance(general, dict):
            raise DataError("data.no_table", where=file.place, key="general", value=shown(general))
        place = message("data.at_general", file=self.path.name)
        return file.within(self._known(general, place, _OF_ONE_SUBSET), place)

    def _dataset(self, number: int, content: Mapping[str, Any], general: _Content) -> Iterator[Described]:
        place = message("data.at_dataset", file=self.path.name, dataset=number + 1)
        own = {key: value for key, value in content.items() if key != "subsets"}
        dataset = general.within(self._known(own, place, _OF_ONE_SUBSET), place)
        self._check_buckets(dataset)
        subsets = self._tables(content.get("subsets", []), place, "subsets")
        if not subsets:
            self.notes.append(message("data.dataset_without_subsets", place=place))
        for index, subset in enumerate(subsets):
            where = message("data.at_subset", file=self.path.name, dataset=number + 1, subset=index + 1)
            yield self._subset(number, dataset.within(self._known(subset, where, _OF_DATASET), where), place)

    def _subset(self, dataset: int, given: _Content, of_dataset: Message) -> Described:
        content, place = given.values, given.place
        changes: dict[str, Any] = {}
        for key, name in (*_OF_DATASET.items(), *_OF_SUBSET.items()):
            if key in content and name and key not in _BY_HAND:
                changes[name] = self._value(key, name, content[key], given.at(key))
        if "resolution" in content:
            changes["image_size"] = self._size(content["resolution"], given.at("resolution"), "resolution")
        changes["image_bucketing"] = self._bucketing(given, of_dataset)
        if "enable_wildcard" in content:
            where = given.at("enable_wildcard")
            wildcards = self._value("enable_wildcard", "caption_wildcards", content["enable_wildcard"], where)
            changes |= {"caption_wildcards": wildcards, "caption_lines": "random" if wildcards else "first"}
        repeats = content.get("num_repeats", self.settings.image_num_multiply)
        if isinstance(repeats, bool) or not isinstance(repeats, int):
            wrong = message("config.not_whole", value=shown(repeats), example=10)
            raise self._wrong("num_repeats", given.at("num_repeats"), wrong)
        changes["image_num_multiply"] = max(1, repeats)
        if "conditioning_data_dir" in content:
            changes["image_mask_directory"] = str(self._path("conditioning_data_dir", content, place, is_file=False))
        is_reg = self._flag("is_reg", content, place)
        if "alpha_mask" in content and not self._flag("alpha_mask", content, place):
            self.notes.append(message("data.alpha_is_mask", place=place))
        skipped = 0
        if "skip_image_resolution" in content:
            where = given.at("skip_image_resolution")
            skipped = self._size(content["skip_image_resolution"], where, "skip_image_resolution").area
        words = content.get("class_tokens", "")
        if not isinstance(words, str):
            raise self._wrong("class_tokens", given.at("class_tokens"), message("config.not_text", value=shown(words)))
        metadata = self._path("metadata_file", content, place, is_file=True)
        folder = self._path("image_dir", content, place, is_file=False)
        if folder is None and metadata is None:
            raise DataError("data.no_image_dir", where=place)
        return Described(
            place, dataset, replace(self.settings, **changes), folder, metadata,
            repeats=repeats, class_words=words.strip(), is_reg=is_reg, skipped_area=skipped,
        )  # fmt: skip

    # ---- keys -------------------------------------------------------------------------------------------------------

    def _known(self, content: Mapping[str, Any], place: Message, elsewhere: Mapping[str, str]) -> dict[str, Any]:
        """The keys that are used in this place, under the names that mean them; the others are told.

        Args:
            elsewhere: keys that have no effect here.

        Raises:
            DataError: a key is written with a slip: what it was to say would be lost.
        """
        found: dict[str, Any] = {}
        for key, value in ((str(each), value) for each, value in content.items()):
            if value is None or key in _NEEDLESS:
                continue
            if key in _UNSUPPORTED:
                if value != _UNSUPPORTED[key]:
                    self.notes.append(message("data.key_unsupported", place=place, key=key))
            elif key in elsewhere:
                where = "data.of_dataset" if key in _OF_DATASET else "data.of_subset"
                self.notes.append(message("data.key_elsewhere", place=place, key=key, where=message(where)))
            elif key in _KEYS:
                found[key] = value
            elif key == "in_json" and elsewhere is _OF_DATASET:
                found["metadata_file"] = value
            else:
                meant = "" if self.is_foreign else _MEANT.get(key) or slip_of(key, _KEYS)
                if meant:  # sd-scripts refuses every key it does not know
                    raise DataError("data.key_misspelt", where=place, key=key, near=meant)
                near = _MEANT.get(key) or closest(key, _KEYS)
                told = "data.key_unknown_near" if near else "data.key_unknown"
                self.notes.append(message(told, place=place, key=key, near=near))
        return found

    def _tables(self, value: Any, place: Message, key: str) -> list[Mapping[str, Any]]:
        """A list of tables; a single one stands for a list of it."""
        tables = [value] if isinstance(value, dict) else value
        if not isinstance(tables, list) or not all(isinstance(each, dict) for each in tables):
            raise DataError("data.no_tables", where=place, key=key, value=shown(value))
        return tables

    # ---- values -----------------------------------------------------------------------------------------------------

    def _value(self, key: str, name: str, value: Any, place: Message) -> Any:
        try:
            return read_value(value, row_of(name))
        except WrongValue as error:
            raise self._wrong(key, place, error.message) from error

    def _flag(self, key: str, content: Mapping[str, Any], place: Message) -> bool:
        value = content.get(key, False)
        if not isinstance(value, bool):
            raise self._wrong(key, place, message("config.not_bool", value=shown(value)))
        return value

    def _size(self, value: Any, place: Message, key: str) -> Size:
        """Width before height, as sd-scripts has them; one number for a square."""
        parts: Sequence[Any] = value if isinstance(value, list) else str(value).split(",")
        try:
            sides = [int(str(each)) for each in parts]
        except ValueError:
            sides = []
        if isinstance(value, bool) or len(sides) not in (1, 2) or min(sides) < 1:
            raise self._wrong(key, place, message("data.no_resolution", value=shown(value)))
        size = Size(sides[0], sides[-1])
        if key == "resolution":
            read = self._value(key, "image_size", f"{size.height},{size.width}", place)
            assert isinstance(read, Size)
        return size

    def _bucketing(self, given: _Content, of_dataset: Message) -> str:
        """sd-scripts crops everything to one size unless it is told to use buckets."""
        before = self.settings.image_bucketing
        if "enable_bucket" in given.values:
            where = given.at("enable_bucket")
            on = self._value("enable_bucket", "image_disable_upscale", given.values["enable_bucket"], where)
            return buckets.SD_SCRIPTS if on else buckets.ONE_SIZE
        if self.is_foreign or before != row_of("image_bucketing").default:
            return before
        self.notes.append(message("data.no_enable_bucket", place=of_dataset))
        return buckets.ONE_SIZE

    def _check_buckets(self, given: _Content) -> None:
        """Raises:
        DataError: the bounds of the buckets leave out the resolution, which sd-scripts refuses, too.
        """
        content = given.values
        if not content.get("enable_bucket") or "resolution" not in content:
            return
        size = self._size(content["resolution"], given.at("resolution"), "resolution")
        bounds = {
            key: self._value(key, name, content.get(key, getattr(self.settings, name)), given.at(key))
            for key, name in _OF_DATASET.items()
            if key in ("min_bucket_reso", "max_bucket_reso", "bucket_reso_steps")
        }
        step = bounds["bucket_reso_steps"]
        least = bounds["min_bucket_reso"] - bounds["min_bucket_reso"] % step
        most = bounds["max_bucket_reso"] + -bounds["max_bucket_reso"] % step
        if min(size) < least or max(size) > most:
            raise DataError(
                "data.buckets_without_resolution", where=given.place, size=str(size), least=least, most=most
            )

    def _path(self, key: str, content: Mapping[str, Any], place: Message, *, is_file: bool) -> Path | None:
        """A path as sd-scripts takes it, from the folder the program runs in; else from the file's own."""
        if key not in content:
            return None
        written = content[key]
        where = message("data.at_key", place=place, key=key)
        if not isinstance(written, str) or not written.strip():
            raise self._wrong(key, place, message("config.not_text", value=shown(written)))
        given = path_of(written.strip(), where)
        is_there = os.path.isfile if is_file else os.path.isdir
        if is_there(given):
            return given
        beside = self.path.absolute().parent / given
        if is_there(beside):
            self.notes.append(message("data.path_from_file", place=place, key=key, path=written))
            return beside
        if os.path.exists(given):
            raise DataError("data.is_no_file" if is_file else "data.is_no_folder", where=where, path=written)
        told = "data.file_missing" if is_file else "data.folder_missing"
        raise DataError(told, where=where, path=written, here=Path.cwd(), beside=beside.parent)

    def _wrong(self, key: str, place: Message, problem: Message) -> DataError:
        return DataError("data.wrong_value", where=message("data.at_key", place=place, key=key), problem=problem)
