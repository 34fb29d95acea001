"""A small real shop, registered and served by a real tritonserver, once a test session."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
# The backend's modules are imported by Triton's stub from their own folder; tests do the same.
sys.path.insert(0, str(Path(__file__).parents[1] / "backends" / "onnxruntime"))


@pytest.fixture(scope="session")
def shop_products():
    """The products of the tiny shop."""
    from tiny import tiny_products

    return tiny_products()


@pytest.fixture(scope="session")
def shop_release(tmp_path_factory, shop_products):
    """A release of the tiny shop; read it, do not change it."""
    from tiny import tiny_release

    return tiny_release(tmp_path_factory.mktemp("releases"), shop_products)


@pytest.fixture(scope="session")
def repository(tmp_path_factory, shop_release):
    """A repository in which the tiny shop is registered as version 1; the session's server serves it."""
    from endcap_export.registry import register

    folder = tmp_path_factory.mktemp("repository")
    register(shop_release.path, folder, precision="fp32")
    return folder


@pytest.fixture(scope="session")
def server(repository):
    """A running tritonserver (``endcap.launcher.Server``); tests share it, so each uses its own shoppers."""
    from endcap.launcher import Server

    with Server.start(repository) as running:
        yield running
