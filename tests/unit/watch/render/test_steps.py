"""A dialog as steps."""

import json

from ari_proxy.watch.render import steps
from tests.support.tap_records import CALL, DIALOG


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


def test_ladder_as_json_holds_the_messages() -> None:
    drawn = json.loads(steps.as_json(DIALOG, CALL))
    assert drawn["dialog_id"] == DIALOG
    assert [step["kind"] for step in drawn["steps"]] == [copy.kind for copy in CALL]
    assert drawn["steps"][4]["message"]["status_code"] == 204
