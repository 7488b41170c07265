"""Transfers, as a call offers them."""

from collections.abc import Mapping, Sequence
from typing import Literal, overload

from ari_proxy.client.ari.requests import VariableValue
from ari_proxy.client.media.channel import MediaChannel

from .control import ControlledChannel
from .dialling import RING_SECONDS, DialOptions
from .leg import Leg
from .transferring import ACCEPT_SECONDS, Acceptance, AttendedTransfer, transfer_blindly


class TransferableChannel(MediaChannel, ControlledChannel):
    """A channel that can be put through to somebody else, as can its legs."""

    @overload
    async def transfer(
        self,
        endpoint: str,
        *,
        attended: Literal[False] = False,
        of: Leg | None = None,
        timeout: float = RING_SECONDS,  # noqa: ASYNC109  as below
    ) -> None: ...

    @overload
    async def transfer(
        self,
        endpoint: str | Sequence[str],
        *,
        attended: Literal[True],
        of: Leg | None = None,
        timeout: float = RING_SECONDS,  # noqa: ASYNC109  as below
        accept: str = "",
        announce: str | Sequence[str] | None = None,
        accept_seconds: float = ACCEPT_SECONDS,
        ring: str | None = "moh",
        caller_id: str | None = None,
        variables: Mapping[str, VariableValue] | None = None,
    ) -> Leg: ...

    async def transfer(  # noqa: PLR0913  by name, each with a default
        self,
        endpoint: str | Sequence[str],
        *,
        attended: bool = False,
        of: Leg | None = None,
        timeout: float = RING_SECONDS,  # noqa: ASYNC109  the other end's time to answer
        accept: str = "",
        announce: str | Sequence[str] | None = None,
        accept_seconds: float = ACCEPT_SECONDS,
        ring: str | None = "moh",
        caller_id: str | None = None,
        variables: Mapping[str, VariableValue] | None = None,
    ) -> Leg | None:
        """Put the caller through to somebody else, or one of the legs.

        **Blind**: the phone or the trunk does it itself, as its technology can (SIP: 302 before the
        answer, REFER after it), and has left then; the call has ended. It has to be of the
        endpoint's technology. Asterisk does not tell a refusal: who has not left within `timeout`
        was not transferred, and is still there.

        **Attended**: endpoints are dialled, while the caller hears music. Who answers is asked to
        press a digit, and talks to the caller then. It returns when that one has left: the caller
        is with the handler again.

        Args:
            endpoint: like `PJSIP/200`; of an attended transfer also several, dialled at once.
            attended: whether the other one is asked before.
            of: the leg that is put through, instead of the caller.
            timeout: seconds until somebody has answered; until the phone has done a blind one.
            accept: digits of which one accepts, like `1`; '' if an answer is enough.
            announce: what is played to who is asked, up to three times; `press` and the digit by
                default.
            accept_seconds: in which to accept.
            ring: what is heard until then, as of `dial`, but for `early`: who is asked sends more
                than the caller is to hear.
            caller_id: what they see, like `Ann <100>`.
            variables: names and values of variables of their channels.

        Returns:
            None of a blind transfer; the leg that has talked of an attended one.

        Raises:
            CallEnded: who was to be put through has left; who was asked, or has talked, is hung up.
            DialFailed: Busy, NoAnswer, Rejected, or NotAccepted: who has answered has pressed
                another digit, none, or has hung up.
            NotTransferred: the phone has not done it.
            InvalidParameters: its technology can't do that, or the endpoint is of another one.
            ValueError: `ring` can't be heard, or a blind transfer has several endpoints.
        """
        party = self if of is None else of
        if not attended:
            if not isinstance(endpoint, str):
                raise ValueError("a blind transfer has one endpoint")
            await transfer_blindly(party, endpoint, within_seconds=timeout)
            return None
        options = DialOptions(
            timeout=timeout, caller_id=caller_id, ring=ring, variables=variables or {}
        )
        acceptance = Acceptance(digits=accept, announcement=announce, seconds=accept_seconds)
        several = [endpoint] if isinstance(endpoint, str) else list(endpoint)
        return await AttendedTransfer(party, several, options, acceptance).run()
