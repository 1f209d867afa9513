"""The steps of a batch of sequences, padded or packed, in the order in which a cell reads them."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class Steps:
    """What a cell reads or writes, one block of a batch a step.

    Parameters
    ----------
    data : Tensor
        (steps, batch, features); packed, (sum of sizes, features): step after step, each with the
        sequences that are long enough, the longest first.
    sizes : Tensor of int64 on the CPU, optional
        Packed: how many sequences each step has, never more than the step before.
    """

    data: Tensor
    sizes: Tensor | None = None

    def __len__(self) -> int:
        return self.data.shape[0] if self.sizes is None else len(self.sizes)

    @property
    def batch(self) -> int:
        """Sequences side by side in the first step: all of them."""
        return self.batch_at(0)

    def batch_at(self, step: int) -> int:
        """Return how many sequences have such a step."""
        return self.data.shape[1] if self.sizes is None else int(self.sizes[step])

    def with_data(self, data: Tensor) -> "Steps":
        """Return other data for the same steps."""
        return replace(self, data=data)

    def reversed(self) -> "Steps":
        """Return every sequence from its own end to its beginning; twice gives it back."""
        if self.sizes is None:
            return self.with_data(self.data.flip(0))
        index = _reversal(self.sizes).to(self.data.device)
        return self.with_data(self.data[index])

    def features_first(self) -> list[Tensor]:
        """Return each step as a matrix (features, sequences of this step)."""
        if self.sizes is None:
            return list(self.data.transpose(1, 2).contiguous().unbind(0))
        return list(self.data.T.contiguous().split(self.sizes.tolist(), dim=1))

    def join(self, steps: list[Tensor]) -> "Steps":
        """Return the steps of `features_first`, joined again."""
        if self.sizes is None:
            return self.with_data(torch.stack(steps).transpose(1, 2))
        return self.with_data(torch.cat(steps, 1).T)


def _reversal(sizes: Tensor) -> Tensor:
    """Return where each packed row's mirror image in its sequence lies."""
    steps, batch = len(sizes), int(sizes[0])
    starts = sizes.cumsum(0) - sizes
    step = torch.arange(steps).repeat_interleave(sizes)
    sequence = torch.arange(len(step)) - starts[step]
    lengths = (sizes.unsqueeze(0) > torch.arange(batch).unsqueeze(1)).sum(1)
    return starts[lengths[sequence] - 1 - step] + sequence
