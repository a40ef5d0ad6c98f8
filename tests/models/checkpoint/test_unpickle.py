"""A model file that is a program is not run: whatever it says, only its weights are read."""

from __future__ import annotations

import builtins
import contextlib
import io
import os
import pickle
import struct
import sys
import types
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from trainer.errors import ModelError
from trainer.models.checkpoint.unpickle import read_pickle
from trainer.models.checkpoint.weights import map_file

WEIGHTS = {"a.weight": torch.arange(12.0).view(3, 4), "b.bias": torch.tensor([1, 2, 3])}


class Calls:
    """Pickles as a call of ``function``."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call: tuple[Any, ...] = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


def _lightning_callback(monkeypatch: pytest.MonkeyPatch) -> Any:
    """An instance of a class that is not there when the file is read, pickled with a state."""
    module = types.ModuleType("pytorch_lightning.callbacks")
    cls = type("ModelCheckpoint", (dict,), {"__module__": module.__name__})
    module.ModelCheckpoint = cls  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pytorch_lightning", types.ModuleType("pytorch_lightning"))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    callback = cls(best=np.float64(0.25))
    callback.monitor, callback.history = "loss", [np.arange(3), {1, 2}, OrderedDict(x=1)]
    return callback


def _same(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor] = WEIGHTS) -> None:
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, rtol=0, atol=0)


@pytest.mark.parametrize("legacy", [False, True])
def test_weights_load_and_nothing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, legacy: bool) -> None:
    trace = tmp_path / "was-run"
    command = f"import pathlib; pathlib.Path({str(trace)!r}).touch()"
    callback = _lightning_callback(monkeypatch)
    content = {
        "callbacks": {type(callback): callback},
        "system": Calls(os.system, f"touch '{trace}'"),
        "evaluated": [Calls(eval, f"__import__('pathlib').Path({str(trace)!r}).touch()"), Calls(exec, command)],
        "opened": Calls(builtins.open, str(trace), "w"),
        "reached": Calls(getattr, Calls(__import__, "os"), "system"),
        "numpy": {"lr": np.float64(1e-4), "steps": np.arange(4)},
        "optimizer_states": [{"state": {0: {"exp_avg": torch.zeros(5)}}}],
        "state_dict": dict(WEIGHTS),
    }
    path = tmp_path / "model.ckpt"
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    monkeypatch.delitem(sys.modules, "pytorch_lightning.callbacks")
    monkeypatch.delitem(sys.modules, "pytorch_lightning")
    imported = set(sys.modules)
    _same(map_file(path))
    assert not trace.exists()
    assert "pytorch_lightning.callbacks" not in set(sys.modules) - imported


def test_the_malicious_file_would_run_elsewhere(tmp_path: Path) -> None:
    """The test above proves something only if these calls do run in Python's own unpickler."""
    trace = tmp_path / "was-run"
    pickle.loads(pickle.dumps(Calls(os.system, f"touch '{trace}'")))  # noqa: S301
    assert trace.exists()


def test_every_way_a_pickle_can_touch_an_object(tmp_path: Path) -> None:
    """INST, OBJ, NEWOBJ, NEWOBJ_EX, REDUCE, BUILD, APPEND(S), SETITEM(S), ADDITEMS on unknown and on known names."""
    state = b"(dU\x04_setX\x03\x00\x00\x00badsU\x07__new__X\x01\x00\x00\x00xs"
    tries = [
        b"(X\x02\x00\x00\x00idios\nsystem\n.",
        b"(cos\nsystem\nX\x02\x00\x00\x00ido.",
        b"cos\nsystem\n)\x81.",
        b"cos\nsystem\n)}\x92.",
        b"cos\nsystem\nX\x02\x00\x00\x00id\x85R.",
        b"cos\nsystem\n)\x81" + state + b"b.",
        b"cos\nsystem\n" + state + b"b.",
        b"cos\nsystem\n)\x81K\x01a.",
        b"cos\nsystem\n)\x81(K\x01K\x02e.",
        b"cos\nsystem\n)\x81(K\x01K\x02u.",
        b"cos\nsystem\n)\x81(K\x01\x90.",
        b"ctorch._utils\n_rebuild_tensor_v2\n" + state + b"b.",
        b"ctorch._utils\n_rebuild_tensor_v2\n(" + state + state + b"tb.",
        b"ccollections\nOrderedDict\n)R" + state + b"b.",
    ]
    for number, program in enumerate(tries):
        path = _zip(tmp_path / f"{number}.ckpt", b"\x80\x04" + program)
        assert read_pickle(path).tensors == {}
    torch.save(WEIGHTS, tmp_path / "after.ckpt")
    _same(map_file(tmp_path / "after.ckpt"))


def test_names_hung_on_the_dictionary_are_not_called(tmp_path: Path) -> None:
    weights = Calls(OrderedDict, list(WEIGHTS.items()))
    weights.call += ({"_metadata": {"": 1}, "items": "no function", "get": Calls(os.system, "true")},)
    torch.save({"state_dict": weights}, tmp_path / "model.ckpt")
    _same(map_file(tmp_path / "model.ckpt"))


@pytest.mark.parametrize("legacy", [False, True])
def test_views_types_and_parameters(tmp_path: Path, legacy: bool) -> None:
    base = torch.arange(24.0)
    tensors = {
        "first": base[:4],
        "transposed": base[4:16].view(3, 4).t(),
        "strided": base[1::3],
        "parameter": torch.nn.Parameter(torch.ones(2, 2)),
        "scalar": torch.tensor(3.5, dtype=torch.float16),
        "empty": torch.empty(0, 4),
        "bfloat": torch.randn(3).bfloat16(),
        "bools": torch.tensor([True, False]),
        "bytes": torch.tensor([1, 2], dtype=torch.uint8),
    }
    torch.save(tensors, tmp_path / "model.pt", _use_new_zipfile_serialization=not legacy)
    found = map_file(tmp_path / "model.pt")
    _same(found, {name: tensor.detach() for name, tensor in tensors.items()})
    assert found["first"].untyped_storage().data_ptr() == found["strided"].untyped_storage().data_ptr()


def test_float8_is_read(tmp_path: Path) -> None:
    tensor = torch.randn(4, 4).to(torch.float8_e4m3fn)
    try:
        torch.save({"x": tensor}, tmp_path / "model.ckpt")
    except KeyError:
        pytest.skip("this torch writes no float8")
    assert torch.equal(map_file(tmp_path / "model.ckpt")["x"].float(), tensor.float())


def test_a_repacked_compressed_archive(tmp_path: Path) -> None:
    torch.save({"state_dict": WEIGHTS}, tmp_path / "model.ckpt")
    with zipfile.ZipFile(tmp_path / "model.ckpt") as old, zipfile.ZipFile(tmp_path / "small.ckpt", "w", 8) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    _same(map_file(tmp_path / "small.ckpt"))


class _Span:
    """Stands for a storage while pickling."""


class _Handmade(pickle.Pickler):
    def persistent_id(self, obj: Any) -> Any:
        return ("storage", torch.FloatStorage, "0", "cpu", 12) if isinstance(obj, _Span) else None


def _zip(path: Path, program: bytes, data: bytes = bytes(48), order: bytes = b"little") -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", program)
        archive.writestr("archive/byteorder", order)
        archive.writestr("archive/data/0", data)
    return path


def _described(offset: Any, shape: Any, stride: Any) -> bytes:
    rebuild = torch._utils._rebuild_tensor_v2  # type: ignore[attr-defined]
    out = io.BytesIO()
    _Handmade(out, 2).dump({"x": Calls(rebuild, _Span(), offset, shape, stride, False, OrderedDict())})
    return out.getvalue()


def test_a_handmade_file_loads(tmp_path: Path) -> None:
    data = struct.pack("<12f", *range(12))
    found = map_file(_zip(tmp_path / "model.ckpt", _described(4, (2, 4), (4, 1)), data))
    assert torch.equal(found["x"], torch.arange(4.0, 12.0).view(2, 4))


@pytest.mark.parametrize(
    ("offset", "shape", "stride"),
    [
        (0, (13,), (1,)),
        (5, (2, 4), (4, 1)),
        (0, (2, 2), (100, 1)),
        (12, (1,), (1,)),
        (-1, (2,), (1,)),
        (8, (3,), (-1,)),
        (0, (-1,), (1,)),
        (0, (3, 4), (1,)),
        (2**60, (1,), (1,)),
        (0.0, (1,), (1,)),
        ("0", (1,), (1,)),
        (True, (1,), (1,)),
    ],
)
def test_a_tensor_outside_of_its_storage_is_refused(tmp_path: Path, offset: Any, shape: Any, stride: Any) -> None:
    path = _zip(tmp_path / "model.ckpt", _described(offset, shape, stride))
    with pytest.raises(ModelError, match=r"model\.ckpt is cut short or damaged"):
        map_file(path)


def test_a_storage_larger_than_its_bytes_is_refused(tmp_path: Path) -> None:
    path = _zip(tmp_path / "model.ckpt", _described(0, (12,), (1,)), data=bytes(44))
    with pytest.raises(ModelError, match="describes a tensor outside of itself"):
        map_file(path)


def test_the_other_byte_order_is_refused(tmp_path: Path) -> None:
    path = _zip(tmp_path / "model.ckpt", _described(0, (12,), (1,)), order=b"big")
    with pytest.raises(ModelError, match="other byte order"):
        map_file(path)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_refused(tmp_path: Path, legacy: bool, kept: float) -> None:
    path = tmp_path / "model.ckpt"
    torch.save({"state_dict": {"x": torch.randn(2000)}}, path, _use_new_zipfile_serialization=not legacy)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(ModelError, match=r"model\.ckpt is cut short or damaged"):
        map_file(path)


@pytest.mark.parametrize("legacy", [False, True])
def test_damaged_bytes_are_refused_or_harmless(tmp_path: Path, legacy: bool) -> None:
    """Every byte of the program changed in turn: a sentence or some tensors, never another error."""
    path = tmp_path / "model.ckpt"
    torch.save({"x": torch.randn(4)}, path, _use_new_zipfile_serialization=not legacy)
    content = path.read_bytes()
    for position in range(0, len(content), 1 if legacy else 3):
        path.write_bytes(content[:position] + bytes([content[position] ^ 0x55]) + content[position + 1 :])
        with contextlib.suppress(ModelError):
            map_file(path)


def test_a_zip_that_is_no_model(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "photos.ckpt", "w") as archive:
        archive.writestr("a.png", b"")
    with pytest.raises(ModelError, match=r"photos\.ckpt is a zip archive, not a model"):
        read_pickle(tmp_path / "photos.ckpt")


def test_weights_lie_on_the_files_pages(tmp_path: Path) -> None:
    path = tmp_path / "model.ckpt"
    torch.save({"state_dict": WEIGHTS}, path)
    tensor = map_file(path)["a.weight"]
    maps = Path("/proc/self/maps")
    if not maps.exists():
        pytest.skip("this system does not list its mappings")
    ranges = [line.split()[0].split("-") for line in maps.read_text().splitlines() if line.endswith(path.name)]
    assert any(int(low, 16) <= tensor.data_ptr() < int(high, 16) for low, high in ranges)
    before = path.read_bytes()
    tensor.zero_()  # private pages: the file stays as it is
    assert path.read_bytes() == before
