"""Triton model `catalog`: products are added, changed and removed while the server runs."""

import numpy as np
import triton_python_backend_utils as pb_utils
from endcap_rerank import tensors
from endcap_rerank.errors import StoreError
from endcap_rerank.ranker import Ranker
from endcap_rerank.serving import Served
from endcap_rerank.tokenizer import QueryTokenizer


class TritonPythonModel:
    def initialize(self, args):
        self.served = Served("catalog", pb_utils, args)
        self.tokenizer = QueryTokenizer(self.served.release)
        self.ranker = Ranker.open(self.served.release, self.served.settings)

    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        try:
            inputs = {tensor.name(): tensor.as_numpy() for tensor in request.inputs()}
            operation = tensors.catalog_operation(inputs)
            if operation == "upsert":
                products = tensors.by_row(inputs, tensors.catalog_upsert)
                embeddings = self.embed([product.encoder_text() for product in products])
                self.ranker.upsert(zip(products, embeddings, strict=True))
            else:
                self.ranker.delete(tensors.by_row(inputs, tensors.catalog_delete))
            accepted = np.ones_like(inputs["document"], dtype=np.int32)
            self.served.changed(operation, len(accepted))
            return pb_utils.InferenceResponse([pb_utils.Tensor("accepted", accepted)])
        except Exception as error:
            return self.served.failed(request, error)

    def finalize(self):
        self.served.close()

    def embed(self, texts):
        """float32 [N, D] by the encoder of this very version: vectors of two encoders do not compare."""
        tokens = self.tokenizer.encode_products(texts)
        response = pb_utils.InferenceRequest(
            model_name="encode",
            model_version=self.served.version,
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
        if embeddings.shape != (len(texts), self.served.release.dimension) or not np.allclose(
            norms, 1.0, atol=1e-2
        ):
            raise StoreError(f"nothing was changed, encode answered {embeddings.shape}, norms {norms}")
        return embeddings
