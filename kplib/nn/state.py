"""The state of a model of the same kind, with an error that says what does not fit."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn


def assign_state(model: nn.Module, state: Mapping[str, Tensor], source: object) -> None:
    """Give a model the tensors of another of its kind; they become its dtype.

    Parameters
    ----------
    model : torch.nn.Module
        Gets the state; left as it is if that does not fit.
    state : mapping of str to Tensor
        By PyTorch's names.
    source : object
        Where it is from, for the error: a path.

    Raises
    ------
    ValueError
        If tensors are missing, left over, of other shapes, or of a kind that does not become the
        model's without loss: complex numbers real ones, floats integers or truth values.

    Examples
    --------
    >>> import torch
    >>> model = nn.Linear(3, 2)
    >>> assign_state(model, {"weight": torch.ones(2, 3), "bias": torch.ones(2)}, "a dictionary")
    >>> bool((model.weight == 1).all())
    True
    """
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in state.items()}
    wrong = sorted({name for name, _ in expected.items() ^ found.items()})
    if wrong:
        first = wrong[0]
        raise ValueError(
            f"{source} does not fit the network: {len(wrong)} tensors are missing, left over or of "
            f"other shapes, such as {first}, {found.get(first, 'missing')} there and "
            f"{expected.get(first, 'missing')} here"
        )
    dtypes = {name: tensor.dtype for name, tensor in model.state_dict().items()}
    for name, tensor in state.items():
        if not torch.can_cast(tensor.dtype, dtypes[name]):
            raise ValueError(
                f"{source} does not fit the network: {name} is {tensor.dtype} there and "
                f"{dtypes[name]} here"
            )
    model.load_state_dict(state)
