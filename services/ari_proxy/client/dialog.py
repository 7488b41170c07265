"""The former name of `ari_proxy.client.call`, for applications that import `Dialog` from here."""

from .call import Call as Dialog

__all__ = ["Dialog"]
