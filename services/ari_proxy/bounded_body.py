"""HTTP response bodies of bounded size: a server may never stop sending."""

import aiohttp


async def read(answer: aiohttp.ClientResponse, max_bytes: int) -> bytes | None:
    """Return a response's body, or None, with its connection closed, if it is too large.

    Raises:
        aiohttp.ClientError: the connection broke off.
    """
    content = await content_of(answer.content, answer.content_length or 0, max_bytes)
    if content is None:
        answer.close()
    return content


async def content_of(stream: aiohttp.StreamReader, length: int, max_bytes: int) -> bytes | None:
    """Return all that comes on a stream, or None if it is too large; the rest is not read then.

    Args:
        stream: of a response.
        length: what the server has told, or 0.
        max_bytes: the limit.

    Raises:
        aiohttp.ClientError: the connection broke off.
    """
    if length > max_bytes:
        return None
    if stream.is_eof():  # It has come with the head, as nearly all of Asterisk's do.
        whole = stream.read_nowait()
        return whole if len(whole) <= max_bytes else None
    content = bytearray()
    async for piece in stream.iter_any():
        content += piece
        if len(content) > max_bytes:
            return None
    return bytes(content)
