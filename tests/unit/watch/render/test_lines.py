"""Records as lines, for `tail`."""

import msgspec
import pytest

from ari_proxy.tap.records import TapRecord
from ari_proxy.watch.render import lines
from tests.support.tap_records import CALL, DIALOG


def test_line_tells_time_dialog_and_message() -> None:
    assert lines.line(CALL[1], coloured=False) == f"00:00:00.001 {DIALOG} → 1 StasisStart"
    named = lines.line(CALL[1], coloured=False, names_server=True)
    assert named == f"00:00:00.001 {CALL[1].server_id} {DIALOG} → 1 StasisStart"
    assert "\x1b[36m→ 1 StasisStart\x1b[0m" in lines.line(CALL[1], coloured=True)


@pytest.mark.parametrize("copy", CALL)
def test_failures_are_red(copy: TapRecord) -> None:
    refused = msgspec.Raw(b'{"status_code":409}')
    failing = msgspec.structs.replace(copy, kind="response", message=refused)
    assert "\x1b[31m" in lines.line(failing, coloured=True)
