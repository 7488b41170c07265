"""The former name of the client's `Call`."""

from ari_proxy.client.call import Call
from ari_proxy.client.dialog import Dialog


def test_dialog_is_still_importable_as_the_former_name_of_call() -> None:
    assert Dialog is Call
