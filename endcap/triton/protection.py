"""Options of tritonserver that keep others out: the admin key, TLS."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from endcap_rerank.admin_key import HEADER
from endcap_rerank.errors import InvalidInputError

RESTRICTED = ("model-repository", "shared-memory", "logging", "trace", "statistics")
"""Triton's APIs that need the admin key. Health, metadata, configs and inference are open."""

GRPC_VARIABLE = "ENDCAP_TRITON_GRPC_RESTRICTION"
HTTP_VARIABLE = "ENDCAP_TRITON_HTTP_RESTRICTION"


def restrictions(key: str) -> dict[str, str]:
    """The two options that hold the key, by the environment variable in which the server gets them."""
    setting = f"{','.join(RESTRICTED)}:{HEADER}={key}"
    return {
        GRPC_VARIABLE: f"--grpc-restricted-protocol={setting}",
        HTTP_VARIABLE: f"--http-restricted-api={setting}",
    }


@dataclass(frozen=True)
class Tls:
    """Certificates of the gRPC port, PEM files.

    Attributes:
        certificate: the server's, with its chain.
        key: its private key.
        authority: when given, only callers whose certificate it signed are let in (mutual TLS).
    """

    certificate: Path
    key: Path
    authority: Path | None = None

    @classmethod
    def of(cls, certificate: Path | None, key: Path | None, authority: Path | None) -> Tls | None:
        """From three options of a command line; None where none is given.

        Raises:
            InvalidInputError: a certificate without a key, a key or an authority without a certificate.
        """
        if certificate is None and key is None and authority is None:
            return None
        if certificate is None or key is None:
            missing = "tls_cert" if certificate is None else "tls_key"
            raise InvalidInputError(missing, None, "TLS needs both a certificate and its key")
        return cls(certificate, key, authority)

    def validate(self) -> None:
        """Check that the files are there: Triton would only say that it cannot start.

        Raises:
            InvalidInputError: names the file.
        """
        for name, file, mark in (
            ("tls_cert", self.certificate, "CERTIFICATE"),
            ("tls_key", self.key, "PRIVATE KEY"),
            ("tls_ca", self.authority, "CERTIFICATE"),
        ):
            if file is None:
                continue
            try:
                fits = f"{mark}-----" in file.read_text("ascii")
            except (OSError, UnicodeDecodeError):
                fits = False
            if not fits:
                raise InvalidInputError(name, str(file), f"a readable PEM file with a {mark} is expected")

    def options(self) -> list[str]:
        """Options of tritonserver."""
        options = [
            "--grpc-use-ssl=true",
            f"--grpc-server-cert={self.certificate.resolve()}",
            f"--grpc-server-key={self.key.resolve()}",
        ]
        if self.authority is not None:
            options += ["--grpc-use-ssl-mutual=true", f"--grpc-root-cert={self.authority.resolve()}"]
        return options
