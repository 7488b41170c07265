"""The example application: answers, plays, collects four digits, says goodbye and hangs up."""

import time
from typing import Final
from urllib.parse import quote

from ari_proxy.client.call import Call
from ari_proxy.clock import Clock

DIGITS: Final = 4
#: After so long without a digit, the next one is the first of a new entry.
INTER_DIGIT_SECONDS: Final = 2.0


class DigitCollector:
    """Collects four digits from each call, by dialog id.

    A digit may get lost, with a caller's packet or in a busy Asterisk: who has paused enters all
    four again.
    """

    def __init__(self, now: Clock = time.monotonic) -> None:
        self.digits: dict[str, str] = {}
        self._now = now

    async def serve(self, dialog: Call) -> None:
        """Serve one call from its StasisStart to its StasisEnd."""
        channel = f"/channels/{quote(dialog.channel_id, safe='')}"
        digits, last = "", self._now()
        async for event in dialog.events():
            if event.type == "StasisStart":
                await dialog.command("POST", f"{channel}/answer")
                await dialog.command("POST", f"{channel}/play", media="sound:hello-world")
            elif event.type == "ChannelDtmfReceived":
                before, last = last, self._now()
                paused = last - before > INTER_DIGIT_SECONDS
                digits = ("" if paused else digits) + event.body["digit"]
                if len(digits) == DIGITS:
                    self.digits[dialog.dialog_id] = digits
                    await dialog.command("DELETE", channel)
