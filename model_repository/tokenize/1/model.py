"""Triton model `tokenize`: a query becomes word pieces."""

import os
import traceback
from pathlib import Path

# A pool of threads costs more than it gives for a few short queries, and competes with the encoder.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import triton_python_backend_utils as pb_utils
from endcap_rerank import tensors
from endcap_rerank.deployed import deployed_release
from endcap_rerank.errors import InvalidInputError
from endcap_rerank.tokenizer import QueryTokenizer


class TritonPythonModel:
    def initialize(self, args):
        self.tokenizer = QueryTokenizer(
            deployed_release(Path(args["model_repository"]) / args["model_version"])
        )

    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        try:
            inputs = {tensor.name(): tensor.as_numpy() for tensor in request.inputs()}
            tokens = self.tokenizer.encode(tensors.by_row(inputs, tensors.query_text))
            return pb_utils.InferenceResponse(
                [pb_utils.Tensor(name, getattr(tokens, name)) for name in request.requested_output_names()]
            )
        except InvalidInputError as error:
            code, message = pb_utils.TritonError.INVALID_ARG, str(error)
        except Exception as error:
            pb_utils.Logger.log_error(traceback.format_exc())
            code, message = pb_utils.TritonError.INTERNAL, f"tokenize: {type(error).__name__}, see the log"
        return pb_utils.InferenceResponse(error=pb_utils.TritonError(message, code))
