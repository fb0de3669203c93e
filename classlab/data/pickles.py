"""Reading CIFAR-10's pickles without Python's unpickler, so that nothing in the file can run.

Python's own disassembler names each instruction; the few that build dictionaries, lists, strings, numbers and arrays of
bytes are carried out here, on plain values. An array is the one pattern NumPy writes. Anything else is refused.
"""

import pickletools
from typing import Any

import numpy as np

from classlab import limits
from classlab.data.bounded_files import BadFile

_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_VALUES = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "STRING", "BINSTRING", "SHORT_BINSTRING"),
    *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
}
_PUTS, _GETS = {"PUT", "BINPUT", "LONG_BINPUT"}, {"GET", "BINGET", "LONG_BINGET"}
_IGNORED = {"PROTO", "FRAME", "STOP"}
_ARRAY_MODULES = ("numpy.core.multiarray", "numpy._core.multiarray")
_MARK = object()


class _Name(str):
    """A global that the pickle mentions: its name, never the thing."""


class _Type:
    """What `numpy.dtype(...)` stands for in the file. Only bytes are read."""


class _Array:
    """What `_reconstruct(...)` stands for in the file, filled in by the state that follows."""

    values: np.ndarray | None = None


def read_pickle(content: bytes, where: str) -> Any:
    """Return the value pickled in `content`: dictionaries, lists, tuples, text, bytes, numbers, arrays of uint8.

    Strings that Python 2 wrote come back as bytes. Raises BadFile, with `where` as the file's name, for a damaged file
    and for one that holds anything else; nothing of it is ever called or imported.
    """
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    written = 0  # bytes that the file spells as text: it may ask for the same text thousands of times
    try:
        for step, (instruction, argument, _) in enumerate(pickletools.genops(content)):
            if step == limits.PICKLE_STEPS:
                raise _Refused(f"has more than {limits.PICKLE_STEPS:,} instructions")
            _carry_out(instruction.name, argument, stack, memo)
            if instruction.name == "REDUCE" and isinstance(stack[-1], bytes):
                written += len(stack[-1])
                if written > len(content):
                    raise _Refused("asks for more bytes than it holds")
        (value,) = stack
        return value.values if isinstance(value, _Array) else _finished(value)
    except _Refused as error:
        raise BadFile(f"{where} is refused: it {error}, and only arrays, lists and strings are read") from None
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, UnicodeError, OverflowError, RecursionError):
        raise BadFile(f"{where} is damaged: it is no whole pickle of arrays, lists and strings") from None


class _Refused(Exception):
    """The pickle asks for something that is not read."""


def _carry_out(name: str, argument: Any, stack: list[Any], memo: dict[int, Any]) -> None:
    if name in _VALUES:
        text_of_python_2 = name in {"STRING", "BINSTRING", "SHORT_BINSTRING"} and isinstance(argument, str)
        stack.append(argument.encode("latin-1") if text_of_python_2 else argument)
    elif name in _PUTS:
        memo[argument] = stack[-1]
    elif name == "MEMOIZE":
        memo[len(memo)] = stack[-1]
    elif name in _GETS:
        stack.append(memo[argument])
    elif name in _CONSTANTS:
        stack.append(_CONSTANTS[name])
    elif name == "MARK":
        stack.append(_MARK)
    elif name in {"EMPTY_DICT", "EMPTY_LIST"}:
        stack.append({} if name == "EMPTY_DICT" else [])
    elif name in {"EMPTY_TUPLE", "TUPLE", "LIST"}:
        parts = [] if name == "EMPTY_TUPLE" else _since_mark(stack)
        stack.append(parts if name == "LIST" else tuple(parts))
    elif name in {"TUPLE1", "TUPLE2", "TUPLE3"}:
        stack.append(tuple(_take(stack, int(name[-1]))))
    elif name in {"APPEND", "APPENDS"}:
        parts = _take(stack, 1) if name == "APPEND" else _since_mark(stack)
        stack[-1].extend(parts)
    elif name in {"SETITEM", "SETITEMS"}:
        parts = _take(stack, 2) if name == "SETITEM" else _since_mark(stack)
        if not all(isinstance(key, str | bytes) for key in parts[::2]):  # others may take for ever to look up
            raise _Refused("names the parts of a dictionary by what is no text")
        stack[-1].update(zip(parts[::2], parts[1::2], strict=True))
    elif name == "GLOBAL":
        stack.append(_name(argument.replace(" ", ".")))
    elif name == "STACK_GLOBAL":
        stack.append(_name(".".join(_take(stack, 2))))
    elif name == "REDUCE":
        stack.append(_stand_in(*_take(stack, 2)))
    elif name == "BUILD":
        target, state = _take(stack, 2)
        _fill(target, state)
        stack.append(target)
    elif name not in _IGNORED:
        raise _Refused(f"uses the instruction {name}")


def _name(dotted: str) -> _Name:
    allowed = {"numpy.ndarray", "numpy.dtype", "_codecs.encode", *(f"{m}._reconstruct" for m in _ARRAY_MODULES)}
    if dotted not in allowed:
        raise _Refused(f"asks for {dotted[:80]!r}")
    return _Name(dotted)


def _stand_in(function: Any, arguments: Any) -> Any:
    """Return what stands for `function(*arguments)`, for the three functions in a pickled array."""
    if not isinstance(function, _Name):
        raise _Refused("calls what is no function")
    if function == "_codecs.encode":  # how Python 3 writes bytes in the older pickles
        text, encoding = arguments
        if encoding != "latin1":
            raise _Refused(f"asks for the encoding {_in_words(encoding)}")
        return text.encode("latin-1")
    if function == "numpy.dtype":
        if arguments[0] not in ("u1", b"u1"):
            raise _Refused(f"holds an array of type {_in_words(arguments[0])}")
        return _Type()
    if function == "numpy.ndarray":
        raise _Refused("calls numpy.ndarray")
    return _Array()


def _in_words(value: Any) -> str:
    """Return what a sentence says of a value. What is no text may hold itself many times, and is not written out."""
    return repr(value[:40]) if isinstance(value, str | bytes) else f"({type(value).__name__})"


def _fill(target: Any, state: Any) -> None:
    """Carry out BUILD: an array takes its shape and bytes; a type's byte order says nothing about bytes."""
    if isinstance(target, _Array):
        _version, shape, kind, fortran, content = state
        if not isinstance(kind, _Type) or not isinstance(content, bytes):
            raise _Refused("holds an array that is not of bytes")
        if not all(type(size) is int and size >= 0 for size in shape):
            raise ValueError("a shape holds whole numbers")
        target.values = np.frombuffer(content, np.uint8).reshape(shape, order="F" if fortran else "C")
    elif not isinstance(target, _Type):
        raise _Refused("sets the state of what is no array")


def _finished(value: Any) -> Any:
    """Put the arrays in the place of what stood for them. Only the outermost dictionary can hold one."""
    if not isinstance(value, dict):
        return value
    return {key: part.values if isinstance(part, _Array) else part for key, part in value.items()}


def _take(stack: list[Any], count: int) -> list[Any]:
    if len(stack) < count:
        raise IndexError("the stack is empty")
    parts = stack[-count:]
    del stack[-count:]
    return parts


def _since_mark(stack: list[Any]) -> list[Any]:
    position = len(stack) - 1
    while stack[position] is not _MARK:
        position -= 1
        if position < 0:
            raise IndexError("no mark")
    parts = stack[position + 1 :]
    del stack[position:]
    return parts
