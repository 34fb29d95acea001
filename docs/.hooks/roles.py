"""Docstrings name things as Sphinx does (:class:`~a.b.C`); the site shows `C`."""

import re
from typing import Any

_ROLE = re.compile(
    r":(?:meth|class|mod|func|attr|exc):<code>(?:~?(?:[\w.]+\.)?(\w+)|([\w.]+) &lt;[^<]*&gt;)</code>"
)


def on_page_content(html: str, **_: Any) -> str:
    """Called by MkDocs for the HTML of each page."""
    return _ROLE.sub(lambda role: f"<code>{role[1] or role[2]}</code>", html)
