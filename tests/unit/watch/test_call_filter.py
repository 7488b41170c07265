"""Which calls `calls` shows."""

import json

import pytest

from ari_proxy.tap.facts import CallFacts, ChannelFacts, CommandFacts
from ari_proxy.watch.call_filter import CallFilter, DurationError, seconds_of
from ari_proxy.watch.formats import CallState
from ari_proxy.watch.render import calls as lines

NOW = 1_000.0
CALLER = ChannelFacts(
    "1.2",
    name="PJSIP/alice-0001",
    caller="4930123",
    called="100",
    answered_at=880.0,
    hung_up="peer",
    left_at=892.5,
    cause=16,
    cause_text="Normal Clearing",
    protocol_id="abc@host",
)
ENDED = CallFacts(
    "s.1",
    server_id="s",
    application="demo",
    channel_id="1.2",
    started_at=878.0,
    ended_at=900.0,
    is_accepted=True,
    channels={"1.2": CALLER},
)
OPEN = CallFacts("s.2", application="other", started_at=100.0)
ANY = CallFilter()


def test_filter_without_wishes_lets_all_pass() -> None:
    assert ANY.passes(ENDED, NOW)
    assert ANY.passes(OPEN, NOW)


@pytest.mark.parametrize(
    ("wanted", "passes"),
    [
        (CallFilter(number="30123"), (True, False)),
        (CallFilter(number="100"), (True, False)),
        (CallFilter(number="alice"), (True, False)),
        (CallFilter(number="999"), (False, False)),
        (CallFilter(application="demo"), (True, False)),
        (CallFilter(application="other"), (False, True)),
        (CallFilter(cause="16"), (True, False)),
        (CallFilter(cause="1"), (False, False)),
        (CallFilter(cause="hung_up_by_caller"), (True, False)),
        (CallFilter(cause="normal clearing"), (True, False)),
        (CallFilter(since_seconds=99), (False, True)),
        (CallFilter(since_seconds=101), (True, True)),
        (CallFilter(state=CallState.OPEN), (False, True)),
        (CallFilter(state=CallState.ENDED), (True, False)),
        (CallFilter(only_failed=True), (False, False)),
    ],
)
def test_filter(wanted: CallFilter, passes: tuple[bool, bool]) -> None:
    assert (wanted.passes(ENDED, NOW), wanted.passes(OPEN, NOW)) == passes


def test_calls_with_a_fault_have_failed() -> None:
    wanted = CallFilter(only_failed=True)
    unserved = CallFacts("s.3", application="demo", ended_at=1.0, unheard=2)
    gap = CallFacts("s.4", gaps=["websocket_lost"])
    refused = CallFacts("s.5", failed=[CommandFacts(1.0, "POST /x", status=404)])
    assert all(wanted.passes(facts, NOW) for facts in (unserved, gap, refused))


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("10m", 600), ("2h", 7200), ("1d", 86400)]
)
def test_duration(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "2", "h", "2 h", "-1h", "1w"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(DurationError, match="is no duration: write 90s, 10m, 2h or 1d"):
        seconds_of(text)


def test_call_on_a_line() -> None:
    assert lines.line(ENDED, NOW) == (
        "1970-01-01 00:14:38    12.5 s  4930123 → 100  demo  s.1  "
        "the caller hung up (16 Normal Clearing)"
    )
    assert lines.line(OPEN, NOW) == "1970-01-01 00:01:40     0.0 s  ? → ?  other  s.2  open"


def test_failed_commands_and_what_cannot_be_printed() -> None:
    failed = [CommandFacts(1.0, f"POST /{n}", status=404) for n in range(2)]
    hostile = CallFacts(
        "s.6", application="\x1b[2J", channels={"1": ChannelFacts("1")}, failed=failed
    )
    assert lines.line(hostile, NOW).endswith(
        "1 → ?  \ufffd[2J  s.6  open; failed: POST /1 404 and 1 more"
    )
    assert json.loads(lines.as_json(hostile, NOW))["failed"][0] == {
        "request": "POST /0",
        "status": 404,
        "message": "",
    }


def test_call_as_json() -> None:
    row = json.loads(lines.as_json(ENDED, NOW))
    assert row["why"] == "the caller hung up (16 Normal Clearing)"
    assert (row["reason"], row["state"], row["seconds"]) == ("hung_up_by_caller", "ended", 12.5)
    assert row["channels"] == [
        {"channel_id": "1.2", "name": "PJSIP/alice-0001", "protocol_id": "abc@host"}
    ]
    assert json.loads(lines.as_json(OPEN, NOW))["why"] == ""
