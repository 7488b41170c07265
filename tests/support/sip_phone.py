"""A SIP phone that answers, and asks for a transfer by REFER (RFC 3515) when it gets a digit."""

import asyncio
import itertools
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, cast

from tests.support.ports import free_port

_COPIED = ("Via:", "From:", "Call-ID:", "CSeq:")
_SDP: Final = "Content-Type: application/sdp"
#: Statuses from here on end a transfer.
_FINAL: Final = 200


@dataclass
class _SipDialog:
    """A call of the phone: what its requests in it begin with."""

    target: str
    #: From, To and Call-ID.
    head: list[str]
    #: The CSeq of its last request.
    number: int = 0

    def tag(self, name: str) -> str:
        """Return the tag of one of its sides, by the header: `From:` is the phone."""
        return _line(self.head, name).partition(";tag=")[2]


class SipPhone(asyncio.DatagramProtocol):
    """Takes one call; whatever else Asterisk asks is answered with 200.

    A phone that consults calls the other one first, with its first digit; by the next one it has
    that call replaced by the first one's caller (RFC 3891).
    """

    def __init__(self, transferred_to: str, *, consulted_at: str = "") -> None:
        self.port = free_port()
        self._own = f"127.0.0.1:{self.port}"
        self._transferred_to = transferred_to
        #: Where Asterisk listens, to consult there.
        self._consulted_at = consulted_at
        self._call: _SipDialog | None = None
        self._consultation: _SipDialog | None = None
        self._branches = itertools.count(1)
        #: The statuses of the transfer that it was told (NOTIFY).
        self.told: list[int] = []
        self.has_hung_up = False
        #: Requests that it has: Asterisk sends one again while it has no answer (RFC 3261 17.1).
        self._taken: set[tuple[str, str]] = set()

    @property
    def uri(self) -> str:
        return f"sip:phone@{self._own}"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        self._server = address
        head, _, body = data.decode().partition("\r\n\r\n")
        first, *lines = head.split("\r\n")
        method, _, status = first.partition(" ")
        if method == "SIP/2.0":
            self._take_answer(status, lines)
        elif method != "ACK":
            name = _line(lines, "Call-ID:"), _line(lines, "CSeq:")
            is_new, self._taken = name not in self._taken, self._taken | {name}
            self._take(method, lines, body, is_new=is_new)

    def _take(self, method: str, lines: list[str], body: str, *, is_new: bool) -> None:
        if method == "INVITE":
            if is_new:
                self._take_call(lines)
            return
        self._answer(lines, _line(lines, "To:"))
        if is_new:
            self._take_request(method, body)

    def _take_call(self, lines: list[str]) -> None:
        own = f"{_line(lines, 'To:')};tag=phone"
        other = _line(lines, "From:").replace("From:", "To:")
        head = [own.replace("To:", "From:"), other, _line(lines, "Call-ID:")]
        self._call = _SipDialog(_contact(lines), head)
        self._answer(lines, own, f"Contact: <{self.uri}>", _SDP, body=_offer())

    def _take_request(self, method: str, body: str) -> None:
        if method == "INFO":
            self._press()
        elif method == "NOTIFY" and (status := re.match(r"SIP/2.0 (\d+)", body)):
            self.told.append(int(status[1]))
            if self.told[-1] >= _FINAL and self._call is not None:
                self._ask(self._call, "BYE")
                self.has_hung_up = True

    def _press(self) -> None:
        """Do what its user does now."""
        if self._consulted_at and self._consultation is None:
            self._consult()
        elif self._call is not None:
            self._ask(self._call, "REFER", f"Refer-To: <{self._refer_to()}>")

    def _refer_to(self) -> str:
        other = f"sip:{self._transferred_to}@127.0.0.1"
        if self._consultation is None:
            return other
        call_id = _line(self._consultation.head, "Call-ID:").partition(" ")[2]
        tags = self._consultation.tag("To:"), self._consultation.tag("From:")
        return f"{other}?Replaces={call_id}%3Bto-tag%3D{tags[0]}%3Bfrom-tag%3D{tags[1]}"

    def _consult(self) -> None:
        target = f"sip:{self._transferred_to}@{self._consulted_at}"
        own = [f"From: <{self.uri}>;tag=consulting", f"To: <{target}>"]
        self._consultation = _SipDialog(target, [*own, f"Call-ID: consultation-{self.port}"])
        self._ask(self._consultation, "INVITE", _SDP, body=_offer())

    def _take_answer(self, status: str, lines: list[str]) -> None:
        """Take the answer to its INVITE."""
        if self._consultation is None or not _line(lines, "CSeq:").endswith("INVITE"):
            return
        if status.startswith("200"):
            own, _, call_id = self._consultation.head
            self._consultation.head = [own, _line(lines, "To:"), call_id]
            self._consultation.target = _contact(lines)
            self._consultation.number -= 1  # The ACK has the number of the INVITE.
            self._ask(self._consultation, "ACK")

    def _answer(self, lines: list[str], to: str, *more: str, body: str = "") -> None:
        copied = [line for line in lines if line.startswith(_COPIED)]
        self._send("SIP/2.0 200 OK", *copied, to, *more, body=body)

    def _ask(self, dialog: _SipDialog, method: str, *more: str, body: str = "") -> None:
        dialog.number += 1
        self._send(
            f"{method} {dialog.target} SIP/2.0",
            f"Via: SIP/2.0/UDP {self._own};branch=z9hG4bK-{self.port}-{next(self._branches)}",
            *dialog.head,
            f"CSeq: {dialog.number} {method}",
            f"Contact: <{self.uri}>",
            "Max-Forwards: 70",
            *more,
            body=body,
        )

    def _send(self, *lines: str, body: str = "") -> None:
        message = "\r\n".join([*lines, f"Content-Length: {len(body)}", "", body])
        self._transport.sendto(message.encode(), self._server)


def _line(lines: list[str], name: str) -> str:
    return next(line for line in lines if line.startswith(name))


def _contact(lines: list[str]) -> str:
    return _line(lines, "Contact:").partition("<")[2].partition(">")[0]


def _offer() -> str:
    media = f"c=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {free_port()} RTP/AVP 0\r\n"
    return f"v=0\r\no=phone 1 1 IN IP4 127.0.0.1\r\ns=-\r\n{media}"


@asynccontextmanager
async def sip_phone(transferred_to: str, *, consulted_at: str = "") -> AsyncIterator[SipPhone]:
    """Have a phone that can be called, during a block.

    Args:
        transferred_to: whom it transfers to.
        consulted_at: host and port of the server where it calls them before; '' does without.
    """
    phone = SipPhone(transferred_to, consulted_at=consulted_at)
    loop = asyncio.get_running_loop()
    address = ("127.0.0.1", phone.port)
    transport, _ = await loop.create_datagram_endpoint(lambda: phone, local_addr=address)
    try:
        yield phone
    finally:
        transport.close()
