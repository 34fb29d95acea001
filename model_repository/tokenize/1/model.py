"""Triton model `tokenize`: a query becomes word pieces, when there is room for another search."""

import json
import os

# A pool of threads costs more than it gives for a few short queries, and competes with the encoder.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import triton_python_backend_utils as pb_utils
from endcap_rerank import tensors
from endcap_rerank.serving import Served
from endcap_rerank.tickets import Tickets
from endcap_rerank.tokenizer import QueryTokenizer


class TritonPythonModel:
    def initialize(self, args):
        self.served = Served("tokenize", pb_utils, args)
        self.tokenizer = QueryTokenizer(self.served.release)
        under_way = json.loads(args["model_config"])["parameters"]["under_way"]["string_value"]
        self.tickets = Tickets(self.served.settings.state, int(under_way))

    def execute(self, requests):
        self.tickets.wait(len(requests))
        return [self.answer(request) for request in requests]

    def answer(self, request):
        try:
            inputs = {tensor.name(): tensor.as_numpy() for tensor in request.inputs()}
            tokens = self.tokenizer.encode(tensors.by_row(inputs, tensors.query_text))
            outputs = dict(vars(tokens))
            names = request.requested_output_names()
            if "ticket" in names:
                outputs["ticket"] = self.tickets.take(len(tokens.input_ids))[:, None]
            return pb_utils.InferenceResponse([pb_utils.Tensor(name, outputs[name]) for name in names])
        except Exception as error:
            return self.served.failed(request, error)

    def finalize(self):
        self.served.close()
