"""Refusal of what a compiled or exported classifier would silently leave out."""

from torch import nn

from kplib.nn import Classifier


def require_plain(model: Classifier, what: str) -> None:
    """Raise a TypeError if the model computes something beside its layers' parameters.

    Parameters
    ----------
    model : kplib.nn.Classifier
    what : str
        The function that reads the parameters alone, for the message: "compile".

    Raises
    ------
    TypeError
        If a part has a parametrization, hooks, a forward of its own, or no values.

    Examples
    --------
    >>> import torch
    >>> from kplib.nn import FastRNN
    >>> model = Classifier(FastRNN(16, 32), torch.nn.Linear(32, 10))
    >>> require_plain(model, "compile")
    >>> model.head.forward = lambda h: -h
    >>> try:
    ...     require_plain(model, "compile")
    ... except TypeError as error:
    ...     print(error)
    head has a forward of its own, which compile would ignore
    """
    for name, module in model.named_modules():
        part = name or "the model"
        if nn.utils.parametrize.is_parametrized(module):
            raise TypeError(
                f"{part} has a parametrization, which {what} would ignore; remove it first "
                "(kplib.nn.quantized.finish_qat, or "
                "torch.nn.utils.parametrize.remove_parametrizations)"
            )
        if module._forward_hooks or module._forward_pre_hooks:
            raise TypeError(
                f"{part} has forward hooks, which {what} would ignore; remove them first (after "
                "torch.nn.utils.prune: prune.remove makes the pruning permanent)"
            )
        if "forward" in vars(module):
            raise TypeError(f"{part} has a forward of its own, which {what} would ignore")
    for module, plain in ((model, Classifier), (model.head, nn.Linear)):
        if type(module).forward is not plain.forward:
            raise TypeError(
                f"{type(module).__name__} has a forward of its own, which {what} would ignore"
            )
    for name, parameter in model.named_parameters():
        if parameter.is_meta:
            raise TypeError(f"{name} is on the meta device: it has no values to {what}")
