"""A dialog as steps."""

import json

from ari_proxy.watch.render import steps
from tests.support.tap_records import CALL, DIALOG, event


def test_arrow_goes_from_its_sender_to_whom_it_is_for() -> None:
    ways = [(step.source, step.target) for step in map(steps.step_of, CALL)]
    assert ways == [
        ("ingest", "application"),
        ("Asterisk", "application"),
        ("application", "command"),
        ("command", "Asterisk"),
        ("command", "application"),
        ("Asterisk", "application"),
        (None, None),
    ]


def test_last_step_says_why_the_dialog_has_ended() -> None:
    sentence = "demo was gone and no other instance took over, so ingest.no_listener was applied"
    assert steps.all_of(CALL)[-1].text == f"the dialog has ended: {sentence}"
    drawn = json.loads(steps.as_json(DIALOG, CALL))
    assert drawn["why"] == {"reason": "application_gone", "sentence": sentence}


def test_end_without_a_reason_is_an_end() -> None:
    assert steps.all_of([CALL[0], CALL[-1]])[-1].text == "the dialog has ended"
    assert "why" not in json.loads(steps.as_json(DIALOG, [CALL[0], CALL[-1]]))
    assert "why" not in json.loads(steps.as_json(DIALOG, CALL[:-1]))


def test_ladder_that_begins_within_a_call_gives_no_reason() -> None:
    """Its first channel may be any: a reason that begins with it would name the wrong party."""
    leg = {"id": "5.6", "name": "PJSIP/bob-0001", "state": "Up"}
    hung_up = event("ChannelHangupRequest", 7, channel=leg, cause=16)
    assert steps.all_of([hung_up, CALL[-1]])[-1].text == "the dialog has ended"
    restarted = event("ProxyDialogEnded", 8, reason="asterisk_restarted")
    assert steps.all_of([hung_up, restarted, CALL[-1]])[-1].text == (
        "the dialog has ended: Asterisk restarted"
    )


def test_ladder_as_json_holds_the_messages() -> None:
    drawn = json.loads(steps.as_json(DIALOG, CALL))
    assert drawn["dialog_id"] == DIALOG
    assert [step["kind"] for step in drawn["steps"]] == [copy.kind for copy in CALL]
    assert drawn["steps"][4]["message"]["status_code"] == 204
