"""Training windows for the loop: nights of one view, in another order and cut anew every pass."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch.utils.data import DataLoader

from nights.balance import drawn_order
from nights.windows import NightWindows, Windows, collate


class WindowSource:
    """Batches of windows.

    Parameters
    ----------
    windows : NightWindows
        With a seed, so that cuts, channels and augmentations are drawn anew for each pass.
    batch_size : int
        Windows per batch; every batch is full, because batch norms cannot live on a rest of one.
    n_batches : int
        Batches per pass; 0 = as many as the windows fill. Where random cuts make more or fewer
        windows in a later pass, some are left out or come twice, so that every pass is as long.
    balance : float
        0: every window counts alike, 1: every data set does; see `nights.balance`.
    workers : int
        Processes that read ahead; 0 reads in this one. The batches are the same.

    Raises
    ------
    ValueError
        If the nights hold no window with a scored epoch.
    """

    def __init__(
        self,
        windows: NightWindows,
        batch_size: int,
        *,
        n_batches: int = 0,
        balance: float = 0.0,
        workers: int = 0,
    ) -> None:
        if not len(windows):
            raise ValueError(
                f"{len(windows.paths)} training nights hold no window of {windows.n_epochs} epochs "
                "with a stage: are they scored, and long enough?"
            )
        self.windows, self.balance, self.workers = windows, balance, workers
        self.batch_size = min(batch_size, len(windows))
        self.n_batches = n_batches or len(windows) // self.batch_size

    def __len__(self) -> int:
        return self.n_batches

    def draw(self, generator: torch.Generator) -> Iterator[Windows]:
        """Yield the batches of one pass; which pass of the windows it is, is drawn too."""
        return self.part(generator, 0, 1)

    def part(self, generator: torch.Generator, first: int, every: int) -> Iterator[Windows]:
        """Yield batch `first` of a pass and each `every`th after it; the others are never read."""
        number = int(torch.randint(2**31, (1,), generator=generator))
        windows = self.windows.for_pass(number)
        n_wanted = self.n_batches * self.batch_size
        order = drawn_order(windows.datasets, n_wanted, generator, balance=self.balance)
        loader = DataLoader(
            windows,
            batch_sampler=order.view(-1, self.batch_size)[first::every].tolist(),
            num_workers=self.workers,
            collate_fn=collate,
            # workers draw nothing: what they read follows from (seed, pass, night)
            generator=torch.Generator().manual_seed(0),
            pin_memory=torch.cuda.is_available(),
        )
        yield from loader
