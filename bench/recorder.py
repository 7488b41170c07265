"""What the flight recorder costs an event: CPU time, with and without it, in one run.

    .venv/bin/python bench/recorder.py

Events of 1,000 calls at a time pass a tap that nobody watches, in blocks that take turns. An event
is a message of its own, as it is on the wire: what is kept can't be used for the next one.
"""

import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "services"))

from ari_proxy.bus.memory.bus import MemoryBroker, MemoryBus
from ari_proxy.protocol.ids import ServerId
from ari_proxy.tap.masking import Masking
from ari_proxy.tap.recorder import Recorder
from ari_proxy.tap.tap import Tap

SERVER = ServerId("s")
WARM_UP, ROUNDS, CALLS, EVENTS = 5, 40, 1_000, 20
BODY = b'{"type":"ChannelDtmfReceived","ari_body":"%b"}' % (b"x" * 900)


def tap_of(*, recording: bool) -> Tap:
    recorder = Recorder(SERVER, "r", max_calls=1_000, max_bytes=32 * 2**20, masking=Masking())
    return Tap(SERVER, MemoryBus(MemoryBroker()), recorder=recorder if recording else None)


def block(tap: Tap, number: int) -> float:
    """Return the CPU time of one event in nanoseconds, in a block of whole calls."""
    names = [f"s.{number}-{call}" for call in range(CALLS)]
    begun = time.process_time_ns()
    for event in range(EVENTS):
        for name in names:
            payload = BODY + b"%d" % event  # Made anew, as the encoder does.
            if tap.is_on:
                tap.copy("event", name, payload)
    for name in names:
        tap.copy("end", name)
    return (time.process_time_ns() - begun) / (CALLS * EVENTS)


def main() -> None:
    """Measure in turns, and print."""
    taps = {"without": tap_of(recording=False), "with": tap_of(recording=True)}
    rounds: dict[str, list[float]] = {name: [] for name in taps}
    for number in range(WARM_UP + ROUNDS):
        for name, tap in taps.items():
            nanoseconds = block(tap, number)
            if number >= WARM_UP:  # The recorder is full.
                rounds[name].append(nanoseconds)
    for name, values in rounds.items():
        print(f"{name:8} {statistics.median(values):6.0f} ns per event (least {min(values):.0f})")
    difference = statistics.median(rounds["with"]) - statistics.median(rounds["without"])
    print(f"recorder {difference:6.0f} ns per event")


main()
