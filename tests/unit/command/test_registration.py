"""Names are registered around a request, and released if it provably made nothing."""

import pytest

from ari_proxy.ari.errors import UnreachableError
from ari_proxy.command.errors import RejectedError
from ari_proxy.command.registration import ObjectRegistrar
from ari_proxy.protocol.messages import ObjectRegistration
from tests.support.event_path import SERVER
from tests.support.execution import DIALOG, Execution, execution

BRIDGE = ObjectRegistration(DIALOG, "bridge", "mine")


def registrar_of(it: Execution) -> ObjectRegistrar:
    it.open(DIALOG, "c")
    return ObjectRegistrar(SERVER, it.path.application.bus)


def is_registered(it: Execution) -> bool:
    return it.path.dialogs.objects.owns(DIALOG, "bridge", "mine")


async def test_name_is_registered_in_the_block_and_stays() -> None:
    async with execution() as it, registrar_of(it).registered(BRIDGE):
        before = is_registered(it)

    assert (before, is_registered(it)) == (True, True)


async def test_name_is_released_where_asterisk_has_refused_the_request() -> None:
    async with execution() as it, registrar_of(it).registered(BRIDGE) as registered:
        registered.withdraw()

    assert not is_registered(it)


@pytest.mark.parametrize("sent", [False, True])
async def test_name_stays_where_the_request_may_have_reached_asterisk(*, sent: bool) -> None:
    async with execution() as it:
        with pytest.raises(UnreachableError):
            async with registrar_of(it).registered(BRIDGE):
                raise UnreachableError("POST", "/bridges", "gone", sent=sent)

    assert is_registered(it) is sent


async def test_name_stays_where_the_dialog_had_it_before() -> None:
    async with execution() as it:
        registrar = registrar_of(it)
        await registrar.register(BRIDGE)
        with pytest.raises(RejectedError):
            async with registrar.registered(BRIDGE):
                raise RejectedError(409, "scope", "no")

    assert is_registered(it)


async def test_release_that_fails_leaves_the_answer_alone() -> None:
    async with execution() as it:
        registrar = registrar_of(it)
        await it.ingest_ends()

        await registrar.release(BRIDGE)


async def test_ingest_that_does_not_answer_has_nothing_registered() -> None:
    async with execution() as it:
        registrar = registrar_of(it)
        await it.ingest_ends()
        with pytest.raises(RejectedError, match="could not be registered") as raised:
            await registrar.register(BRIDGE)

    assert (raised.value.status_code, raised.value.sent) == (503, False)
