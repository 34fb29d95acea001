"""Batches of one epoch dealt out to the processes of a run."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Protocol

from endcap_rerank.errors import EndcapError
from torch.utils.data import Sampler


class EpochBatches(Protocol):
    """Batches whose order depends on the epoch and on nothing else."""

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of this epoch."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[list[int]]: ...


class ShardedBatches(Sampler[list[int]]):
    """Every ``world_size``-th batch, from the ``rank``-th: no two processes see the same one.

    All processes have equally many; what is left of an epoch after that is left out of it, other batches in
    each epoch.

    Args:
        batches: of all processes together. The Trainer reaches for it under this very name.
        rank: of this process.
        world_size: how many processes there are.

    Raises:
        EndcapError: there are fewer batches than processes.
    """

    def __init__(self, batches: EpochBatches, rank: int, world_size: int) -> None:
        if len(batches) < world_size:
            raise EndcapError(
                f"{len(batches)} batches cannot be split over {world_size} processes; "
                "fewer processes, or a smaller batch_size, are expected"
            )
        self.batch_sampler = batches
        self._rank, self._world_size = rank, world_size

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of this epoch."""
        self.batch_sampler.set_epoch(epoch)

    def __len__(self) -> int:
        return len(self.batch_sampler) // self._world_size

    def __iter__(self) -> Iterator[list[int]]:
        own = islice(self.batch_sampler, self._rank, None, self._world_size)
        return islice(own, len(self))
