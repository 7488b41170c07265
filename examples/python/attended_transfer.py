"""An attended transfer: colleagues are asked, one after another, until one takes the caller.

The caller hears music until then. Who answers accepts with 1; who does not, or is busy, is passed
over. When the two have talked, the call ends.
"""

import os

from ari_proxy import App, Call
from ari_proxy.client.errors import DialFailed

COLLEAGUES = os.environ.get("COLLEAGUES", "PJSIP/200 PJSIP/201").split()
RING_SECONDS = 20

app = App("transfer", os.environ.get("BUS_URL", "nats://127.0.0.1:4222"))


@app.call
async def put_through(call: Call) -> None:
    """Serve one call."""
    await call.answer()
    for colleague in COLLEAGUES:
        try:
            await call.transfer(colleague, attended=True, accept="1", timeout=RING_SECONDS)
        except DialFailed:
            continue
        break
    else:
        await call.play("sound:vm-nobodyavail")
    await call.hang_up()


if __name__ == "__main__":
    app.run()
