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


def test_after_a_caller_has_gone_each_is_asked_about_for_a_second():
    callers, gone, waits = Callers(), Request(gone=True), Request(gone=False)
    with pytest.raises(CancelledError):
        callers.check(gone, 10.0)
    for millisecond in range(1, 1000):
        callers.check(waits, 10.0 + millisecond / 1000)
    assert waits.asked == 999
    for millisecond in range(1001, 2000):
        callers.check(waits, 10.0 + millisecond / 1000)
    assert waits.asked < 999 + 25
    callers.check(gone, 11.999)  # nobody asked about the one before
    with pytest.raises(CancelledError):
        callers.check(gone, 12.1)
