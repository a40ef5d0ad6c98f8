"""The instructions of a pickle, carried out within limits and without running anything that is in it.

Python's own unpickler takes a few bytes for hours of hashing or for gigabytes of memory: tuples nested in tuples, a
place in its memo with a large number, an array that claims its size. Here every instruction costs a step, and so does
everything it copies; nothing but texts and small numbers is ever a key. What a name stands for, the caller says.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Callable, Mapping
from typing import Any, Protocol

MOST_STEPS = 3_000_000
"""Instructions and copied items; a checkpoint of SDXL takes 90,000, with an optimizer's state a few times as many."""
LONGEST_PROGRAM = 32 * 2**20
"""Bytes; a checkpoint's program has less than one MiB, with an optimizer's state a few."""
_LONGEST_NUMBER = 255
"""Bytes of a whole number, or digits where one is written out."""
_MOST_KEY = 2**60
"""Beyond this, different numbers have one hash."""


class Bytes(Protocol):
    """``bytes``, or a file that is mapped into memory."""

    def __getitem__(self, part: slice, /) -> bytes: ...

    def find(self, part: bytes, start: int, end: int, /) -> int: ...


class Inert:
    """Stands for everything that is not known: whatever is done to it, nothing happens."""


class Known:
    """One of our own functions, as the pickle may call it."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function


INERT = Inert()
_MARK = object()


def _new_list(items: Any = ()) -> list[Any]:
    return list(_sequence(items))


def _new_tuple(items: Any = ()) -> tuple[Any, ...]:
    return tuple(_sequence(items))


def _new_dict(pairs: Any = ()) -> dict[Any, Any]:
    if isinstance(pairs, dict):
        return dict(pairs)
    found: dict[Any, Any] = {}
    for pair in _sequence(pairs):
        key, value = _sequence(pair)
        if _is_key(key):
            found[key] = value
    return found


LIST, TUPLE, DICT = Known(_new_list), Known(_new_tuple), Known(_new_dict)


def _sequence(items: Any) -> list[Any] | tuple[Any, ...]:
    if not isinstance(items, (list, tuple)):
        raise pickle.UnpicklingError("neither a list nor a tuple")
    return items


def _is_key(value: object) -> bool:
    return isinstance(value, str) or (isinstance(value, int) and abs(value) < _MOST_KEY)


class Program:
    """One pickle after the other, from a place in some bytes.

    Attributes:
        at: where the next byte is.
        steps: how many are left.
    """

    def __init__(
        self,
        data: Bytes,
        size: int,
        find_class: Callable[[str, str], Any],
        storage_of: Callable[[Any], Any],
    ) -> None:
        """Args:
        data, size: the bytes, and how many there are.
        find_class: what a name stands for: a text, a :class:`Known`, or :data:`INERT`.
        storage_of: what an object stands for that is kept outside of the program.
        """
        self.at = 0
        self.steps = MOST_STEPS
        self._data = data
        self._size = size
        self._end = size
        self._find_class = find_class
        self._storage_of = storage_of
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def run(self) -> Any:
        """What the next pickle makes.

        Raises:
            pickle.UnpicklingError: the bytes make no sense, or are more than the limits allow.
            IndexError, KeyError, TypeError, ValueError, struct.error: likewise.
        """
        self._end = min(self._size, self.at + LONGEST_PROGRAM)
        self._stack, self._memo = [], {}
        while True:
            code = self._read(1)
            self._spend(1)
            if code == pickle.STOP:
                return self._stack.pop()
            action = _ACTIONS.get(code)
            if action is None:
                raise pickle.UnpicklingError("an instruction that is not known")
            action(self)

    # ---- bytes

    def _read(self, count: int) -> bytes:
        if count < 0 or self.at + count > self._end:
            raise EOFError
        part = self._data[self.at : self.at + count]
        self.at += count
        return part

    def _number(self, size: int) -> int:
        return int.from_bytes(self._read(size), "little")

    def _line(self, most: int) -> str:
        end = self._data.find(b"\n", self.at, min(self._end, self.at + most + 1))
        if end < 0:
            raise EOFError
        text = self._read(end - self.at).decode("utf-8")
        self.at += 1
        return text

    def _spend(self, steps: int) -> None:
        self.steps -= steps
        if self.steps < 0:
            raise TooMuch

    # ---- the stack

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _since_mark(self) -> list[Any]:
        place = len(self._stack) - 1
        while self._stack[place] is not _MARK:  # every item is passed once: they are taken off here
            place -= 1
            if place < 0:
                raise pickle.UnpicklingError("no mark")
        items = self._stack[place + 1 :]
        del self._stack[place:]
        return items

    def _tuple(self, count: int) -> None:
        if len(self._stack) < count:
            raise IndexError
        items = tuple(self._stack[len(self._stack) - count :])
        del self._stack[len(self._stack) - count :]
        self._push(items)

    def _dict(self) -> None:
        made: dict[Any, Any] = {}
        self._set(made, self._since_mark())
        self._push(made)

    def _set(self, owner: Any, items: list[Any]) -> None:
        if isinstance(owner, dict):
            for key, value in zip(items[::2], items[1::2], strict=True):
                if _is_key(key):
                    owner[key] = value
        elif not isinstance(owner, Inert):
            raise pickle.UnpicklingError("no dictionary")

    def _set_item(self) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._set(self._stack[-1], [key, value])

    def _set_items(self) -> None:
        items = self._since_mark()
        self._set(self._stack[-1], items)

    def _extend(self, items: list[Any]) -> None:
        owner = self._stack[-1]
        if isinstance(owner, list):
            owner.extend(items)
        elif not isinstance(owner, Inert):
            raise pickle.UnpicklingError("no list")

    def _call(self, function: Any, arguments: Any) -> None:
        if not isinstance(arguments, tuple):
            raise pickle.UnpicklingError("arguments that are no tuple")
        if not isinstance(function, Known):
            self._push(INERT)
            return
        self._spend(sum(len(each) for each in arguments if isinstance(each, (list, tuple, dict))))
        self._push(function.function(*arguments))

    def _reduce(self) -> None:
        arguments, function = self._stack.pop(), self._stack.pop()
        self._call(function, arguments)

    def _new_object_with_names(self) -> None:
        self._stack.pop()
        self._reduce()

    def _inst(self) -> None:
        self._line(1000), self._line(1000)
        self._since_mark()
        self._push(INERT)

    def _object(self) -> None:
        self._since_mark()
        self._push(INERT)

    def _global(self) -> None:
        module, name = self._line(1000), self._line(1000)
        self._push(self._find_class(module, name))

    def _stack_global(self) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise pickle.UnpicklingError("a name that is no text")
        self._push(self._find_class(module, name))

    def _pop(self) -> None:
        self._stack.pop()

    def _set_aside(self) -> None:
        """A set, or a state: whatever it holds is not looked at."""
        self._since_mark()

    def _put(self, place: int) -> None:
        self._memo[place] = self._stack[-1]

    def _long(self, size: int) -> None:
        if size > _LONGEST_NUMBER:
            raise pickle.UnpicklingError("a number with too many digits")
        self._push(int.from_bytes(self._read(size), "little", signed=True))

    def _text_number(self) -> None:
        text = self._line(_LONGEST_NUMBER).rstrip("L")
        self._push(text == "01" if text in ("00", "01") else int(text))


class TooMuch(pickle.UnpicklingError):
    """A program that takes more steps than any model's."""


def _protocol(program: Program) -> None:
    if program._read(1)[0] > pickle.HIGHEST_PROTOCOL:
        raise ValueError("a protocol that is not known")


_ACTIONS: Mapping[bytes, Callable[[Program], Any]] = {
    pickle.PROTO: _protocol,
    pickle.FRAME: lambda it: it._read(8),
    pickle.MARK: lambda it: it._push(_MARK),
    pickle.POP: Program._pop,
    pickle.POP_MARK: Program._since_mark,
    pickle.DUP: lambda it: it._push(it._stack[-1]),
    pickle.NONE: lambda it: it._push(None),
    pickle.NEWTRUE: lambda it: it._push(True),
    pickle.NEWFALSE: lambda it: it._push(False),
    # ---- numbers
    pickle.BININT: lambda it: it._push(struct.unpack("<i", it._read(4))[0]),
    pickle.BININT1: lambda it: it._push(it._number(1)),
    pickle.BININT2: lambda it: it._push(it._number(2)),
    pickle.LONG1: lambda it: it._long(it._number(1)),
    pickle.LONG4: lambda it: it._long(it._number(4)),
    pickle.BINFLOAT: lambda it: it._push(struct.unpack(">d", it._read(8))[0]),
    pickle.INT: Program._text_number,
    pickle.LONG: Program._text_number,
    pickle.FLOAT: lambda it: it._push(float(it._line(_LONGEST_NUMBER))),
    # ---- texts and bytes
    pickle.SHORT_BINUNICODE: lambda it: it._push(str(it._read(it._number(1)), "utf-8", "surrogatepass")),
    pickle.BINUNICODE: lambda it: it._push(str(it._read(it._number(4)), "utf-8", "surrogatepass")),
    pickle.BINUNICODE8: lambda it: it._push(str(it._read(it._number(8)), "utf-8", "surrogatepass")),
    pickle.SHORT_BINSTRING: lambda it: it._push(str(it._read(it._number(1)), "utf-8")),
    pickle.BINSTRING: lambda it: it._push(str(it._read(it._number(4)), "utf-8")),
    pickle.SHORT_BINBYTES: lambda it: it._push(it._read(it._number(1))),
    pickle.BINBYTES: lambda it: it._push(it._read(it._number(4))),
    pickle.BINBYTES8: lambda it: it._push(it._read(it._number(8))),
    pickle.BYTEARRAY8: lambda it: it._push(it._read(it._number(8))),
    pickle.UNICODE: lambda it: it._push(it._line(LONGEST_PROGRAM)),
    pickle.STRING: lambda it: it._push(it._line(LONGEST_PROGRAM)[1:-1]),
    # ---- containers
    pickle.EMPTY_LIST: lambda it: it._push([]),
    pickle.LIST: lambda it: it._push(it._since_mark()),
    pickle.APPEND: lambda it: it._extend([it._stack.pop()]),
    pickle.APPENDS: lambda it: it._extend(it._since_mark()),
    pickle.EMPTY_TUPLE: lambda it: it._push(()),
    pickle.TUPLE: lambda it: it._push(tuple(it._since_mark())),
    pickle.TUPLE1: lambda it: it._tuple(1),
    pickle.TUPLE2: lambda it: it._tuple(2),
    pickle.TUPLE3: lambda it: it._tuple(3),
    pickle.EMPTY_DICT: lambda it: it._push({}),
    pickle.DICT: Program._dict,
    pickle.SETITEM: Program._set_item,
    pickle.SETITEMS: Program._set_items,
    pickle.EMPTY_SET: lambda it: it._push(INERT),
    pickle.ADDITEMS: Program._set_aside,
    pickle.FROZENSET: Program._object,
    # ---- what is known by name
    pickle.GLOBAL: Program._global,
    pickle.STACK_GLOBAL: Program._stack_global,
    pickle.INST: Program._inst,
    pickle.OBJ: Program._object,
    pickle.REDUCE: Program._reduce,
    pickle.NEWOBJ: Program._reduce,
    pickle.NEWOBJ_EX: Program._new_object_with_names,
    pickle.BUILD: Program._pop,
    pickle.BINPERSID: lambda it: it._push(it._storage_of(it._stack.pop())),
    # ---- the memo
    pickle.MEMOIZE: lambda it: it._put(len(it._memo)),
    pickle.BINPUT: lambda it: it._put(it._number(1)),
    pickle.LONG_BINPUT: lambda it: it._put(it._number(4)),
    pickle.PUT: lambda it: it._put(int(it._line(_LONGEST_NUMBER))),
    pickle.BINGET: lambda it: it._push(it._memo[it._number(1)]),
    pickle.LONG_BINGET: lambda it: it._push(it._memo[it._number(4)]),
    pickle.GET: lambda it: it._push(it._memo[int(it._line(_LONGEST_NUMBER))]),
}
