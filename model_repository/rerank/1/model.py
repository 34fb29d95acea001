"""Triton model `rerank`: an encoded query becomes products for one shopper."""

import traceback
from pathlib import Path

import triton_python_backend_utils as pb_utils
from endcap_rerank import tensors
from endcap_rerank.deployed import deployed_release
from endcap_rerank.errors import EndcapError, InvalidInputError
from endcap_rerank.ranker import Ranker
from endcap_rerank.settings import Settings


class TritonPythonModel:
    def initialize(self, args):
        release = deployed_release(Path(args["model_repository"]) / args["model_version"])
        self.ranker = Ranker.open(release, Settings.from_environment())

    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        try:
            inputs = {tensor.name(): tensor.as_numpy() for tensor in request.inputs()}
            answers = [self.ranker.search(asked) for asked in tensors.by_row(inputs, tensors.search_request)]
            outputs = tensors.ranking(answers, request.requested_output_names())
            return pb_utils.InferenceResponse([pb_utils.Tensor(*item) for item in outputs.items()])
        except InvalidInputError as error:
            code, message = pb_utils.TritonError.INVALID_ARG, str(error)
        except EndcapError as error:
            code, message = pb_utils.TritonError.UNAVAILABLE, str(error)
        except Exception as error:
            pb_utils.Logger.log_error(traceback.format_exc())
            code, message = pb_utils.TritonError.INTERNAL, f"rerank: {type(error).__name__}, see the log"
        return pb_utils.InferenceResponse(error=pb_utils.TritonError(message, code))
