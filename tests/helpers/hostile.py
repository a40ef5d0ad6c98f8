"""Whatever a user, another program or a broken disk may hand in, for tests that hold it to three promises:

nothing but a sentence comes of it, within seconds, and within a gigabyte.
"""

from __future__ import annotations

import faulthandler
import json
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hypothesis import strategies as st

from trainer.config.schema import to_json
from trainer.config.settings import ROWS, SECOND_PASS_KEY, Settings
from trainer.errors import UserError, WrongValue

MOST_SECONDS, MOST_BYTES = 10.0, 1_000_000_000
EXAMPLES: dict[str, int] = {}
"""How many each test has tried, for the last lines of a run."""

# ---- the promises ---------------------------------------------------------------------------------------------------


@contextmanager
def or_a_sentence() -> Iterator[None]:
    """What the block does, or an error that says something in both languages."""
    try:
        yield
    except (UserError, WrongValue) as error:
        said = error.message if isinstance(error, WrongValue) else error.whole
        for language in ("en", "ja"):
            assert said.text(language).strip()


@contextmanager
def limits(what: str) -> Iterator[None]:
    """The same, in no more time and memory than any input may take; a hang ends the program with a traceback."""
    EXAMPLES[what] = EXAMPLES.get(what, 0) + 1
    before, began = _peak(), time.monotonic()
    faulthandler.dump_traceback_later(12 * MOST_SECONDS, exit=True)
    try:
        with or_a_sentence():
            yield
    finally:
        faulthandler.cancel_dump_traceback_later()
    took = time.monotonic() - began
    assert took < MOST_SECONDS, f"took {took:.1f} seconds"
    assert _peak() - before < MOST_BYTES, f"took {_peak() - before:,} bytes"


def _peak() -> int:
    try:
        import resource
    except ImportError:  # Windows
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


# ---- texts and JSON -------------------------------------------------------------------------------------------------

any_text = st.text(st.characters(exclude_categories=()), max_size=40)
odd_texts = st.sampled_from(
    ("", " ", "\0", "a\0b", "\n", "\ud800", "\udc80\udc81", "..", "../..", "../../x", "/", "//", "\\", "C:\\x", "~",
     "~/", "~root", "~nobody-here/x", "CON", "nul.txt", "COM¹", "x" * 300, "x" * 5000, "あ" * 90, "a/" * 500, "nan",
     "inf", "-1e999", "1e400", "１２", "٣", "²", "0x10", "1_000", "9" * 5000, "None", "null", "true", "[", "{" * 2000,
     "]" * 5000, "<script>", "%s%n", "{x}", "{0}", "${HOME}", "a\u202eb", "\ufeff", "𝕏", "a.safetensors", ".",
     ".hidden", "a:1", "a;b", "=1", "a=b=c", "lr=1", "(" * 200, "'", '"'),
)  # fmt: skip
texts = odd_texts | any_text
numbers = (
    st.integers(-(10**40), 10**40)
    | st.floats(allow_nan=True, allow_infinity=True)
    | st.sampled_from((0, -1, 1, 2**31, 2**63, 10**400, 1e-320))
)
json_values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=8,
)

# ---- settings -------------------------------------------------------------------------------------------------------

_SAMPLES = to_json(Settings())
_KEYS = st.sampled_from([name for row in ROWS for name in (row.key, row.name)])
_LIKELY = st.one_of(
    *(
        st.sampled_from([*row.choices, *row.offered, _SAMPLES.get(row.key)])
        for row in ROWS
        if row.choices or row.offered
    )
)  # fmt: skip
_values = json_values | _LIKELY
_flat = st.dictionaries(_KEYS | texts, _values, max_size=8)
any_settings: st.SearchStrategy[dict[str, Any]] = st.one_of(
    _flat,
    st.tuples(_flat, _flat | json_values).map(lambda both: {**both[0], SECOND_PASS_KEY: both[1]}),
)

# ---- files ----------------------------------------------------------------------------------------------------------


@st.composite
def mutated(draw: st.DrawFn, contents: st.SearchStrategy[bytes]) -> bytes:
    """A file that has been cut, overwritten, doubled in part or run together with others."""
    content = bytearray(draw(contents))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, max(0, len(content) - 1)))
        count = draw(st.integers(0, 64))
        match draw(st.integers(0, 5)):
            case 0:
                del content[at:]
            case 1:
                content[at : at + count] = draw(st.binary(max_size=count))
            case 2:
                content[at : at + 4] = struct.pack(draw(st.sampled_from("<>")) + "I", draw(st.integers(0, 2**32 - 1)))
            case 3:
                content[at:at] = content[at : at + count] * draw(st.integers(1, 20))
            case 4:
                del content[at : at + count]
            case _:
                for place in range(at, min(at + count, len(content))):
                    content[place] ^= draw(st.sampled_from((1, 0x55, 0x80, 0xFF)))
    return bytes(content)


_dtypes = st.sampled_from(("F32", "F16", "BF16", "I64", "F8_E4M3", "U8", "X", "")) | json_values
_sizes = st.lists(st.integers(0, 4) | numbers | texts, max_size=5) | json_values
_names = texts | st.sampled_from(
    ("model.diffusion_model.input_blocks.0.0.weight", "conv_in.weight", "time_embedding.linear_1.weight", "v_pred",
     "lora_unet_x.lora_down.weight", "lora_unet_x.lora_up.weight", "lora_unet_x.alpha", "lora_unet_x.hada_w1_a",
     "first_stage_model.a", "emb_params", "string_to_param.*", "label_emb.weight", "a.attn2.to_k.weight",
     "unet.down_blocks.0.lora_A.weight", "text_model.encoder.layers.0.self_attn.q_proj.lora_B.weight"),
)  # fmt: skip
_entries = json_values | st.fixed_dictionaries(
    {"dtype": _dtypes, "shape": _sizes, "data_offsets": st.lists(st.integers(-2, 80) | numbers, max_size=3)}
)


@st.composite
def safetensors_files(draw: st.DrawFn) -> bytes:
    """A header of any JSON, with a length that may not be its own."""
    table: Any = draw(st.dictionaries(_names, _entries, max_size=6) | json_values)
    if isinstance(table, dict) and draw(st.booleans()):
        table = {**table, "__metadata__": draw(st.dictionaries(texts, texts | json_values, max_size=3) | json_values)}
    header = json.dumps(table).encode()
    length = draw(st.just(len(header)) | st.sampled_from((0, 1, 2**24, 2**40, 2**63)) | st.integers(0, 2 * len(header)))
    return length.to_bytes(8, "little") + header + draw(st.binary(max_size=80))


_small = st.integers(0, 255).map(lambda number: bytes([number]))
_words = st.sampled_from((b"storage", b"cpu", b"0", b"1", b"state_dict", b"x", b"a" * 200, b"\xff", b"F32"))
_globals = st.sampled_from(
    ("collections OrderedDict", "torch._utils _rebuild_tensor_v2", "torch._utils _rebuild_tensor_v3", "torch Size",
     "torch._utils _rebuild_parameter", "torch._tensor _rebuild_from_type_v2", "torch FloatStorage", "torch float16",
     "builtins dict", "builtins list", "builtins tuple", "builtins set", "os system", "builtins eval"),
)  # fmt: skip
_BARE = b"()]}tdlesuabR0122N\x81\x82\x85\x86\x87\x88\x89\x8f\x90\x91\x92\x93\x94Qo."
_instruction = st.one_of(
    st.sampled_from(
        [bytes([code]) for code in b"()]}tdlesuabR0122N\x81\x82\x85\x86\x87\x88\x89\x8f\x90\x91\x92\x93\x94Qo."]
    ),
    _small.map(lambda byte: b"K" + byte),
    _small.map(lambda byte: b"h" + byte),
    _small.map(lambda byte: b"q" + byte),
    st.integers(0, 2**32 - 1).map(lambda number: b"r" + struct.pack("<I", number)),
    st.integers(-(2**31), 2**31 - 1).map(lambda number: b"J" + struct.pack("<i", number)),
    _words.map(lambda word: b"X" + struct.pack("<I", len(word)) + word),
    _globals.map(lambda both: "c{}\n{}\n".format(*both.split()).encode()),
    st.tuples(_small, st.binary(max_size=10)).map(lambda both: b"\x8a" + both[0] + both[1]),
    st.integers(0, 2**63).map(lambda number: b"\x96" + struct.pack("<Q", number)),
    st.binary(max_size=6),
)
_program = st.lists(_instruction, max_size=40).map(lambda parts: b"\x80\x02" + b"".join(parts) + b".")
_storage = b"((X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x0ctQ"
_tensor = st.tuples(_program, _program, _program).map(
    lambda parts: b"\x80\x02}X\x01\x00\x00\x00xctorch._utils\n_rebuild_tensor_v2\n" + _storage
    + b"".join(part[2:-1] for part in parts) + b"\x89)tRs."
)  # fmt: skip
pickle_programs = _program | _tensor | st.lists(_program, max_size=4).map(b"".join)
