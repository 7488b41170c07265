"""HTTP response bodies of bounded size: a server may never stop sending."""

import aiohttp


async def read(answer: aiohttp.ClientResponse, max_bytes: int) -> bytes | None:
    """Return a response's body, or None, with its connection closed, if it is too large.

    Raises:
        aiohttp.ClientError: the connection broke off.
    """
    if (answer.content_length or 0) <= max_bytes:
        content = bytearray()
        async for piece in answer.content.iter_any():
            content += piece
            if len(content) > max_bytes:
                break
        else:
            return bytes(content)
    answer.close()
    return None
