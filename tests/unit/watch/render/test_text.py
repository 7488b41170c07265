"""A dialog as text."""

from ari_proxy.watch.render import text
from ari_proxy.watch.render.steps import step_of
from tests.support.tap_records import CALL, DIALOG, event


def test_ladder_in_a_terminal() -> None:
    drawn = text.draw(DIALOG, list(map(step_of, CALL))).splitlines()
    shown = [" ".join(row.replace("─", " ").replace("┄", " ").split()) for row in drawn]
    assert shown == [
        f"dialog {DIALOG}",
        "Asterisk ingest application command",
        "0.000 │ │ AppStart demo 1.2 ▶│ │",
        "0.001 │ 1 StasisStart ▶│ │",
        "0.002 │ │ │ POST /channels/1.2/answer ▶│",
        "0.002 │◀ POST /channels/1.2/answer │",
        "0.003 │ │ │◀ 204 │",
        "0.004 │ ChannelDtmfReceived 5 ✗│ │",
        "0.005 │ the dialog has ended │",
    ]
    assert len({len(row) for row in drawn[2:]}) == 1


def test_long_message_is_cut_off_before_the_head_of_its_arrow() -> None:
    call = event("PlaybackStarted", 1, playback={"media_uri": "x" * 200})
    row = text.line(step_of(call), begun_at=0.0)

    assert "x… ──▶│" in row
    assert len(row) == len(text.line(step_of(CALL[0]), begun_at=0.0))


def test_why_a_dialog_has_ended_is_not_cut_off() -> None:
    step = step_of(CALL[-1])._replace(text=f"the dialog has ended: {'x' * 200} at last")
    assert text.line(step, begun_at=0.0).endswith("x at last│")


def test_ladder_of_nothing_has_a_head() -> None:
    assert text.draw(DIALOG, []).startswith(f"dialog {DIALOG}\n")
