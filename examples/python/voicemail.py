"""Voicemail: callers leave messages, and hear those in their mailbox.

`Stasis(voicemail,leave,100)` takes a message for mailbox 100; `Stasis(voicemail)` asks for a
mailbox and its password. A message is a recording at Asterisk, named
`voicemail/MAILBOX/FOLDER/TIME-CALL`: so any number of processes can serve all calls, and none has
anything to lose.
"""

import hmac
import os
import time

from ari_proxy import App, Call
from ari_proxy.client.errors import CallEnded, DialFailed
from ari_proxy.client.events import StasisStart

#: By mailbox. Yours come from where you keep secrets.
PASSWORDS = {"100": "1234", "101": "4711"}
TRIES = 3
MAX_SECONDS = 180
NEW, OLD = "new", "old"
SOUNDS = {NEW: "sound:vm-INBOX", OLD: "sound:vm-Old"}
#: Where the numbers are called that owners of mailboxes enter.
OUTGOING = os.environ.get("OUTGOING", "PJSIP/{number}@trunk")

app = App("voicemail", os.environ.get("BUS_URL", "nats://127.0.0.1:4222"))


@app.call
async def voicemail(call: Call) -> None:
    """Serve one call."""
    await call.answer()
    async for event in call.events():
        match event:
            case StasisStart(args=("leave", mailbox)):
                await leave_message(call, mailbox)
            case StasisStart():
                await visit_mailbox(call)
            case _:
                continue
        await call.play("sound:vm-goodbye")
        await call.hang_up()


async def leave_message(call: Call, mailbox: str) -> None:
    """Record a message, which the caller may hear and record anew."""
    # In lists Asterisk takes what follows a dot for the ending of the file.
    name = f"voicemail/{mailbox}/{NEW}/{time.time_ns()}-{call.id.replace('.', '-')}"
    await call.play("sound:vm-intro", until="#")
    choice: str | None = "3"
    message = None
    while choice in {"2", "3"}:
        if choice == "3":
            if message is not None:
                await message.delete()
            message = await call.record(name, beep=True, max_silence=10, max_seconds=MAX_SECONDS)
        else:
            await call.play(f"recording:{name}", until="any")
        # 1 keeps it, and so does silence.
        choice = await call.prompt("sound:vm-review", digits=1, choices="123", tries=1)
    await call.play("sound:vm-msgsaved")


async def visit_mailbox(call: Call) -> None:
    """Serve the menu of the caller's mailbox."""
    mailbox = await log_in(call)
    folder = NEW
    while mailbox is not None:
        await tell_counts(call, mailbox)
        match await call.prompt("sound:vm-opts", digits=1, choices="123#"):
            case "1":
                await hear_messages(call, mailbox, folder)
            case "2":
                chosen = await call.prompt("sound:vm-changeto", digits=1, choices="01#")
                folder = {"0": NEW, "1": OLD}.get(chosen or "", folder)
            case "3":
                await choose_call(call)
            case _:
                return


async def log_in(call: Call) -> str | None:
    """Return the caller's mailbox; None after too many wrong passwords."""
    for _ in range(TRIES):
        mailbox = await call.prompt("sound:vm-login", tries=1) or ""
        password = await call.prompt("sound:vm-password", tries=1) or ""
        if hmac.compare_digest(PASSWORDS.get(mailbox, ""), password) and password:
            return mailbox
        await call.play("sound:vm-incorrect-mailbox")
    return None


async def tell_counts(call: Call, mailbox: str) -> None:
    """Say how many messages there are."""
    said = ["sound:vm-youhave"]
    for folder in (NEW, OLD):
        if count := len(await messages(call, mailbox, folder)):
            said += [f"number:{count}", SOUNDS[folder], "sound:vm-messages"]
    if len(said) == 1:
        said += ["sound:vm-no", "sound:vm-messages"]
    await call.play(said, until="any")


async def hear_messages(call: Call, mailbox: str, folder: str) -> None:
    """Play the messages of a folder; 7 deletes one, anything else keeps it."""
    recordings = call.ari.recordings
    for name in await messages(call, mailbox, folder):
        question = [f"recording:{name}", "sound:vm-advopts"]
        choice = await call.prompt(question, digits=1, tries=1, first_digit=2)
        if choice != "7" and folder == NEW:
            await recordings.copy_stored(name, name.replace(f"/{NEW}/", f"/{OLD}/", 1))
        if choice == "7" or folder == NEW:
            await recordings.delete_stored(name)
    await call.play("sound:vm-nomore")


async def choose_call(call: Call) -> None:
    """Let the caller call a number, or leave a message for another mailbox."""
    question = ["sound:vm-tomakecall", "sound:vm-leavemsg", "sound:vm-starmain"]
    match await call.prompt(question, digits=1, choices="45*"):
        case "4":
            number = await call.prompt("sound:vm-enter-num-to-call", tries=1) or ""
            if number.isdigit():  # A `*` in it cancels.
                await call_out(call, number)
        case "5":
            mailbox = await call.prompt("sound:vm-extension", tries=1)
            if mailbox in PASSWORDS:
                await leave_message(call, mailbox)


async def call_out(call: Call, number: str) -> None:
    """Call a number, and let the two speak until one hangs up."""
    async with call.bridge() as room:
        try:
            leg = await call.dial(OUTGOING.format(number=number), timeout=30, ring="moh")
            await room.add(leg, call)  # At the end of the room the leg is hung up.
            await room.wait_for_leaver()
        except DialFailed:
            await call.play("sound:vm-nobodyavail")
        except CallEnded:
            if call.is_over:
                raise


async def messages(call: Call, mailbox: str, folder: str) -> list[str]:
    """Return the names of the messages in a folder, in order."""
    stored = await call.ari.recordings.list_stored()
    beginning = f"voicemail/{mailbox}/{folder}/"
    return sorted(found.name for found in stored if found.name.startswith(beginning))


if __name__ == "__main__":
    app.run()
