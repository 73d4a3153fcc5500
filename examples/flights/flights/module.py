"""How the network learns: the Lightning module, and batches that are the same in every run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import lightning
import torch
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, SequentialSampler, TensorDataset

if TYPE_CHECKING:
    from torch import Tensor

    from flights.net import DelayNet

PEAK_RATE = 4e-3


class DelayModule(lightning.LightningModule):
    """Minimises the mean absolute error, in minutes; logs it for both parts after each epoch.

    `history` holds (train, validation) of each finished epoch.
    """

    def __init__(self, net: DelayNet) -> None:
        super().__init__()
        self.net = net
        self.history: list[tuple[float, float]] = []

    def training_step(self, batch: list[Tensor], _index: int) -> Tensor:
        """Mean absolute error of a batch, in units of the delays' spread, as the layers see them."""
        error = self._error("train_mae", batch)
        return error / self.net.scale

    def validation_step(self, batch: list[Tensor], _index: int) -> None:
        """Log the mean absolute error of a batch."""
        self._error("val_mae", batch)

    def on_train_epoch_end(self) -> None:
        """Keep and print the epoch's errors; validation is over by now."""
        train, validation = (float(self.trainer.callback_metrics[name]) for name in ("train_mae", "val_mae"))
        self.history.append((train, validation))
        print(f"epoch {len(self.history)}: MAE {train:.2f} min in training, {validation:.2f} in validation")

    def configure_optimizers(self) -> dict[str, object]:
        """AdamW with one warm-up and decay over the whole training, however many epochs that is."""
        optimizer = torch.optim.AdamW(self.parameters(), lr=PEAK_RATE, weight_decay=1e-2)
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=PEAK_RATE, total_steps=steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _error(self, name: str, batch: list[Tensor]) -> Tensor:
        inputs, delays = batch
        error = (self.net(inputs) - delays).abs().mean()
        self.log(name, error, on_step=False, on_epoch=True, batch_size=len(delays))
        return error


def batches(inputs: Tensor, delays: Tensor, size: int, seed: int | None) -> DataLoader:
    """Batches in an order that `seed` alone decides, or in the given order when it is None.

    Whole batches are cut out of the tensors in this process: workers would add nothing but their start.
    """
    rows = TensorDataset(inputs, delays)
    order = (
        SequentialSampler(rows) if seed is None else RandomSampler(rows, generator=torch.Generator().manual_seed(seed))
    )
    return DataLoader(rows, sampler=BatchSampler(order, size, drop_last=False), batch_size=None)
