"""Triton model `recommend`: products without a query, for a shopper or beside an item."""

import triton_python_backend_utils as pb_utils
from endcap_rerank import tensors
from endcap_rerank.ranker import Ranker
from endcap_rerank.serving import Served


class TritonPythonModel:
    def initialize(self, args):
        self.served = Served("recommend", pb_utils, args)
        self.ranker = Ranker.open(self.served.release, self.served.settings)
        self.served.keep_up(self.ranker)

    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        try:
            inputs = {tensor.name(): tensor.as_numpy() for tensor in request.inputs()}
            answers = [
                self.served.answered(self.ranker, asked, request)
                for asked in tensors.by_row(inputs, tensors.recommend_request)
            ]
            outputs = tensors.ranking(answers, request.requested_output_names())
            return pb_utils.InferenceResponse([pb_utils.Tensor(*item) for item in outputs.items()])
        except Exception as error:
            return self.served.failed(request, error)

    def finalize(self):
        self.served.close()
