"""The typed operations, models and events, as an application's type checker sees them."""

import re
import subprocess
import sys
from pathlib import Path

#: Lines that end in `# wrong` are errors, and no others.
APPLICATION = """\
from ari_proxy.client.ari import Ari
from ari_proxy.client.ari.requests import ReportedVariable
from ari_proxy.client.errors import NotFound
from ari_proxy.client.events import ChannelDtmfReceived, Event, ProxyGap, RawEvent, StasisStart

async def serve(ari: Ari, event: Event) -> str:
    channel = await ari.channels.originate("PJSIP/200", app="ivr", variables={"A": "1"})
    await ari.channels.play(channel.id, ["sound:a", "sound:b"], skip_ms=5)
    await ari.bridges.create(type="mixing", variables={"A": ReportedVariable("1")})
    await ari.channels.hangup(channel.id, reason="busy")
    sound: bytes = await ari.recordings.get_stored_file("x")
    first: str = (await ari.channels.list())[0].caller.number
    await ari.channels.set_variable(channel.id, "A", value="1", report_events=True)

    await ari.channels.hangup(channel.id, reason="bored")  # wrong
    await ari.channels.answer()  # wrong
    await ari.channels.record(channel.id, "x", "wav", max_duration_seconds="5")  # wrong
    await ari.channels.beam(channel.id)  # wrong
    channel.colour  # wrong
    channel.state = "Up"  # wrong
    number: int = await ari.channels.list()  # wrong
    try:
        await ari.events.claim(channel.id, "ivr")
    except NotFound as error:
        return error.message
    match event:
        case ChannelDtmfReceived(digit=digit):
            return digit
        case StasisStart(channel=caller, args=arguments):
            return caller.name + arguments[0]
        case ProxyGap(from_=since):
            since.year  # wrong: it may be None
        case RawEvent():
            return event.problem
    return event.raw + event.type
"""


def test_an_application_is_checked(tmp_path: Path) -> None:
    source = tmp_path / "application.py"
    source.write_text(APPLICATION)
    services = Path(__file__).parents[4] / "services"
    configuration = tmp_path / "mypy.ini"
    configuration.write_text(f"[mypy]\nstrict = True\nmypy_path = {services}\n")
    command = [sys.executable, "-m", "mypy", "--config-file", str(configuration)]

    done = subprocess.run(
        [*command, "--cache-dir", str(tmp_path / "cache"), str(source)],
        capture_output=True,
        text=True,
        check=False,
    )

    lines = APPLICATION.splitlines()
    wrong = {number for number, line in enumerate(lines, 1) if "# wrong" in line}
    found = re.findall(r"application\.py:(\d+): error:", done.stdout)
    assert {int(number) for number in found} == wrong, done.stdout + done.stderr
