"""Assignment: the dialog that a command and the objects that it creates belong to. Sans-I/O."""

import msgspec

from ari_proxy.ari import urls
from ari_proxy.protocol import ids
from ari_proxy.protocol.errors import IllegalSubjectTokenError
from ari_proxy.protocol.ids import DialogForm, DialogId, ServerId
from ari_proxy.protocol.messages import Command

from .errors import RejectedError
from .parameters import parameter


class Assignment(msgspec.Struct, frozen=True, gc=False):
    """The dialog of a command."""

    dialog_id: DialogId
    #: Whether the command came on the server's topic.
    is_of_server: bool = False
    #: Whether the dialog begins with the channel that the command creates.
    begins_dialog: bool = False
    #: The application to which such a dialog is announced, or ''.
    announce_to: str = ""


class DialogAssigner:
    """Assigns commands to dialogs of one server."""

    def __init__(self, server: ServerId, *, form: DialogForm, allows_uuid: bool) -> None:
        """Assign to the dialogs of one server.

        Args:
            server: the server of the dialogs.
            form: how ids of new dialogs are written.
            allows_uuid: whether commands reach a dialog with a UUID; on NATS they don't.
        """
        self._server = server
        self._form = form
        self._allows_uuid = allows_uuid

    def assign(self, command: Command, owner: DialogId | ServerId) -> Assignment:
        """Return the dialog of a command that came on the topic of `owner`.

        A command of the server that creates a channel begins a dialog: the one that the client
        names and listens to already, or else a new one, which is announced to the channel's
        application like any call.

        Raises:
            RejectedError: the client names no dialog of this server, or the body can't be read.
        """
        if owner != self._server:
            return Assignment(DialogId(owner))
        if command.dialog_id:
            dialog_id = self._named_by_client(command.dialog_id)
            return Assignment(dialog_id, is_of_server=True, begins_dialog=True)
        dialog_id = ids.new_dialog_id(self._server, form=self._form)
        application = _application_of(command)
        return Assignment(
            dialog_id,
            is_of_server=True,
            begins_dialog=bool(application),
            announce_to=application,
        )

    def _named_by_client(self, value: str) -> DialogId:
        try:
            dialog_id = ids.dialog_id(self._server, value)
            if not self._allows_uuid and ids.form_of(dialog_id) == "uuid":
                reason = "on NATS it must be <server_id>.<token>: nobody would get its commands"
                raise IllegalSubjectTokenError("dialog_id", dialog_id, reason)
        except IllegalSubjectTokenError as error:
            raise RejectedError(400, "dialog_id", str(error)) from error
        return dialog_id


def _application_of(command: Command) -> str:
    """Return the application that the command's new channel will enter, or ''."""
    url = urls.AriUrl(path="", query=command.url.partition("?")[2])
    return parameter("app", url, command.body)
