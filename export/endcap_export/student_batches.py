"""What a student learns on: the shop's texts, and what its teacher makes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from endcap_rerank.tags import word_positions
from endcap_rerank.tokenizer import QueryTokenizer
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from endcap_export.alignment import IGNORED, piece_labels
from endcap_export.bio import TaggedQuery
from endcap_export.model import TwoHeadBert
from endcap_export.padding import like_length, padded

_TEACHER_BATCH = 64


@dataclass(frozen=True)
class Text:
    """The word pieces of one text.

    Attributes:
        ids: int64 [T].
        classes: int64 [T], the class of each piece that carries a label; ``IGNORED`` elsewhere, and
            everywhere for texts that no one tagged.
        words: bool [T], pieces whose label serving reads; none of a product's.
    """

    ids: npt.NDArray[np.int64]
    classes: npt.NDArray[np.int64]
    words: npt.NDArray[np.bool_]


def student_texts(
    tokenizer: QueryTokenizer,
    queries: Sequence[str],
    products: Sequence[str],
    tagged: Sequence[TaggedQuery],
    labels: Sequence[str],
) -> list[Text]:
    """Tokenize queries and product texts; a tagged query keeps its labels."""
    classes = {label: index for index, label in enumerate(labels)}
    known = {query.text: query for query in tagged}
    texts = []
    tokens = tokenizer.encode(queries)
    for row, query in enumerate(queries):
        size = int(tokens.attention_mask[row].sum())
        offsets = tokens.offsets[row, :size]
        words = np.zeros(size, bool)
        words[[piece for piece, _ in word_positions(query, offsets)]] = True
        own = known.get(query)
        labelled = np.full(size, IGNORED, np.int64) if own is None else piece_labels(own, offsets, classes)
        texts.append(Text(tokens.input_ids[row, :size], labelled, words))
    tokens = tokenizer.encode_products(products)
    for row in range(len(products)):
        size = int(tokens.attention_mask[row].sum())
        nothing = np.full(size, IGNORED, np.int64), np.zeros(size, bool)
        texts.append(Text(tokens.input_ids[row, :size], *nothing))
    return texts


class StudentDataset(Dataset[int]):
    """Texts with their teacher's last hidden states, kept in half precision: 2 H bytes a word piece.

    Both of the teacher's answers follow from these states, so it reads every text only once. An item is its
    own index; ``collate`` makes the tensors.

    Args:
        teacher: in evaluation mode.
        texts: what to learn on.
        progress: called with (texts done, texts in all) while the teacher reads.
    """

    def __init__(
        self, teacher: TwoHeadBert, texts: Sequence[Text], progress: Callable[[int, int], None]
    ) -> None:
        self._texts = texts
        sizes = self.lengths()
        self._starts = np.concatenate([[0], np.cumsum(sizes)])
        self._states = np.empty((int(self._starts[-1]), teacher.config.hidden_size), np.float16)
        order = np.argsort(sizes, kind="stable")
        for first in range(0, len(order), _TEACHER_BATCH):
            rows = order[first : first + _TEACHER_BATCH]
            ids, mask = padded([texts[row].ids for row in rows])
            with torch.inference_mode():
                states = teacher.states(ids, mask).float().numpy()
            for place, row in enumerate(rows):
                self._states[self._starts[row] : self._starts[row + 1]] = states[place, : sizes[row]]
            progress(first + len(rows), len(order))

    def __len__(self) -> int:
        return len(self._texts)

    def __getitem__(self, index: int) -> int:
        return index

    def lengths(self) -> npt.NDArray[np.int64]:
        """Word pieces of each text: int64 [len(self)]."""
        return np.array([len(text.ids) for text in self._texts], np.int64)

    def collate(self, indices: Sequence[int]) -> dict[str, Tensor]:
        """Tensors of one batch: ``ids``, ``mask``, ``classes``, ``words`` [B, T] and ``states`` [B, T, H]."""
        texts = [self._texts[index] for index in indices]
        ids, mask = padded([text.ids for text in texts])
        classes, _ = padded([text.classes for text in texts], IGNORED)
        words, _ = padded([text.words.astype(np.int64) for text in texts])
        states = torch.zeros((*ids.shape, self._states.shape[1]))
        for row, index in enumerate(indices):
            own = self._states[self._starts[index] : self._starts[index + 1]]
            states[row, : len(own)] = torch.from_numpy(own).float()
        return {"ids": ids, "mask": mask, "classes": classes, "words": words.bool(), "states": states}


class LengthBatches(Sampler[list[int]]):
    """Batches of like length in an order that depends on the seed and the epoch alone."""

    def __init__(self, lengths: npt.NDArray[np.int64], size: int, seed: int) -> None:
        self._lengths, self._size, self._seed = lengths, size, seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of this epoch."""
        self._epoch = epoch

    def __len__(self) -> int:
        return -(-len(self._lengths) // self._size)

    def __iter__(self) -> Iterator[list[int]]:
        generator = np.random.default_rng([self._seed, self._epoch])
        texts = np.arange(len(self._lengths))
        for batch in like_length(texts, self._lengths, self._size, generator):
            yield batch.tolist()
