"""What tests of the ranking library share."""

import pytest
from endcap_rerank import loops


@pytest.fixture(params=["compiled", "numpy"])
def either_loops(request, monkeypatch):
    """Once with the compiled loops and once with what stands in for them where no compiler was."""
    if request.param == "numpy":
        monkeypatch.setattr(loops, "COMPILED", False)
    elif not loops.COMPILED:
        pytest.skip("no C compiler was there to make endcap_rerank/_loops.c")
