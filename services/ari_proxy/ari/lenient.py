"""Lenient JSON decoding: a field of another type, or null, counts as absent. Sans-I/O.

Asterisk's fields don't keep their types: `caller` is a channel in Dial and a string in
CallBroadcast. One unexpected field must not cost the others.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final, Generic, TypeVar

import msgspec
from msgspec.inspect import StructType, Type, UnionType, VarTupleType, type_info

T = TypeVar("T")
_object_decoder: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_list_decoder: Final = msgspec.json.Decoder(list[msgspec.Raw])
_text_decoder: Final = msgspec.json.Decoder(str)


class LenientDecoder(Generic[T]):
    """Decodes a Struct of strings, tuples and other Structs; JSON that fits costs nothing extra."""

    def __init__(self, kind: type[T]) -> None:
        self._decoder = msgspec.json.Decoder(kind)
        self._info = type_info(kind)

    def decode(self, text: str | bytes | msgspec.Raw) -> T:
        """Return the object with those fields that fit.

        Raises:
            UNDECODABLE: the text is not a JSON object, or a required field does not fit.
        """
        try:
            return self._decoder.decode(text)
        except msgspec.ValidationError:
            fitting: T = _fitting(self._info, msgspec.Raw(text))
            return fitting


def _fitting(info: Type, raw: msgspec.Raw) -> Any:
    """Return the value as far as it fits, or raise ValidationError."""
    if isinstance(info, UnionType):  # Of one type and None for an absent field.
        return _fitting(next(t for t in info.types if not _is_none(t)), raw)
    if isinstance(info, StructType):
        return _struct(info, _object_decoder.decode(raw))
    if isinstance(info, VarTupleType):
        return tuple(_all_that_fit((info.item_type, item) for item in _list_decoder.decode(raw)))
    return _text_decoder.decode(raw)


def _is_none(info: Type) -> bool:
    return isinstance(info, msgspec.inspect.NoneType)


def _struct(info: StructType, given: dict[str, msgspec.Raw]) -> Any:
    fields = {}
    for field in info.fields:
        if field.encode_name in given:
            for value in _all_that_fit([(field.type, given[field.encode_name])]):
                fields[field.name] = value
        if field.required and field.name not in fields:
            raise msgspec.ValidationError(f"Object has no fitting `{field.encode_name}`")
    return info.cls(**fields)


def _all_that_fit(parts: Iterable[tuple[Type, msgspec.Raw]]) -> Iterator[Any]:
    for info, raw in parts:
        try:
            fitting = _fitting(info, raw)
        except msgspec.ValidationError:
            continue
        yield fitting
