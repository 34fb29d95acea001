"""Asking a running Triton, in explicit model control, to serve a new generation of models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, cast

from endcap_rerank.errors import ReleaseError
from google.protobuf import json_format

from endcap_export.generation import CONFIG, read_config


class _Control(Protocol):
    def load_model(self, name: str, config: str | None = None) -> None: ...


def load_models(server: str, generation: Path, models: Sequence[str]) -> None:
    """Load the newest version of every model without a moment in which a request would fail.

    The ensemble pins the versions of its steps. So the steps first load the new version *beside* the
    running one, then the ensemble moves over, then the old versions go.

    Args:
        server: ``host:port`` of gRPC, or ``http://host:port``.
        generation: folder with the models' configs.
        models: names, ensembles last.

    Raises:
        ReleaseError: the server cannot be reached or refuses a model; the message is Triton's own.
    """
    control = _connect(server)
    configs = {name: read_config(generation / name / CONFIG) for name in models}
    steps = [name for name in models if configs[name].platform != "ensemble"]
    ensembles = [name for name in models if configs[name].platform == "ensemble"]
    for name in steps:
        beside = configs[name].__class__()
        beside.CopyFrom(configs[name])
        beside.version_policy.latest.num_versions = 2
        _load(control, name, json_format.MessageToJson(beside, preserving_proto_field_name=True))
    for name in ensembles:
        _load(control, name)
    for name in steps:
        _load(control, name)


def _load(control: _Control, name: str, config: str | None = None) -> None:
    from tritonclient.utils import InferenceServerException

    try:
        control.load_model(name, config=config)
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

        client = tritonclient.grpc.InferenceServerClient(server.removeprefix("grpc://"))
    return cast(_Control, client)
