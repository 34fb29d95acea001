"""A PyTorch model with the calls of an exported encoder."""

from __future__ import annotations

import threading

import numpy as np
import numpy.typing as npt
import torch

from endcap_export.model import TwoHeadBert


class TorchEncoder:
    """Encodes with a model that is not exported, in the precision that it has or trains in.

    Args:
        model: put in evaluation mode; training puts it back.
    """

    def __init__(self, model: TwoHeadBert) -> None:
        self._model = model.eval()
        self.dimension = int(getattr(model.config, "dimensions", None) or model.config.hidden_size)
        # Texts are encoded by several threads; PyTorch has threads of its own for one batch at a time.
        self._lock = threading.Lock()

    def encode(
        self, input_ids: npt.NDArray[np.int64], attention_mask: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Padded batch [B, T] to embeddings float32 [B, D] and logits float32 [B, T, L]."""
        device = self._model.device
        with self._lock, torch.no_grad():
            embeddings, logits = self._model(
                torch.from_numpy(input_ids).to(device), torch.from_numpy(attention_mask).to(device)
            )
        return embeddings.float().cpu().numpy(), logits.float().cpu().numpy()
