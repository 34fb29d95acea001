"""Triton model `rerank`: an encoded query becomes products for one shopper."""

import triton_python_backend_utils as pb_utils
from endcap_rerank import tensors
from endcap_rerank.ranker import Ranker
from endcap_rerank.serving import Served
from endcap_rerank.tickets import Tickets


class TritonPythonModel:
    def initialize(self, args):
        self.served = Served("rerank", pb_utils, args)
        self.ranker = Ranker.open(self.served.release, self.served.settings)
        self.served.keep_up(self.ranker)
        self.tickets = Tickets(self.served.settings.state)

    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        inputs = {}
        try:
            inputs = {tensor.name(): tensor.as_numpy() for tensor in request.inputs()}
            answers = [
                self.served.answered(self.ranker, asked, request)
                for asked in tensors.by_row(inputs, tensors.search_request)
            ]
            outputs = tensors.ranking(answers, request.requested_output_names())
            return pb_utils.InferenceResponse([pb_utils.Tensor(*item) for item in outputs.items()])
        except Exception as error:
            return self.served.failed(request, error)
        finally:
            self.tickets.give_back(inputs["ticket"].flat if "ticket" in inputs else ())

    def finalize(self):
        self.served.close()
