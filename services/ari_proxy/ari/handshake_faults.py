"""Explanations of why a peer of the listener could not open its websocket. Sans-I/O."""

import ssl
from typing import Final

#: What OpenSSL calls it → cause and remedy; {detail} is what a certificate lacks.
_CAUSES: Final = {
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": (
        "it has no certificate, which ari.listen_client_ca_file asks for: give it cert_file and "
        "priv_key_file in websocket_client.conf"
    ),
    "CERTIFICATE_VERIFY_FAILED": (
        "its certificate was refused ({detail}): it needs one whose authority is in "
        "ari.listen_client_ca_file"
    ),
    "HTTP_REQUEST": (
        "it does not use TLS, which ari.listen_certificate_file asks for: its uri in "
        "websocket_client.conf needs wss://, and tls_enabled"
    ),
}
#: Asterisk checks our certificate when TLS is open, and says nothing to us if it refuses it.
LEFT_AFTER_TLS: Final = (
    "it has left without a request after TLS: if it is Asterisk, its log says why it refuses our "
    "certificate; it has to contain the host of uri in websocket_client.conf, and ca_list_file "
    "its authority"
)


def explained(error: BaseException) -> str:
    """Return what is wrong with a peer, and what to do if that is known.

    Args:
        error: what ended its connection before a websocket was open.
    """
    cause = _CAUSES.get(error.reason or "") if isinstance(error, ssl.SSLError) else None
    if cause is not None:
        return cause.format(detail=getattr(error, "verify_message", ""))
    return str(error) or ("it took too long" if isinstance(error, TimeoutError) else "it has left")
