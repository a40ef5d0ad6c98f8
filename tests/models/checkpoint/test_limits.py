"""Files of a few bytes that would take hours or gigabytes are refused, or read, in no time."""

from __future__ import annotations

import json
import pickle
import random
import struct
import zipfile
from pathlib import Path

import pytest

from tests.helpers.bounded import run_bounded
from trainer.errors import ModelError
from trainer.models.checkpoint.header import LONGEST_HEADER, read_header
from trainer.models.checkpoint.opcodes import MOST_STEPS
from trainer.models.checkpoint.unpickle import read_pickle

PROTO = b"\x80\x04"


def archive(path: Path, program: bytes, compression: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", compression) as made:
        made.writestr("archive/data.pkl", program)


def headed(path: Path, header: bytes, content: bytes = b"..") -> None:
    path.write_bytes(len(header).to_bytes(8, "little") + header + content)


def key(text: bytes) -> bytes:
    return b"X" + struct.pack("<I", len(text)) + text


def fan_out() -> bytes:
    """Each dictionary has a thousand keys, and all of them are the next one."""
    inner = b"}" + b"\x94" + b"("
    for number in range(1000):
        inner += key(b"%d" % number) + b"N"
    program = inner + b"u"
    for level in range(4):
        program += b"}\x94("
        for number in range(1000):
            program += key(b"%d" % number) + b"h" + bytes([level])
        program += b"u"
    return PROTO + program + b"."


def alike() -> bytes:
    """Numbers that have one hash: each new key of the dictionary is compared with all before it."""
    keys = (number * (2**61 - 1) for number in range(1, 60_000))
    return PROTO + b"}(" + b"".join(pickle.dumps(each, 2)[2:-1] + b"N" for each in keys) + b"u."


HOSTILE = {
    "nested.ckpt": lambda path: archive(path, b"\x80\x02}" + b")" + b"2\x86" * 40 + b"K\x01s."),
    "nested-storage.ckpt": lambda path: archive(path, b"\x80\x02)" + b"2\x86" * 40 + b"Q."),
    "nested-set.ckpt": lambda path: archive(path, b"\x80\x04\x8f(" + b")" + b"2\x86" * 40 + b"\x90."),
    "memo.ckpt": lambda path: archive(path, b"\x80\x02]r" + struct.pack("<I", 2**31) + b"."),
    "lists.ckpt": lambda path: archive(path, PROTO + b"]" * 25_000_000 + b".", zipfile.ZIP_DEFLATED),
    "fan-out.ckpt": lambda path: archive(path, fan_out(), zipfile.ZIP_DEFLATED),
    "alike.ckpt": lambda path: archive(path, alike(), zipfile.ZIP_DEFLATED),
    "array.ckpt": lambda path: archive(path, b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b"."),
    "copies.ckpt": lambda path: archive(
        path, PROTO + b"](" + b"N" * 400_000 + b"e\x94" + b"cbuiltins\nlist\nh\x00\x85R" * 10_000 + b"."
    ),
    "large.ckpt": lambda path: archive(path, PROTO + bytes(300 * 2**20) + b".", zipfile.ZIP_DEFLATED),
    "infinite.safetensors": lambda path: headed(path, b'{"a":{"dtype":"F16","shape":[1e999],"data_offsets":[0,2]}}'),
    "not-a-number.safetensors": lambda path: headed(path, b'{"a":{"dtype":"F16","shape":[NaN],"data_offsets":[0,2]}}'),
    "digits.safetensors": lambda path: headed(
        path, b'{"a":{"dtype":"F16","shape":[' + b"9" * 1_000_000 + b'],"data_offsets":[0,2]}}'
    ),
    "brackets.safetensors": lambda path: headed(path, b'{"a":' + b"[" * 16_000_000 + b"}"),
    "empty-lists.safetensors": lambda path: headed(path, b'{"a":[' + b"[]," * 5_500_000 + b"[]]}"),
    "long.safetensors": lambda path: headed(path, b'{"a":"' + b" " * 99_000_000 + b'"}'),
    "overlapping.safetensors": lambda path: headed(
        path,
        json.dumps({str(n): {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]} for n in range(50_000)}).encode(),
    ),
}
NAME_OF_ONE = "fine.safetensors"


@pytest.mark.more
def test_hostile_files_take_no_time_and_no_memory(tmp_path: Path) -> None:
    for name, make in HOSTILE.items():
        make(tmp_path / name)
    headed(tmp_path / NAME_OF_ONE, b'{"a":{"dtype":"F16","shape":[1],"data_offsets":[0,2]}}')
    told = json.loads(
        run_bounded(
            "import json, time\n"
            "from pathlib import Path\n"
            "from trainer.errors import UserError\n"
            "from trainer.models.checkpoint.identify import identify\n"
            "found = {}\n"
            "for path in sorted(Path(sys.argv[1]).iterdir()):\n"
            "    began = time.monotonic()\n"
            "    try:\n"
            "        what = str(identify(path).label)\n"
            "    except UserError as error:\n"
            "        what = str(error)\n"
            "    found[path.name] = [what, time.monotonic() - began]\n"
            "print(json.dumps(found))\n",
            tmp_path,
            seconds=60,
        )
    )
    assert {name for name, (_, seconds) in told.items() if seconds > 8} == set()
    assert told.pop(NAME_OF_ONE)[0] == "a textual inversion embedding"
    harmless = {"nested.ckpt", "nested-set.ckpt", "memo.ckpt", "alike.ckpt"}  # what is odd in them is left out
    for name, (what, _) in told.items():
        assert (what == "a model of a kind Trainyard does not know") == (name in harmless), (name, what)


def test_the_limits_leave_room_for_real_files(tmp_path: Path) -> None:
    """Ten thousand tensors are four times those of SDXL; a header of 15 MiB is a LoRA's with more tags than any."""
    program = PROTO + b"}("
    for number in range(10_000):
        program += key(b"model.diffusion_model.output_blocks.%d.weight" % number)
        program += b"ctorch._utils\n_rebuild_tensor_v2\n((" + key(b"storage") + b"ctorch\nFloatStorage\n"
        program += key(b"0") + key(b"cpu") + b"K\x01tQK\x00K\x01\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtR"
    with zipfile.ZipFile(tmp_path / "many.ckpt", "w") as made:
        made.writestr("archive/data.pkl", program + b"u.")
        made.writestr("archive/data/0", bytes(4))
    assert len(read_pickle(tmp_path / "many.ckpt").tensors) == 10_000
    assert MOST_STEPS > 10 * 10_000 * 25
    text = json.dumps({"__metadata__": {"ss_tag_frequency": "x" * (LONGEST_HEADER - 100)}}).encode()
    headed(tmp_path / "tags.safetensors", text)
    assert len(read_header(tmp_path / "tags.safetensors").metadata["ss_tag_frequency"]) > 15 * 2**20


def test_an_archive_of_more_entries_than_any_model_has(tmp_path: Path) -> None:
    path = tmp_path / "entries.ckpt"
    archive(path, PROTO + b"N.")
    content = bytearray(path.read_bytes())
    struct.pack_into("<L", content, len(content) - 22 + 12, 2**31)  # how long its list of entries says to be
    path.write_bytes(content)
    with pytest.raises(ModelError, match="cut short or damaged"):
        read_pickle(path)
    with path.open("r+b") as file:
        file.truncate(200 * 2**20)
        file.seek(-22, 2)
        file.write(content[-22:])
    with pytest.raises(ModelError, match="its table of contents has no sensible size"):
        read_pickle(path)


def test_weights_that_unpack_to_more_than_weights_do(tmp_path: Path) -> None:
    path = tmp_path / "bomb.ckpt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("archive/data.pkl", PROTO + b"}.")
        made.writestr("archive/data/0", bytes(70 * 2**20))
    with pytest.raises(ModelError, match="its table of contents has no sensible size"):
        read_pickle(path)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_protocol_is_read_as_python_reads_it(tmp_path: Path, protocol: int) -> None:
    """Plain things of every kind, against Python's own unpickler."""
    from trainer.models.checkpoint.opcodes import INERT, Known, Program

    chance = random.Random(protocol)
    shared = ["a", {"b": 2}]
    value = {
        "none": None, "truth": [True, False], "small": list(range(-3, 300)), "large": [2**31, -(2**40), 2**70],
        "float": [0.5, -1e300, 1.0], "text": ["", "x" * 300, "猫", "\U0001f408"],
        "nested": ((1,), (1, 2), (1, 2, 3, 4)),
        "shared": [shared, shared], 7: "seven", "many": [chance.random() for _ in range(3000)],
    }  # fmt: skip
    data = pickle.dumps(value, protocol)
    if protocol == 0:
        value["text"] = ["", "x" * 300]  # written with escapes, in which no model's names are
        data = pickle.dumps(value, protocol)
    program = Program(data, len(data), lambda module, name: Known(len), lambda described: INERT)
    assert program.run() == value == pickle.loads(data)  # noqa: S301
    assert program.at == len(data)
