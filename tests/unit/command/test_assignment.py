"""Which dialog a command belongs to."""

import pytest

from ari_proxy.command.assignment import Assignment, DialogAssigner
from ari_proxy.command.errors import RejectedError
from ari_proxy.protocol import ids
from ari_proxy.protocol.messages import Command
from tests.support.event_path import SERVER
from tests.support.execution import DIALOG

ORIGINATION = "/channels?endpoint=x&app=demo"


def assigner(*, allows_uuid: bool = False) -> DialogAssigner:
    return DialogAssigner(SERVER, form="token", allows_uuid=allows_uuid)


def test_command_of_a_dialog_belongs_to_it_whatever_dialog_it_names() -> None:
    command = Command("1", ORIGINATION, "POST", dialog_id="other.0123456789abcdef")

    assert assigner().assign(command, DIALOG) == Assignment(DIALOG)


def test_command_of_the_server_for_an_application_begins_a_dialog_that_is_announced() -> None:
    found = assigner().assign(Command("1", ORIGINATION, "POST"), SERVER)

    assert ids.is_of_server(found.dialog_id, SERVER)
    assert found == Assignment(
        found.dialog_id, is_of_server=True, begins_dialog=True, announce_to="demo"
    )


def test_command_of_the_server_without_an_application_begins_no_dialog() -> None:
    found = assigner().assign(Command("1", "/asterisk/info", "GET"), SERVER)

    assert found == Assignment(found.dialog_id, is_of_server=True)


def test_dialog_that_the_client_names_is_not_announced() -> None:
    command = Command("1", ORIGINATION, "POST", dialog_id=DIALOG)

    assert assigner().assign(command, SERVER) == Assignment(
        DIALOG, is_of_server=True, begins_dialog=True
    )


@pytest.mark.parametrize(
    "dialog_id", ["s.x", "other.0123456789abcdef", "5f0c9a2e-1d3b-4c6f-8a7e-0123456789ab"]
)
@pytest.mark.parametrize("allows_uuid", [False, True])
def test_dialog_of_another_server_is_rejected(dialog_id: str, *, allows_uuid: bool) -> None:
    command = Command("1", ORIGINATION, "POST", dialog_id=dialog_id)

    with pytest.raises(RejectedError) as raised:
        assigner(allows_uuid=allows_uuid).assign(command, SERVER)

    assert (raised.value.status_code, raised.value.reason) == (400, "dialog_id")


def test_dialog_with_a_uuid_is_rejected_where_no_command_would_reach_it() -> None:
    uuid = ids.new_dialog_id(SERVER, form="uuid")
    command = Command("1", ORIGINATION, "POST", dialog_id=uuid)

    assert assigner(allows_uuid=True).assign(command, SERVER).dialog_id == uuid
    with pytest.raises(RejectedError, match="on NATS"):
        assigner().assign(command, SERVER)


def test_body_that_cannot_be_read_is_rejected() -> None:
    body = '{"app":' + "[" * 10_000 + "]" * 10_000 + "}"

    with pytest.raises(RejectedError, match="nested too deeply"):
        assigner().assign(Command("1", "/channels", "POST", body), SERVER)
