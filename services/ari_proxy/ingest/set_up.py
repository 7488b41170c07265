"""Set-up of a dialog: announce it, hand over its first events once somebody has subscribed.

No sleeps that hope: the bus tells whether anybody listens. AppStart goes out until an instance
takes it; then the first event, itself the probe, goes out until somebody has subscribed to it.
Nothing is sent twice, since a message that nobody listens to reaches nobody.

A bus that keeps messages gets the dialog's queues first, and all events as soon as AppStart is out:
they wait there. Whether the application ever came for them is looked at when the time is over.

Before anything goes out the channel gets the dialog's id as its variable: whoever takes over from
this process finds the dialog there, and does not announce it again.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine
from typing import Final, Literal
from urllib.parse import quote, urlencode

import msgspec
import structlog

from ari_proxy.ari.errors import TransportError
from ari_proxy.ari.rest import RestClient
from ari_proxy.ari.snapshot import DIALOG_VARIABLE
from ari_proxy.bus.base import Bus, Offered
from ari_proxy.bus.errors import BusRefusedError, BusUnavailableError
from ari_proxy.protocol import ids, messages, topics
from ari_proxy.protocol.messages import AppStart
from ari_proxy.protocol.timestamps import Rfc3339Nano

from . import left_behind
from .attempts import Attempts
from .dialogs import Dialog
from .offering import Offering
from .status import NO_APPLICATION, STATUS_VARIABLE, status_of

_log = structlog.get_logger()

#: For Asterisk to keep a channel's variable; a slow one must not keep the caller waiting.
_MARK_SECONDS: Final = 1.0
#: … when nobody waits for it.
_MARK_AGAIN_SECONDS: Final = 5.0
#: For a message that may be lost.
_TELL_SECONDS: Final = 1.0
#: For the application of a dialog that was taken over to show that it listens; longer than a client
#: needs to come back to its bus.
RESUME_SECONDS: Final = 5.0

NoListenerPolicy = Literal["continue", "hangup", "keep"]


class SetUpPausedError(Exception):
    """Another ingest goes on with the dialog."""


class SetUp:
    """Sets up the dialogs of one server."""

    def __init__(
        self,
        bus: Bus,
        rest: RestClient,
        server_id: str,
        *,
        listener_seconds: float,
        no_listener: NoListenerPolicy,
        is_permitted: Callable[[], bool] = lambda: True,
    ) -> None:
        self._bus = bus
        self._rest = rest
        self._server_id = server_id
        #: Seconds for an application to come, or None if there is no end to it.
        self.deadline = listener_seconds if no_listener != "keep" else None
        self._no_listener = no_listener
        self._is_paused = False
        self._is_permitted = is_permitted
        #: Channels that could not be marked, and those of them that are tried again now.
        self._unmarked: set[tuple[Dialog, str]] = set()
        self._seen_unmarked: set[tuple[Dialog, str]] = set()
        #: Dialogs whose queues or AppStart the bus has refused when it was last asked.
        self._refused: set[Dialog] = set()

    def pause(self) -> None:
        """Have all set-ups end after the attempt under way, so that others can go on with them."""
        self._is_paused = True

    def _check(self) -> None:
        if self._is_paused or not self._is_permitted():
            raise SetUpPausedError

    async def run(self, dialog: Dialog, release: Callable[[Dialog], None]) -> bool:
        """Set up one dialog; return False if no application wanted it.

        Args:
            dialog: with its first event held.
            release: called without delay once the first held event was delivered.

        Raises:
            SetUpPausedError: it was paused before the first event was delivered.
        """
        try:
            offered = Offered()
            async with asyncio.timeout(self.deadline) as life:
                for name in tuple(dialog.channels):
                    await self.mark(dialog, name)
                if self._bus.keeps_messages:
                    await self._declare(dialog)
                if dialog.announce and not dialog.is_announced:
                    offered = await self._announce(dialog, life.when())
                    dialog.is_announced = True
                await self._deliver_first(dialog, release, offered)
        except TimeoutError:
            is_refused = dialog in self._refused
            status = status_of(self._bus.problem, is_refused=is_refused)
            await self.give_up(dialog, status=status)
            return False
        finally:
            self._refused.discard(dialog)
        return True

    async def resume(self, dialog: Dialog, release: Callable[[Dialog], None]) -> bool:
        """Go on with a dialog that another process has begun; return False if nobody listens.

        The first held event is the probe. Who took the dialog's AppStart listens, or comes back to
        the bus within a few seconds.

        Raises:
            SetUpPausedError: it was paused before the first event was delivered.
        """
        while not await self._is_awaited(dialog):
            if self._bus.is_connected:
                return False
        self._let_go(dialog, release)
        return True

    async def _is_awaited(self, dialog: Dialog) -> bool:
        """Return whether the dialog's application shows up while the bus is there."""
        await self._bus.wait_connected()
        try:
            async with asyncio.timeout(RESUME_SECONDS):
                if self._bus.keeps_messages:
                    await self._declare(dialog)
                async for _ in Attempts(self._check):
                    if dialog.held and await self._is_heard(dialog, dialog.held[0]):
                        return True
        except TimeoutError:
            pass
        return False

    async def mark(self, dialog: Dialog, name: str) -> None:
        """Write the dialog's id onto a channel whose own id does not tell it.

        `report_events` (22.10) lets it ride in every event and list; older versions ignore it. The
        caller does not wait for a slow Asterisk: `mark_again` does it later.
        """
        if ids.token_of_object(name) == dialog.token:
            return
        path = f"/channels/{quote(name, safe='')}/variable"
        mark = {"variable": DIALOG_VARIABLE, "value": dialog.dialog_id, "report_events": "true"}
        try:
            url = f"{path}?{urlencode(mark)}"
            is_again = (dialog, name) in self._seen_unmarked
            seconds = _MARK_AGAIN_SECONDS if is_again else _MARK_SECONDS
            answer = await self._rest.request("POST", url, timeout_seconds=seconds)
        except TransportError as error:
            if (dialog, name) not in self._seen_unmarked:
                _log.warning("dialog.not_marked", dialog_id=dialog.dialog_id, error=str(error))
            self._unmarked.add((dialog, name))
            return
        if answer.status not in {204, 404, 409}:  # Gone already, or out of Stasis.
            _log.warning("dialog.not_marked", dialog_id=dialog.dialog_id, status=answer.status)

    def mark_again(self) -> list[Coroutine[None, None, None]]:
        """Return the work that is left of marking: a successor would not know those dialogs."""
        self._seen_unmarked, self._unmarked = self._unmarked, set()
        return [
            self.mark(dialog, name)
            for dialog, name in self._seen_unmarked
            if not dialog.is_ended and name in dialog.channels
        ]

    async def is_unheard(self, dialog: Dialog, sequence: int) -> bool:
        """Return whether no application has come for any event.

        Args:
            dialog: whose events wait on the bus.
            sequence: of an event that has reached the bus. If fewer wait, somebody has had some.
        """
        try:
            return await self._bus.unheard(dialog.topic) >= max(sequence, 1)
        except (BusUnavailableError, BusRefusedError):
            return False  # Not known; the call goes on.

    async def _declare(self, dialog: Dialog) -> None:
        note = left_behind.note(dialog.application, dialog.channel_id)
        async for is_first in Attempts(self._check):
            if await self._is_declared(dialog, note, loudly=is_first):
                return

    async def _is_declared(self, dialog: Dialog, note: str, *, loudly: bool) -> bool:
        try:
            await self._bus.declare(topics.of_dialog(dialog.dialog_id), note=note)
        except BusUnavailableError:
            return False
        except BusRefusedError as error:
            self._note_refusal(dialog, "dialog.queues_refused", error, loudly=loudly)
            return False
        self._refused.discard(dialog)
        return True

    def app_start(self, dialog: Dialog) -> bytes:
        """Return the dialog's AppStart."""
        own = dialog.application, dialog.dialog_id, self._server_id, dialog.channel_id
        timestamp = Rfc3339Nano().format(dialog.announced_at_ns)
        return messages.encode(AppStart(*own, dialog.traceparent or msgspec.UNSET, timestamp))

    async def _announce(self, dialog: Dialog, until: float | None) -> Offered:
        dialog.announced_at_ns = time.time_ns()
        app_start = self.app_start(dialog)
        async for is_first in Attempts(self._check):
            offered = await self._offer(dialog, app_start, until, loudly=is_first)
            if offered:
                return offered
        raise AssertionError("attempts have no end")

    async def _offer(
        self, dialog: Dialog, app_start: bytes, until: float | None, *, loudly: bool
    ) -> Offered:
        """Offer an AppStart; nobody gets it after `until`, when the call is given up."""
        await self._bus.wait_connected()
        keep_seconds = None
        if until is not None:
            keep_seconds = max(until - asyncio.get_running_loop().time(), 0.0)
        traceparent = dialog.traceparent
        try:
            offered = await self._bus.offer(
                dialog.application, app_start, keep_seconds=keep_seconds, traceparent=traceparent
            )
        except BusUnavailableError:
            return Offered(is_heard=False)
        except BusRefusedError as error:
            self._note_refusal(dialog, "bus.message_refused", error, loudly=loudly)
            return Offered(is_heard=False)
        self._refused.discard(dialog)
        return offered

    def _note_refusal(
        self, dialog: Dialog, event: str, error: BusRefusedError, *, loudly: bool
    ) -> None:
        self._refused.add(dialog)
        log = _log.error if loudly else _log.debug
        log(event, dialog_id=dialog.dialog_id, application=dialog.application, error=str(error))

    async def _deliver_first(
        self, dialog: Dialog, release: Callable[[Dialog], None], offered: Offered
    ) -> None:
        if not self._bus.keeps_messages:
            offering = Offering(asyncio.get_running_loop().time())
            async for _ in Attempts(self._check, at_once=False):
                if dialog.held and await self._is_heard(dialog, dialog.held[0]):
                    break
                if dialog.announce:
                    offered = await self._announce_again(dialog, offering, offered)
        self._let_go(dialog, release)

    async def _announce_again(
        self, dialog: Dialog, offering: Offering, offered: Offered
    ) -> Offered:
        """Offer an AppStart to another instance if it is time to; return the last offer."""
        now = asyncio.get_running_loop().time
        if not offering.is_due(now(), is_declined=messages.declines(offered.reply)):
            return offered
        _log.debug("app_start.offered_again", dialog_id=dialog.dialog_id)
        offered = await self._announce(dialog, None)
        offering.offered(now())
        return offered

    def _let_go(self, dialog: Dialog, release: Callable[[Dialog], None]) -> None:
        """Let the events go; the first one is there already, where it was the probe."""
        if self._bus.keeps_messages and dialog.held:
            self._bus.publish(dialog.topic, dialog.held[0])
        release(dialog)

    async def _is_heard(self, dialog: Dialog, probe: bytes) -> bool:
        """Return whether anybody listens to a dialog's events; on NATS he then has the probe."""
        await self._bus.wait_connected()
        try:
            return await self._bus.is_heard(dialog.topic, probe)
        except BusUnavailableError:
            return False
        except BusRefusedError as error:
            self._note_refusal(dialog, "bus.message_refused", error, loudly=False)
            return False

    async def tell(self, dialog: Dialog, payload: bytes) -> None:
        """Send an event of a dialog to whoever listens now."""
        with contextlib.suppress(TimeoutError, BusUnavailableError):
            async with asyncio.timeout(_TELL_SECONDS):
                try:
                    await self._bus.offer(dialog.topic, payload, keep_seconds=self.deadline)
                except BusRefusedError as error:
                    own = {"dialog_id": dialog.dialog_id, "application": dialog.application}
                    _log.error("bus.message_refused", **own, error=str(error))

    async def give_up(self, dialog: Dialog, *, status: str = NO_APPLICATION) -> None:
        """Do not leave the caller in Stasis where nobody serves it.

        Args:
            dialog: which.
            status: what the dialplan is told of the reason.
        """
        log = _log.bind(dialog_id=dialog.dialog_id, application=dialog.application)
        if dialog.is_call:
            log.warning("dialog.no_listener", policy=self._no_listener, reason=status)
        for channel in tuple(dialog.channels):
            path = f"/channels/{quote(channel, safe='')}"
            try:
                if self._no_listener == "hangup":
                    await self._rest.request("DELETE", path)
                else:
                    variable = urlencode({"variable": STATUS_VARIABLE, "value": status})
                    await self._rest.request("POST", f"{path}/variable?{variable}")
                    await self._rest.request("POST", f"{path}/continue")
            except TransportError as error:
                _log.error("dialog.no_listener_policy_failed", channel=channel, error=str(error))
