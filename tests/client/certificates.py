"""Certificates for tests: an authority, what it signs, and the ways in which they can be wrong."""

from __future__ import annotations

import datetime

import grpc
import trustme


class Certificates:
    """Files in a folder: ``ca``, and by name a certificate with its key."""

    def __init__(self, folder):
        self.folder = folder
        self.authority = trustme.CA()
        self.ca = folder / "ca.pem"
        self.authority.cert_pem.write_to_path(self.ca)

    def issue(self, host, *, expired=False):
        """(certificate file, key file) for a host."""
        until = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1) if expired else None
        made = self.authority.issue_cert(host, not_after=until)
        stem = f"{host}-{'expired' if expired else 'valid'}"
        certificate, key = self.folder / f"{stem}.pem", self.folder / f"{stem}.key"
        made.private_key_pem.write_to_path(key)
        certificate.write_bytes(b"".join(blob.bytes() for blob in made.cert_chain_pems))
        return certificate, key

    def grpc(self, host="localhost", *, expired=False, mutual=False):
        """Credentials of a gRPC server."""
        certificate, key = self.issue(host, expired=expired)
        return grpc.ssl_server_credentials(
            [(key.read_bytes(), certificate.read_bytes())], self.ca.read_bytes() if mutual else None, mutual
        )

    def ssl(self, host="localhost", *, expired=False, mutual=False):
        """Context of an HTTP server."""
        import ssl

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.issue(host, expired=expired))
        if mutual:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.ca)
        return context
