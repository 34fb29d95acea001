"""A real ONNX model and its config as Triton passes it."""

import onnx
import onnxruntime as ort
import pytest
from tiny import LABELS, tiny_encoder

WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "red", "dress", "steel", "knife", "boots")
VOCABULARY = {word: position for position, word in enumerate(WORDS)}


@pytest.fixture(scope="session")
def version_folder(tmp_path_factory):
    """A version folder with model.onnx."""
    folder = tmp_path_factory.mktemp("encode") / "1"
    folder.mkdir()
    onnx.save(tiny_encoder(VOCABULARY, dimension=8), str(folder / "model.onnx"))
    return folder


@pytest.fixture(scope="session")
def session(version_folder):
    return ort.InferenceSession(str(version_folder / "model.onnx"), providers=["CPUExecutionProvider"])


@pytest.fixture
def config():
    """The model configuration in the JSON form of Triton (int64 as text)."""
    return {
        "name": "encode",
        "max_batch_size": 32,
        "input": [
            {"name": name, "data_type": "TYPE_INT64", "dims": ["-1"], "allow_ragged_batch": True}
            for name in ("input_ids", "attention_mask")
        ],
        "output": [
            {"name": "query_embedding", "data_type": "TYPE_FP32", "dims": ["8"]},
            {"name": "tag_logits", "data_type": "TYPE_FP32", "dims": ["-1", str(len(LABELS))]},
        ],
        "parameters": {
            "intra_op_thread_count": {"string_value": "1"},
            "inter_op_thread_count": {"string_value": "1"},
        },
    }
