"""A menu: asks for a PIN, then sends the caller where the digit says."""

import os

from ari_proxy import App, Call

PINS = {"1234", "4711"}
#: By digit: an extension of the context that the caller goes on in.
EXTENSIONS = {"1": "sales", "2": "support", "3": "voicemail"}
CONTEXT = "default"

app = App("ivr", os.environ.get("BUS_URL", "nats://127.0.0.1:4222"))


@app.call
async def ivr(call: Call) -> None:
    """Serve one call."""
    await call.answer()
    choice = await ask(call)
    if choice is None:
        await call.play("sound:vm-goodbye")
        await call.hang_up()
    else:
        await call.leave(CONTEXT, EXTENSIONS[choice], 1)


async def ask(call: Call) -> str | None:
    """Return the digit that a caller who knows a PIN has chosen; None for any other caller."""
    pin = await call.prompt(
        "sound:agent-pass", digits=4, match=PINS.__contains__, invalid="sound:pbx-invalid"
    )
    if pin is None:
        return None
    question = [part for digit in EXTENSIONS for part in ("sound:vm-press", f"digits:{digit}")]
    return await call.prompt(question, digits=1, choices="".join(EXTENSIONS))


if __name__ == "__main__":
    app.run()
