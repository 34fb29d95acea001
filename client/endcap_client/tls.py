"""Certificates as Python's ``ssl`` takes them."""

from __future__ import annotations

import ssl

from endcap_client.connection import Tls
from endcap_client.errors import InvalidRequest


def context_of(tls: Tls) -> ssl.SSLContext:
    """A context that checks the server's certificate and host name.

    Raises:
        InvalidRequest: a file holds no certificate or key, or the two do not belong together.
    """
    try:
        context = ssl.create_default_context(cafile=tls.ca)
    except ssl.SSLError as error:
        raise InvalidRequest(
            f"tls.ca: got {str(tls.ca)!r}; PEM certificates are expected ({error})", "tls.ca"
        ) from None
    if tls.certificate is not None:
        try:
            context.load_cert_chain(tls.certificate, tls.key, password="")
        except ssl.SSLError as error:
            raise InvalidRequest(
                f"tls.certificate: got {str(tls.certificate)!r}; a PEM certificate is expected and its key, "
                f"without a password, in tls.key ({error})",
                "tls.certificate",
            ) from None
    return context
