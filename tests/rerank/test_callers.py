import pytest
from endcap_rerank.errors import CancelledError
from endcap_rerank.serving import Callers


class Request:
    """As Triton's: knows whether its caller has gone, and how often it was asked."""

    def __init__(self, gone: bool) -> None:
        self.gone = gone
        self.asked = 0

    def is_cancelled(self) -> bool:
        self.asked += 1
        return self.gone


def test_while_callers_wait_few_are_asked_about():
    callers, request = Callers(), Request(gone=False)
    for millisecond in range(1000):
        callers.check(request, 10.0 + millisecond / 1000)
    assert 10 < request.asked < 25


def test_once_a_caller_has_gone_each_is_asked_about():
    callers, gone, waits = Callers(), Request(gone=True), Request(gone=False)
    for millisecond in range(20):
        with pytest.raises(CancelledError):
            callers.check(gone, 10.0 + millisecond / 1000)
    assert gone.asked == 20
    callers.check(waits, 10.02)
    callers.check(gone, 10.03)
    assert (waits.asked, gone.asked) == (1, 20)
