"""Recorded calls as `tail --json` writes them."""

import pytest

from ari_proxy.testing import TranscriptError
from ari_proxy.testing.transcript import read
from ari_proxy.watch.render.lines import as_json
from tests.support.tap_records import CALL, DIALOG, copy_of

START = copy_of("app_start", application="demo", dialog_id=DIALOG, server_id="s", channel_id="1.2")
LINES = [as_json(record) for record in (START, *CALL[1:])]


def test_records_of_a_call_are_in_the_order_of_their_times() -> None:
    found = read([*reversed(LINES), ""])

    assert found.start.channel_id == "1.2"
    assert found.begun_at == START.at
    assert [record.at for record in found.records] == sorted(record.at for record in CALL)


@pytest.mark.parametrize(
    ("lines", "dialog", "reason"),
    [
        ([], "", "no AppStart: it must begin before the call"),
        (LINES[1:], "", "no AppStart: it must begin before the call"),
        (LINES, "s.other", "no AppStart of dialog s.other"),
        (["nothing"], "", "line 1 is not from `ari-proxy tail --json`"),
        ([*LINES, as_json(copy_of("skipped", count=3))], "", "messages are missing"),
        ([as_json(copy_of("app_start", application=1))], "", "is malformed"),
    ],
)
def test_what_can_not_be_replayed_is_refused(lines: list[str], dialog: str, reason: str) -> None:
    with pytest.raises(TranscriptError, match=reason):
        read(lines, dialog)
