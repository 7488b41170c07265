"""Responses to commands that Asterisk has not answered."""

import json

import pytest

from ari_proxy.ari.errors import AriTimeoutError, TransportError, UnreachableError
from ari_proxy.command.errors import RejectedError
from ari_proxy.command.refusals import MAX_UNIQUE_ID, Refusals
from ari_proxy.command.telemetry import CommandTelemetry
from ari_proxy.telemetry import metrics_table as table
from ari_proxy.telemetry.metrics_table import Definition
from tests.support.event_path import SERVER
from tests.support.execution import Execution, error_of, execution
from tests.support.samples import samples


def refusals_of(it: Execution) -> Refusals:
    return Refusals(CommandTelemetry(SERVER, it.path.metrics, it.path.tap, it.path.traces))


@pytest.mark.parametrize(
    ("error", "expected", "row"),
    [
        (RejectedError(403, "scope", "no"), (403, "scope", False), table.REJECTED),
        (
            RejectedError(504, "drain", "late", sent=True),
            (504, "drain", True),
            table.REJECTED,
        ),
        (
            UnreachableError("GET", "/x", "gone", sent=False),
            (502, "unreachable", False),
            table.REQUEST_FAILURES,
        ),
        (
            AriTimeoutError("GET", "/x", "late", sent=True),
            (504, "timeout", True),
            table.REQUEST_FAILURES,
        ),
    ],
)
async def test_error_becomes_an_answer_and_is_counted(
    error: RejectedError | TransportError, expected: tuple[int, str, bool], row: Definition
) -> None:
    async with execution() as it:
        status, body = refusals_of(it).answer(error)

    content = json.loads(body)
    assert (status, content["error"], content["sent"]) == (
        expected[0],
        f"ari_proxy.{expected[1]}",
        expected[2],
    )
    assert content["message"] == str(error)
    assert samples(it.path.metrics, row)[expected[1],] == 1


async def test_refusal_fits_into_a_message_however_long_the_id_is() -> None:
    async with execution() as it:
        error = RejectedError(400, "unique_id", "too long")
        response = refusals_of(it).response("x" * (2 * MAX_UNIQUE_ID), error)

    assert len(response.unique_id) == MAX_UNIQUE_ID
    assert error_of(response) == (400, "unique_id", False)
