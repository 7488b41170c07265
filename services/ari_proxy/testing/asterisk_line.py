"""The caller's line to a real Asterisk: a Local channel, whose other half is in the application.

The caller's half is in an application of its own, so that digits can be pressed on it. Its other
half goes through the dialplan (`target.CONTEXT`), as a call from outside does.
"""

import asyncio
from contextlib import suppress
from typing import Any, Final
from urllib.parse import quote, urlencode

from ari_proxy.ari.client import AriClient
from ari_proxy.protocol import ids
from ari_proxy.simulator.plans import EndpointPlan

from .caller import Caller
from .changes import Changes
from .created import Created
from .errors import NotOnAsteriskError
from .planned_endpoints import PlannedEndpoints
from .target import APPLICATION_VARIABLE, CONTEXT

#: Seconds for a call to enter the application, or to end.
CALL_SECONDS: Final = 30.0
#: Seconds for a digit to be told of, and how often it is pressed until then.
DIGIT_SECONDS: Final = 3.0
DIGIT_TRIES: Final = 5
#: Seconds between two looks at what is left.
LOOK_SECONDS: Final = 0.05
_NOT_FOUND: Final = 404
_FIRST_ERROR: Final = 400


class AsteriskLine:
    """A line to one Asterisk."""

    def __init__(  # noqa: PLR0913  all that it needs, by name
        self,
        rest: AriClient,
        tasks: asyncio.TaskGroup,
        *,
        application: str,
        callers: str,
        caller: Caller,
        changes: Changes,
        created: Created,
        planned: PlannedEndpoints,
    ) -> None:
        """Initialise a line without a call.

        Args:
            rest: sends the caller's requests.
            tasks: press digits.
            application: under test.
            callers: the application of the caller's own half.
            caller: who calls.
            changes: tells when anything has happened.
            created: what the handler has created.
            planned: what endpoints do.
        """
        self._rest = rest
        self._tasks = tasks
        self._application = application
        self._callers = callers
        self._caller = caller
        self._changes = changes
        self._created = created
        self._planned = planned
        token = ids.random_id(ids.TOKEN_LENGTH)
        self._own, self._other = f"tested-{token}-1", f"tested-{token}-2"
        self._has_entered = asyncio.Event()
        #: Digits are pressed one after another.
        self._pressing = asyncio.Lock()

    async def call(self, *, caller: str, extension: str) -> None:
        """Call the application.

        Raises:
            RuntimeError: Asterisk does not lead it there.
            TimeoutError: Asterisk does not tell of it.
        """
        await self._ask(
            "POST",
            "/channels/create",
            endpoint=f"Local/{extension}@{CONTEXT}/n",
            app=self._callers,
            channelId=self._own,
            otherChannelId=self._other,
        )
        async with asyncio.timeout(CALL_SECONDS):
            await self._has_entered.wait()
            await self._dial(caller)
            await self._changes.until(lambda: self._has_begun or None)
        if not self._caller.channel_id:
            raise RuntimeError(
                f"extension {extension} of context {CONTEXT} has not led the call into Stasis: "
                "docs/testing-applications.md has the lines of extensions.conf"
            )

    @property
    def _has_begun(self) -> bool:
        """True once the call has entered the application, or has failed to."""
        return bool(self._caller.channel_id) or self._caller.cause is not None

    async def _dial(self, caller: str) -> None:
        # What the one half is connected to is the caller of the other one.
        variables = {f"__{APPLICATION_VARIABLE}": self._application, "CONNECTEDLINE(num,i)": caller}
        for name, value in variables.items():
            await self._ask("POST", f"{self._path}/variable", variable=name, value=value)
        await self._ask("POST", f"{self._path}/dial")

    def is_own(self, channel_id: str) -> bool:
        """Return whether a channel is the caller's own half."""
        return channel_id == self._own

    def enter(self) -> None:
        """Note that the caller's own half is in its application, where all can be done to it."""
        self._has_entered.set()

    @property
    def _path(self) -> str:
        return f"/channels/{self._own}"

    def press(self, digits: str) -> None:
        """Press digits."""
        self._tasks.create_task(self._press(digits))

    async def _press(self, digits: str) -> None:
        async with self._pressing:
            for digit in digits:
                await self._press_one(digit)

    async def _press_one(self, digit: str) -> None:
        """Press a digit until it is told of: a busy Asterisk loses some."""
        before = self._caller.pressed
        for _ in range(DIGIT_TRIES):
            await self._request("POST", f"{self._path}/dtmf", dtmf=digit)
            with suppress(TimeoutError):
                await self._changes.until(
                    lambda: (self._caller.pressed > before or self._caller.is_over) or None,
                    timeout_seconds=DIGIT_SECONDS,
                )
                return

    async def hang_up(self, cause: int) -> None:
        """Hang up."""
        await self._request("DELETE", self._path, reason_code=str(cause))
        await self._changes.until(lambda: self._caller.cause, timeout_seconds=CALL_SECONDS)

    def plan(self, endpoint: str, plan: EndpointPlan) -> None:
        """Say what an endpoint does: a Local channel is called in its place.

        Raises:
            NotOnAsteriskError: it is the other end of external media.
        """
        self._planned.plan(endpoint, plan)

    def report_gap(self) -> None:
        """Refuse: nothing is missing.

        Raises:
            NotOnAsteriskError: always.
        """
        raise NotOnAsteriskError("a real Asterisk's events have no gap on demand")

    def hear(self, event_type: str, body: dict[str, Any]) -> None:
        """Handle an event of the caller's own half: it outlives the other one by a moment."""
        if event_type == "ChannelDestroyed" and body["channel"]["id"] == self._own:
            self._caller.end(body["cause"])
            self._changes.note()

    def left(self) -> list[str]:
        """Return what is left, as it was last looked for."""
        own = [f"channel {self._caller.channel_id}"] if self._caller.is_served else []
        return own + list(self._created.left.values())

    async def until_nothing_is_left(self) -> None:
        """Look until nothing is left."""
        while True:
            await self._look()
            if not self.left():
                return
            await asyncio.sleep(LOOK_SECONDS)

    async def _look(self) -> None:
        for path in tuple(self._created.left):
            if (await self._rest.request("GET", path)).status == _NOT_FOUND:
                self._created.forget(path)

    async def clean_up(self) -> None:
        """End what is left, with the caller's own half."""
        for path in (self._path, *self._created.left):
            await self._rest.request("DELETE", path)

    async def _request(self, method: str, path: str, **parameters: str) -> int:
        """Send a request; the call may be over."""
        url = f"{path}?{urlencode(parameters, quote_via=quote)}" if parameters else path
        return (await self._rest.request(method, url)).status

    async def _ask(self, method: str, path: str, **parameters: str) -> None:
        """Send a request that must not fail.

        Raises:
            RuntimeError: Asterisk has refused it.
        """
        status = await self._request(method, path, **parameters)
        if status >= _FIRST_ERROR:
            raise RuntimeError(f"Asterisk has refused {method} {path} of the caller: {status}")
