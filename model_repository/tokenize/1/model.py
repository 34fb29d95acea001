"""Triton model `tokenize`: a query becomes word pieces."""

import os

# A pool of threads costs more than it gives for a few short queries, and competes with the encoder.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import triton_python_backend_utils as pb_utils
from endcap_rerank import tensors
from endcap_rerank.serving import Served
from endcap_rerank.tokenizer import QueryTokenizer


class TritonPythonModel:
    def initialize(self, args):
        self.served = Served("tokenize", pb_utils, args)
        self.tokenizer = QueryTokenizer(self.served.release)

    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        try:
            inputs = {tensor.name(): tensor.as_numpy() for tensor in request.inputs()}
            tokens = self.tokenizer.encode(tensors.by_row(inputs, tensors.query_text))
            return pb_utils.InferenceResponse(
                [pb_utils.Tensor(name, getattr(tokens, name)) for name in request.requested_output_names()]
            )
        except Exception as error:
            return self.served.failed(request, error)

    def finalize(self):
        self.served.close()
