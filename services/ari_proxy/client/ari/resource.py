"""What the generated classes of operations share: sending, and reading the answer."""

from collections.abc import Mapping
from functools import cache
from typing import Final

import msgspec

from ari_proxy.client import errors
from ari_proxy.client.errors import AnswerLost
from ari_proxy.protocol.malformed import UNDECODABLE

from .model import ModelT, with_raw
from .requests import Argument, Operation, Request, request
from .transport import AriTransport

#: What stands for bytes that were no UTF-8 where somebody has made a text of them.
_REPLACEMENT: Final = "\ufffd"

_elements = msgspec.json.Decoder(tuple[msgspec.Raw, ...])


class AriResource:
    """Base class of the operations on one kind of object."""

    __slots__ = ("_transport",)

    def __init__(self, transport: AriTransport) -> None:
        self._transport = transport

    async def _send(
        self,
        operation: Operation,
        path: Mapping[str, str],
        query: Mapping[str, Argument],
        body: Mapping[str, object] | None = None,
    ) -> "AriAnswered":
        transport = self._transport
        sent = request(operation, path, query, body, transport.asterisk_version)
        answer = await transport.request(sent.method, sent.url, sent.body)
        error = errors.of_answer(sent.description, answer.status, answer.body)
        if error is not None:
            raise error
        return AriAnswered(sent, answer.body)


class AriAnswered:
    """A successful answer."""

    __slots__ = ("_body", "_request")

    def __init__(self, sent: Request, body: str | bytes) -> None:
        self._request = sent
        self._body = body

    def one(self, model: type[ModelT]) -> ModelT:
        """Return the object in it.

        Raises:
            AnswerLost: it is none of this kind.
        """
        return self._read(model, self._text())

    def many(self, model: type[ModelT]) -> tuple[ModelT, ...]:
        """Return the objects in it.

        Raises:
            AnswerLost: they are none of this kind.
        """
        try:
            elements = _elements.decode(self._body)
        except UNDECODABLE as error:
            raise self._lost(str(error)) from error
        return tuple(self._read(model, bytes(element).decode()) for element in elements)

    def file(self) -> bytes:
        """Return it as bytes.

        Raises:
            AnswerLost: it has become a text on its way, and can't be restored.
        """
        if isinstance(self._body, bytes):
            return self._body
        if _REPLACEMENT in self._body:
            raise self._lost("a file that is not text does not survive on a bus")
        return self._body.encode()

    def _text(self) -> str:
        return self._body if isinstance(self._body, str) else self._body.decode(errors="replace")

    def _read(self, model: type[ModelT], text: str) -> ModelT:
        try:
            found: ModelT = _decoder(model).decode(text)
        except UNDECODABLE as error:
            raise self._lost(f"it is no {model.__name__}: {error}") from error
        return with_raw(found, text)

    def _lost(self, why: str) -> AnswerLost:
        return AnswerLost(self._request.description, f"the answer can't be used: {why}")


@cache
def _decoder(model: type[ModelT]) -> "msgspec.json.Decoder[ModelT]":
    """Return the decoder of a model: made once, when it is first needed."""
    return msgspec.json.Decoder(model)
