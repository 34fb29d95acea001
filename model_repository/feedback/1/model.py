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
        return [self.answer(request) for request in requests]

    def answer(self, request):
        try:
            inputs = {tensor.name(): tensor.as_numpy() for tensor in request.inputs()}
            events = tensors.by_row(inputs, tensors.event)
            self.ranker.feedback(events)
            self.served.stored(events)
            accepted = np.ones_like(inputs["user"], dtype=np.int32)
            return pb_utils.InferenceResponse([pb_utils.Tensor("accepted", accepted)])
        except Exception as error:
            return self.served.failed(request, error)

    def finalize(self):
        self.served.close()
