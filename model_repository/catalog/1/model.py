"""Triton model `catalog`: products are added, changed and removed while the server runs."""

import traceback
from pathlib import Path

import numpy as np
import triton_python_backend_utils as pb_utils
from endcap_rerank import tensors
from endcap_rerank.deployed import deployed_release
from endcap_rerank.errors import EndcapError, InvalidInputError, StoreError
from endcap_rerank.ranker import Ranker
from endcap_rerank.settings import Settings
from endcap_rerank.tokenizer import QueryTokenizer


class TritonPythonModel:
    def initialize(self, args):
        self.release = deployed_release(Path(args["model_repository"]) / args["model_version"])
        self.version = int(args["model_version"])
        self.tokenizer = QueryTokenizer(self.release)
        self.ranker = Ranker.open(self.release, Settings.from_environment())

    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        try:
            inputs = {tensor.name(): tensor.as_numpy() for tensor in request.inputs()}
            if tensors.catalog_operation(inputs) == "upsert":
                products = tensors.by_row(inputs, tensors.catalog_upsert)
                embeddings = self.embed([product.encoder_text() for product in products])
                self.ranker.upsert(zip(products, embeddings, strict=True))
            else:
                self.ranker.delete(tensors.by_row(inputs, tensors.catalog_delete))
            accepted = np.ones_like(inputs["document"], dtype=np.int32)
            return pb_utils.InferenceResponse([pb_utils.Tensor("accepted", accepted)])
        except InvalidInputError as error:
            code, message = pb_utils.TritonError.INVALID_ARG, str(error)
        except EndcapError as error:
            code, message = pb_utils.TritonError.UNAVAILABLE, str(error)
        except Exception as error:
            pb_utils.Logger.log_error(traceback.format_exc())
            code, message = pb_utils.TritonError.INTERNAL, f"catalog: {type(error).__name__}, see the log"
        return pb_utils.InferenceResponse(error=pb_utils.TritonError(message, code))

    def embed(self, texts):
        """float32 [N, D] by the encoder of this very version: vectors of two encoders do not compare."""
        tokens = self.tokenizer.encode_products(texts)
        response = pb_utils.InferenceRequest(
            model_name="encode",
            model_version=self.version,
            # Both: Triton's response cache is keyed on the inputs alone, and would hand this answer,
            # without tags, to a search for the very same text.
            requested_output_names=["query_embedding", "tag_logits"],
            inputs=[
                pb_utils.Tensor("input_ids", tokens.input_ids),
                pb_utils.Tensor("attention_mask", tokens.attention_mask),
            ],
        ).exec()
        if response.has_error():
            raise StoreError(f"nothing was changed, encode failed: {response.error().message()}")
        embeddings = pb_utils.get_output_tensor_by_name(response, "query_embedding").as_numpy()
        norms = np.linalg.norm(embeddings, axis=1)
        if embeddings.shape != (len(texts), self.release.dimension) or not np.allclose(norms, 1.0, atol=1e-2):
            raise StoreError(f"nothing was changed, encode answered {embeddings.shape}, norms {norms}")
        return embeddings
