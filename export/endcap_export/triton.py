"""Asking a running Triton, in explicit model control, to serve a new generation of models."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

from endcap_rerank.admin_key import GRPC_HEADER, HEADER, admin_key
from endcap_rerank.errors import InvalidInputError, ReleaseError
from google.protobuf import text_format
from google.protobuf.message import Message

from endcap_export.generation import CONFIG, read_config

TLS_VARIABLES = {
    "root_certificates": "ENDCAP_TLS_CA",
    "certificate_chain": "ENDCAP_TLS_CERT",
    "private_key": "ENDCAP_TLS_KEY",
}
"""Environment variables of the PEM files for ``grpcs://``: whom to trust; with mutual TLS, who we are."""


class _Control(Protocol):
    def load_model(self, name: str, headers: Mapping[str, str] | None = None) -> None: ...
    def unload_model(self, name: str, headers: Mapping[str, str] | None = None) -> None: ...


def load_models(server: str, generation: Path, models: Sequence[str]) -> None:
    """Load the newest version of every model without a moment in which a request would fail.

    The ensemble pins the versions of its steps. So the steps first load the new version *beside* the
    running one, then the ensemble moves over, then the old versions go.

    Args:
        server: ``host:port`` of gRPC, ``grpcs://host:port`` with TLS (see ``TLS_VARIABLES``), or
            ``http://host:port``. The key is that of the environment or of the generation's repository.
        generation: folder with the models' configs.
        models: names, ensembles last.

    Raises:
        ReleaseError: the server cannot be reached or refuses a model; the message is Triton's own.
    """
    control = _connect(server)
    headers = _headers(server, generation.parent)
    configs = {name: read_config(generation / name / CONFIG) for name in models}
    steps = [name for name in models if configs[name].platform != "ensemble"]
    ensembles = [name for name in models if configs[name].platform == "ensemble"]
    # The policy stands in the file, not in the call: loading an ensemble also loads each step whose file
    # says something else than what runs, and would take the old version from the ensemble that still runs.
    try:
        for name in steps:
            beside = configs[name].__class__()
            beside.CopyFrom(configs[name])
            beside.version_policy.latest.num_versions = 2
            _write(generation / name / CONFIG, beside)
            _load(control, name, headers)
        for name in ensembles:
            _load(control, name, headers)
    finally:
        for name in steps:
            _write(generation / name / CONFIG, configs[name])
    for name in steps:
        _load(control, name, headers)


def load_each(server: str, generation: Path, models: Sequence[str]) -> None:
    """Load models that the server does not serve yet, in this order.

    Raises:
        ReleaseError: as ``load_models`` does.
    """
    control = _connect(server)
    for name in models:
        _load(control, name, _headers(server, generation.parent))


def unload_each(server: str, repository: Path, models: Sequence[str]) -> None:
    """Unload models in this order; one that is not loaded is no error.

    Raises:
        ReleaseError: the server cannot be reached or refuses.
    """
    from tritonclient.utils import InferenceServerException

    control = _connect(server)
    for name in models:
        try:
            control.unload_model(name, headers=_headers(server, repository))
        except (InferenceServerException, OSError) as error:
            raise ReleaseError(f"the server did not unload {name!r}: {error}") from error


def _write(file: Path, config: Message) -> None:
    """Replace a config at once: the server may read it at any moment."""
    draft = file.with_suffix(".new")
    draft.write_text(text_format.MessageToString(config), "utf-8")
    draft.replace(file)


def _headers(server: str, repository: Path) -> dict[str, str]:
    """What opens the administration; nothing where no key is known: the server may need none."""
    key = admin_key(repository)
    if key is None:
        return {}
    return {HEADER if server.startswith("http://") else GRPC_HEADER: key}


def _load(control: _Control, name: str, headers: Mapping[str, str]) -> None:
    from tritonclient.utils import InferenceServerException

    try:
        control.load_model(name, headers=headers)
    except (InferenceServerException, OSError) as error:
        raise ReleaseError(f"the server did not load {name!r}: {error}") from error


def _connect(server: str) -> _Control:
    client: Any
    if server.startswith("http://"):
        import tritonclient.http

        client = tritonclient.http.InferenceServerClient(
            server.removeprefix("http://"), network_timeout=300, connection_timeout=10
        )
    else:
        import tritonclient.grpc

        secure = server.startswith("grpcs://")
        client = tritonclient.grpc.InferenceServerClient(
            server.removeprefix("grpc://").removeprefix("grpcs://"),
            ssl=secure,
            **(_certificates() if secure else {}),
        )
    return cast(_Control, client)


def _certificates() -> dict[str, str]:
    files = {
        name: os.environ[variable] for name, variable in TLS_VARIABLES.items() if os.environ.get(variable)
    }
    for name, file in files.items():
        if not Path(file).is_file():
            raise InvalidInputError(TLS_VARIABLES[name], file, "a PEM file is expected")
    return files
