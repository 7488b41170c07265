"""The example application: answers, plays, collects four digits, says goodbye and hangs up."""

from typing import Final
from urllib.parse import quote

from ari_proxy.client.call import Call

DIGITS: Final = 4


class DigitCollector:
    """Collects four digits from each call, by dialog id."""

    def __init__(self) -> None:
        self.digits: dict[str, str] = {}

    async def serve(self, dialog: Call) -> None:
        """Serve one call from its StasisStart to its StasisEnd."""
        channel = f"/channels/{quote(dialog.channel_id, safe='')}"
        digits = ""
        async for event in dialog.events():
            if event.type == "StasisStart":
                await dialog.command("POST", f"{channel}/answer")
                await dialog.command("POST", f"{channel}/play", media="sound:hello-world")
            elif event.type == "ChannelDtmfReceived":
                digits += event.body["digit"]
                if len(digits) == DIGITS:
                    self.digits[dialog.dialog_id] = digits
                    await dialog.command("DELETE", channel)
