"""Embeddings whose first numbers are embeddings themselves.

Matryoshka representation learning, Kusupati et al. 2022, https://arxiv.org/abs/2205.13147: the loss is taken
at several widths at once, each of them cut off and brought to unit length again. A shop then chooses the
width of its index at export, without training again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from endcap_rerank.errors import InvalidInputError
from torch import Tensor
from torch.nn import functional

from endcap_export.model import TwoHeadBert


def matryoshka_loss(
    queries: Tensor, items: Tensor, dims: Sequence[int], loss: Callable[[Tensor, Tensor], Tensor]
) -> Tensor:
    """Mean of ``loss`` over the full width and each width of ``dims``.

    Args:
        queries: float [P, D].
        items: float [Q, D].
        dims: widths below D; the full width always counts, and wider ones than D are refused.
        loss: of queries [P, d] and items [Q, d] of unit length.

    Raises:
        InvalidInputError: a width that is not between 1 and D.
    """
    widths = sorted({*dims, queries.shape[-1]})
    check_widths(widths, queries.shape[-1])
    return torch.stack([loss(shortened(queries, width), shortened(items, width)) for width in widths]).mean()


def shortened(embeddings: Tensor, width: int) -> Tensor:
    """The first ``width`` numbers of each embedding, of unit length: [.., D] to [.., width]."""
    return functional.normalize(embeddings[..., :width], dim=-1)


def check_widths(widths: Sequence[int], full: int) -> None:
    """Refuse widths that an embedding of ``full`` numbers cannot be cut to.

    Raises:
        InvalidInputError: names the width.
    """
    for width in widths:
        if not 1 <= width <= full:
            raise InvalidInputError("dimensions", width, f"1 to {full} are expected, the encoder's width")


def with_dimensions(model: TwoHeadBert, dimensions: int | None) -> TwoHeadBert:
    """The model itself, from now on giving only the first ``dimensions`` numbers of the embedding.

    Raises:
        InvalidInputError: more than it has.
    """
    if dimensions is not None:
        check_widths([dimensions], model.config.hidden_size)
        model.config.dimensions = dimensions
    return model
