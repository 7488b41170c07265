"""Reads the bodies of HTTP answers, up to a bound: whoever answers may go on for ever."""

import aiohttp


async def read(answer: aiohttp.ClientResponse, max_bytes: int) -> bytes | None:
    """Return an answer's body, or None if it is too large: then its connection is ended.

    Raises:
        aiohttp.ClientError: it breaks off.
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
