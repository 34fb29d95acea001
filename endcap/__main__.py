"""``python -m endcap``."""

from endcap.cli import app

app()
