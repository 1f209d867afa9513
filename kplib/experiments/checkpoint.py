"""A training's state on the disk: tensors, and plain JSON in the same file's header.

One safetensors file, written whole or not at all, so that tensors and numbers are of one moment.
Random states are not in it: all random draws are functions of the seed and the step.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from kplib._atomic import write_atomically

__all__ = ["read_checkpoint", "write_checkpoint"]

_HEADER = "kplib"


def write_checkpoint(path: Path, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
    """Write or replace a checkpoint.

    Parameters
    ----------
    path : Path
    tensors : mapping of str to Tensor
        On any device; they are written as they are, to the last bit.
    state : mapping
        What the json module can write.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "checkpoint")
    ...     write_checkpoint(path, {"W": torch.ones(2, 3)}, {"step": 7})
    ...     tensors, state = read_checkpoint(path)
    >>> tensors["W"].shape, state["step"]
    (torch.Size([2, 3]), 7)
    """
    on_cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    header = {_HEADER: json.dumps(dict(state), allow_nan=False)}
    write_atomically(path, save(on_cpu, header))


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read a checkpoint: its tensors, on the CPU, and its state.

    Parameters
    ----------
    path : Path

    Returns
    -------
    tensors : dict of str to Tensor
    state : dict

    Raises
    ------
    ValueError
        If it is no checkpoint; it says which file.
    """
    try:
        with safe_open(path, "pt") as file:
            header = (file.metadata() or {}).get(_HEADER)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        state = json.loads(header) if header is not None else None
    except (OSError, RecursionError, SafetensorError, ValueError) as error:
        raise ValueError(f"{path}: is no checkpoint: {error}") from None
    if not isinstance(state, dict):
        raise ValueError(f"{path}: is no checkpoint: its header has no {_HEADER!r}")
    return tensors, state


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return an optimizer's tensors by the number of the parameter and their own name."""
    states = optimizer.state_dict()["state"]
    return {f"{k}/{name}": value for k, state in states.items() for name, value in state.items()}


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Give an optimizer the tensors of `optimizer_tensors`."""
    states: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        number, _, name = key.partition("/")
        states.setdefault(int(number), {})[name] = tensor
    optimizer.load_state_dict(optimizer.state_dict() | {"state": states})
