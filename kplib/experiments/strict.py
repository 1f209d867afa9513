"""Frozen data classes to JSON and back, with every name and type checked on the way.

The annotations are the schema: a key that a class does not have, a missing one without a default,
and a value of another type are errors that say where they stand.
"""

import dataclasses
import functools
import math
import types
import typing
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, TypeVar

__all__ = ["checked", "from_json", "to_json"]

T = TypeVar("T")

# Annotations are evaluated anew each time, and a record has many.
_hints: Callable[[Any], dict[str, Any]] = functools.cache(typing.get_type_hints)


def to_json(value: Any) -> Any:
    """Turn data classes, mappings and tuples into dictionaries and lists, all the way down.

    Parameters
    ----------
    value : data class, mapping, tuple, list, str, int, float, bool or None

    Returns
    -------
    dict, list, str, int, float, bool or None
        What the json module writes.

    Raises
    ------
    ValueError
        If something in it has no JSON: another type, a key that is no string, NaN, infinity.

    Examples
    --------
    >>> to_json({"shape": (8, 4)}) == {"shape": [8, 4]}
    True
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = (field.name for field in dataclasses.fields(value))
        return {name: to_json(getattr(value, name)) for name in names}
    if isinstance(value, Mapping):
        if wrong := [key for key in value if not isinstance(key, str)]:
            raise ValueError(f"a key of JSON must be a string, found {wrong[0]!r}")
        return {key: to_json(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [to_json(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"JSON has no {value}")
    if value is None or type(value) in (str, int, float, bool):
        return value
    raise ValueError(f"{type(value).__name__} has no JSON: {value!r}")


def from_json(row_type: type[T], raw: object, where: str = "") -> T:
    """Make a data class of what `to_json` made of it; nothing is guessed, nothing is dropped.

    Parameters
    ----------
    row_type : type
        The data class.
    raw : object
        What the json module read.
    where : str, optional
        Of what it is, for the messages.

    Returns
    -------
    object
        Of `row_type`; lists are tuples.

    Raises
    ------
    ValueError
        If a key is unknown or missing, or a value is of another type; it says which.

    Examples
    --------
    >>> @dataclasses.dataclass(frozen=True)
    ... class Factor:
    ...     shape: tuple[int, int]
    ...     scale: float = 1.0
    >>> from_json(Factor, {"shape": [8, 4]})
    Factor(shape=(8, 4), scale=1.0)
    >>> from_json(Factor, {"shape": [8, "4"]}, "A")
    Traceback (most recent call last):
    ValueError: A.shape[1] must be an integer, found '4'
    >>> to_json(from_json(Factor, {"shape": [8, 4], "scale": 2})) == {"shape": [8, 4], "scale": 2.0}
    True
    """
    label = where or row_type.__name__
    if not isinstance(raw, Mapping):
        raise ValueError(f"{label} must be an object with names, found {raw!r:.60}")
    fields = {field.name: field for field in dataclasses.fields(row_type)}  # type: ignore[arg-type]
    if unknown := [key for key in raw if key not in fields]:
        raise ValueError(f"{label} has no {unknown[0]!r}; it has {', '.join(fields)}")
    for name, field in fields.items():
        required = (
            field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        )
        if required and name not in raw:
            raise ValueError(f"{label} lacks {name!r}")
    hints = _hints(row_type)
    return row_type(**{name: _value(hints[name], raw[name], f"{label}.{name}") for name in raw})


def checked(row: Any) -> dict[str, Any]:
    """Return the values of a data class's fields as their annotations want them.

    For ``__post_init__``: a list becomes a tuple, an integer where a float is meant a float, and a
    value of another type a ValueError.

    Parameters
    ----------
    row : data class

    Returns
    -------
    dict of str to object

    Examples
    --------
    >>> @dataclasses.dataclass
    ... class Factor:
    ...     shape: tuple[int, ...]
    >>> checked(Factor([8, 4])) == {"shape": (8, 4)}
    True
    """
    hints = _hints(type(row))
    label = type(row).__name__
    return {
        field.name: _value(hints[field.name], getattr(row, field.name), f"{label}.{field.name}")
        for field in dataclasses.fields(row)
    }


def _value(hint: Any, raw: object, where: str) -> Any:
    """Return a value of the annotated type, or raise a ValueError that says where it stands."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return _union(arguments, raw, where)
    if origin is typing.Literal:
        if not any(type(raw) is type(known) and raw == known for known in arguments):
            listed = ", ".join(map(repr, arguments))
            raise ValueError(f"{where} must be one of {listed}, found {raw!r:.60}")
        return raw
    if origin is tuple:
        return _tuple(arguments, raw, where)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _mapping(arguments[1], raw, where)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return raw if isinstance(raw, hint) else from_json(hint, raw, where)
    return _scalar(hint, raw, where)


def _scalar(hint: Any, raw: object, where: str) -> Any:
    if hint is Any:
        try:
            return to_json(raw)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None
    if hint is float and type(raw) in (int, float):
        with suppress(OverflowError):  # an integer beyond float64
            if math.isfinite(number := float(typing.cast("float", raw))):
                return number
    elif hint is not float and type(raw) is hint:
        return raw
    names = {int: "an integer", float: "a finite number", str: "a string", bool: "true or false"}
    raise ValueError(f"{where} must be {names.get(hint, hint)}, found {raw!r:.60}")


def _union(options: tuple[Any, ...], raw: object, where: str) -> Any:
    """Return None, a scalar, or the one of several data classes whose ``kind`` it is."""
    if raw is None and types.NoneType in options:
        return None
    rest = [option for option in options if option is not types.NoneType]
    if len(rest) == 1:
        return _value(rest[0], raw, where)
    if isinstance(raw, tuple(rest)):
        return raw
    kinds = {option.__dataclass_fields__["kind"].default: option for option in rest}
    kind = raw.get("kind") if isinstance(raw, Mapping) else None
    if not isinstance(kind, str) or kind not in kinds:
        raise ValueError(f"{where} must be of a kind of {', '.join(kinds)}, found {raw!r:.60}")
    return from_json(kinds[kind], raw, where)


def _tuple(hints: tuple[Any, ...], raw: object, where: str) -> tuple[Any, ...]:
    if not isinstance(raw, list | tuple):
        raise ValueError(f"{where} must be a list, found {raw!r:.60}")
    if hints[-1] is Ellipsis:
        hints = hints[:1] * len(raw)
    if len(hints) != len(raw):
        raise ValueError(f"{where} must have {len(hints)} entries, found {len(raw)}")
    pairs = zip(hints, raw, strict=True)
    return tuple(_value(hint, item, f"{where}[{k}]") for k, (hint, item) in enumerate(pairs))


def _mapping(hint: Any, raw: object, where: str) -> dict[str, Any]:
    if not isinstance(raw, Mapping):
        raise ValueError(f"{where} must be an object with names, found {raw!r:.60}")
    if wrong := [key for key in raw if not isinstance(key, str)]:
        raise ValueError(f"a key of {where} must be a string, found {wrong[0]!r}")
    return {key: _value(hint, item, f"{where}.{key}") for key, item in raw.items()}
