"""A SIP phone that answers, and asks for a transfer by REFER (RFC 3515) when it gets a digit."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from tests.support.ports import free_port

_COPIED = ("Via:", "From:", "Call-ID:", "CSeq:")


class SipPhone(asyncio.DatagramProtocol):
    """Takes one call; whatever else Asterisk asks is answered with 200."""

    def __init__(self, transferred_to: str) -> None:
        self.port = free_port()
        self._own = f"127.0.0.1:{self.port}"
        self._transferred_to = transferred_to
        #: How its requests begin, once it is in a call: all but the method.
        self._dialog: list[str] = []
        self._number = 0
        #: The statuses of the transfer that it was told (NOTIFY).
        self.told: list[int] = []
        self.has_hung_up = False
        #: Requests that it has: Asterisk sends one again while it has no answer (RFC 3261 17.1).
        self._taken: set[str] = set()

    @property
    def uri(self) -> str:
        return f"sip:phone@{self._own}"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        self._server = address
        head, _, body = data.decode().partition("\r\n\r\n")
        first, *lines = head.split("\r\n")
        method = first.partition(" ")[0]
        if method in {"ACK", "SIP/2.0"}:
            return
        number = _line(lines, "CSeq:")
        is_new, self._taken = number not in self._taken, self._taken | {number}
        if method == "INVITE":
            if is_new:
                self._take_call(lines)
            return
        self._answer(lines, _line(lines, "To:"))
        if is_new:
            self._take_request(method, body)

    def _take_call(self, lines: list[str]) -> None:
        own = f"{_line(lines, 'To:')};tag=phone"
        self._target = _line(lines, "Contact:").partition("<")[2].partition(">")[0]
        self._dialog = [
            own.replace("To:", "From:"),
            _line(lines, "From:").replace("From:", "To:"),
            _line(lines, "Call-ID:"),
        ]
        media = f"c=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {free_port()} RTP/AVP 0\r\n"
        offer = f"v=0\r\no=phone 1 1 IN IP4 127.0.0.1\r\ns=-\r\n{media}"
        self._answer(
            lines, own, f"Contact: <{self.uri}>", "Content-Type: application/sdp", body=offer
        )

    def _take_request(self, method: str, body: str) -> None:
        if method == "INFO":
            self._ask("REFER", f"Refer-To: <sip:{self._transferred_to}@127.0.0.1>")
        elif method == "NOTIFY" and (status := re.match(r"SIP/2.0 (\d+)", body)):
            self.told.append(int(status[1]))
            if self.told[-1] >= 200:
                self._ask("BYE")
                self.has_hung_up = True

    def _answer(self, lines: list[str], to: str, *more: str, body: str = "") -> None:
        copied = [line for line in lines if line.startswith(_COPIED)]
        self._send("SIP/2.0 200 OK", *copied, to, *more, body=body)

    def _ask(self, method: str, *more: str) -> None:
        self._number += 1
        self._send(
            f"{method} {self._target} SIP/2.0",
            f"Via: SIP/2.0/UDP {self._own};branch=z9hG4bK-{self.port}-{self._number}",
            *self._dialog,
            f"CSeq: {self._number} {method}",
            f"Contact: <{self.uri}>",
            "Max-Forwards: 70",
            *more,
        )

    def _send(self, *lines: str, body: str = "") -> None:
        message = "\r\n".join([*lines, f"Content-Length: {len(body)}", "", body])
        self._transport.sendto(message.encode(), self._server)


def _line(lines: list[str], name: str) -> str:
    return next(line for line in lines if line.startswith(name))


@asynccontextmanager
async def sip_phone(transferred_to: str) -> AsyncIterator[SipPhone]:
    """Have a phone that can be called, during a block."""
    phone = SipPhone(transferred_to)
    loop = asyncio.get_running_loop()
    address = ("127.0.0.1", phone.port)
    transport, _ = await loop.create_datagram_endpoint(lambda: phone, local_addr=address)
    try:
        yield phone
    finally:
        transport.close()
