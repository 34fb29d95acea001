"""Asking a running Triton, in explicit model control, to serve a new generation of models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, cast

from endcap_rerank.errors import ReleaseError
from google.protobuf import text_format
from google.protobuf.message import Message

from endcap_export.generation import CONFIG, read_config


class _Control(Protocol):
    def load_model(self, name: str) -> None: ...


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
    # The policy stands in the file, not in the call: loading an ensemble also loads each step whose file
    # says something else than what runs, and would take the old version from the ensemble that still runs.
    try:
        for name in steps:
            beside = configs[name].__class__()
            beside.CopyFrom(configs[name])
            beside.version_policy.latest.num_versions = 2
            _write(generation / name / CONFIG, beside)
            _load(control, name)
        for name in ensembles:
            _load(control, name)
    finally:
        for name in steps:
            _write(generation / name / CONFIG, configs[name])
    for name in steps:
        _load(control, name)


def _write(file: Path, config: Message) -> None:
    """Replace a config at once: the server may read it at any moment."""
    draft = file.with_suffix(".new")
    draft.write_text(text_format.MessageToString(config), "utf-8")
    draft.replace(file)


def _load(control: _Control, name: str) -> None:
    from tritonclient.utils import InferenceServerException

    try:
        control.load_model(name)
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
