"""Triton model `feedback`: what shoppers did, stored before it is acknowledged."""

import numpy as np
import triton_python_backend_utils as pb_utils
from endcap_rerank import tensors
from endcap_rerank.ranker import Ranker
from endcap_rerank.serving import Served


class TritonPythonModel:
    def initialize(self, args):
        self.served = Served("feedback", pb_utils, args)
        self.ranker = Ranker.open(self.served.release, self.served.settings)

    def execute(self, requests):
        """All that waited is stored in one commit: the disk is waited for once."""
        read = [self.read(request) for request in requests]
        events = [event for one in read if isinstance(one, list) for event in one]
        try:
            self.ranker.feedback(events)
        except Exception as error:
            return [
                self.served.failed(request, error) if isinstance(one, list) else one
                for request, one in zip(requests, read, strict=True)
            ]
        self.served.stored(events)
        return [self.accepted(len(one)) if isinstance(one, list) else one for one in read]

    def read(self, request):
        """The events of a request, or the response that says what is wrong with it."""
        try:
            return tensors.by_row(
                {tensor.name(): tensor.as_numpy() for tensor in request.inputs()}, tensors.event
            )
        except Exception as error:
            return self.served.failed(request, error)

    def accepted(self, rows):
        """The response that acknowledges so many events."""
        return pb_utils.InferenceResponse([pb_utils.Tensor("accepted", np.ones((rows, 1), np.int32))])

    def finalize(self):
        self.served.close()
