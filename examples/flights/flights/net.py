"""The network by itself: PyTorch only, so that whoever loads the registered model needs nothing else."""

from __future__ import annotations

import torch
from torch import Tensor, nn

DROPOUT = 0.2
"""Share of a layer's outputs left out in training; chosen on the validation months, where 0 was worse."""


class DelayNet(nn.Module):
    """Embeddings of the categories and the numbers beside them, through two hidden layers.

    Takes float32 of shape (flights, columns) as `flights.features.Encoding.transform` gives them: one code
    for each entry of `sizes`, then the numbers. Returns float32 of shape (flights,): delays in minutes.
    """

    def __init__(self, sizes: list[int], numbers: int, hidden: int, centre: float, scale: float) -> None:
        super().__init__()
        widths = [min(16, (size + 1) // 2) for size in sizes]
        self.embeddings = nn.ModuleList(nn.Embedding(*shape) for shape in zip(sizes, widths, strict=True))
        self.layers = nn.Sequential(
            nn.Linear(sum(widths) + numbers, hidden),
            nn.ReLU(),
            nn.Dropout(DROPOUT),
            nn.Linear(hidden, hidden // 2),
            nn.ReLU(),
            nn.Dropout(DROPOUT),
            nn.Linear(hidden // 2, 1),
        )
        # The layers work in units of the delays' spread around their median: so they start near the target.
        self.register_buffer("centre", torch.tensor(centre, dtype=torch.float32))
        self.register_buffer("scale", torch.tensor(scale, dtype=torch.float32))

    def forward(self, inputs: Tensor) -> Tensor:
        """Predict the delays."""
        count = len(self.embeddings)
        codes = inputs[:, :count].long()
        embedded = [embedding(codes[:, i]) for i, embedding in enumerate(self.embeddings)]
        output = self.layers(torch.cat([*embedded, inputs[:, count:]], dim=1)).squeeze(1)
        return output * self.scale + self.centre
