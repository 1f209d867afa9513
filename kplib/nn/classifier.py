"""A recurrent layer and a head on its final state: the papers' whole network."""

import torch
from torch import Tensor, nn

from kplib.errors import ShapeError
from kplib.nn.recurrent import Recurrent, parameter_count


class Classifier(nn.Module):
    """A recurrent layer whose final output h feeds a linear head: logits of a whole sequence.

    Parameters
    ----------
    rnn : kplib.nn.LSTM, torch.nn.LSTM, torch.nn.GRU or torch.nn.RNN
        The recurrent layer. Of several layers, the last one's final state counts.
    head : torch.nn.Linear
        From the final state to the classes. Where the layer is bidirectional it takes both: the
        forward cell's h after the last step, then the reverse cell's h after the first. Where the
        state is complex it takes two features for each number, its real and its imaginary part.

    Raises
    ------
    TypeError
        If `rnn` or `head` is of another kind.
    ShapeError
        If ``head.in_features`` is not the size of the final state.

    Examples
    --------
    The papers' network for MNIST, one row of the image a step:

    >>> import torch
    >>> from kplib.nn import LSTM, Classifier, Dense, parameter_count
    >>> model = Classifier(LSTM(28, 40, bias="one"), torch.nn.Linear(40, 10))
    >>> parameter_count(model) == 1_038
    True
    >>> dense = Classifier(LSTM(28, 40, bias="one", weight=Dense()), torch.nn.Linear(40, 10))
    >>> parameter_count(dense) == 11_450
    True
    >>> model(torch.randn(28, 128, 28)).shape
    torch.Size([128, 10])
    """

    def __init__(self, rnn: Recurrent | nn.RNNBase, head: nn.Linear) -> None:
        super().__init__()
        if not isinstance(rnn, Recurrent | nn.RNNBase):
            raise TypeError(
                f"rnn must be a recurrent layer of kplib.nn or torch.nn, found {type(rnn).__name__}"
            )
        if not isinstance(head, nn.Linear):
            raise TypeError(f"head must be a torch.nn.Linear, found {type(head).__name__}")
        directions = 2 if rnn.bidirectional else 1
        size = getattr(rnn, "proj_size", 0) or rnn.hidden_size
        parts = 2 if getattr(rnn, "is_complex", False) else 1
        if head.in_features != directions * size * parts:
            raise ShapeError(
                f"head takes {head.in_features} features, but the final state has "
                f"{directions * size * parts}: {directions} "
                f"direction{'s' if directions > 1 else ''} of {size}"
                f"{', real and imaginary part' if parts == 2 else ''}"
            )
        self.rnn = rnn
        self.head = head

    def forward(self, x: Tensor) -> Tensor:
        """Classify whole sequences.

        Parameters
        ----------
        x : Tensor, shape (steps, batch, input), (batch, steps, input) or (steps, input)
            In the layout of `rnn`: ``batch_first`` is the layer's.

        Returns
        -------
        Tensor, shape (batch, classes) or (classes,)
            Logits: the head of the final state.
        """
        _, state = self.rnn(x)
        h = state[0] if isinstance(state, tuple) else state
        directions = 2 if self.rnn.bidirectional else 1
        h = torch.cat(h[-directions:].unbind(0), -1)
        return self.head(torch.view_as_real(h).flatten(-2) if h.is_complex() else h)

    def extra_repr(self) -> str:
        """State the size of the whole network."""
        count = parameter_count(self)
        return f"{count} parameters, {4 * count / 1024:.2f} KB as float32"
