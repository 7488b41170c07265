"""What `ari/http_connections.py` uses of aiohttp beyond its documented interface.

When a test here fails after an update of aiohttp, look at what has become of the name in its
`client_proto.py`, change `ari/http_connections.py` accordingly, then this file.
"""

import asyncio
import inspect

import pytest
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import HttpProcessingError


@pytest.fixture
async def handler() -> ResponseHandler:
    return ResponseHandler(asyncio.get_running_loop())


def test_parameters_of_an_answer_have_their_names() -> None:
    parameters = inspect.signature(ResponseHandler.set_response_params).parameters

    assert {"read_until_eof", "auto_decompress"} <= set(parameters)


async def test_answers_are_read_with_their_bodies(handler: ResponseHandler) -> None:
    handler.set_response_params(read_until_eof=True, auto_decompress=False)
    handler.data_received(b"HTTP/1.1 100 Continue\r\n\r\n")
    handler.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    first, _ = await handler.read()
    second, body = await handler.read()

    assert (first.code, second.code) == (100, 200)
    assert second.headers.get("Content-Length") == "2"
    assert (body.is_eof(), body.read_nowait()) == (True, b"ok")
    assert not handler.should_close


async def test_bytes_without_a_request_spoil_a_connection(handler: ResponseHandler) -> None:
    handler.set_response_params(read_until_eof=True, auto_decompress=False)
    handler.data_received(b"HTTP/1.1 204 No Content\r\n\r\n")
    await handler.read()
    assert not handler.should_close

    handler.data_received(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")

    assert handler.should_close


async def test_what_is_no_http_raises(handler: ResponseHandler) -> None:
    handler.set_response_params(read_until_eof=True, auto_decompress=False)
    handler.data_received(b"nonsense\r\n\r\n")

    with pytest.raises(HttpProcessingError):
        await handler.read()
