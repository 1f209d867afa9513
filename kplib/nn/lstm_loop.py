"""The loop of a Kronecker LSTM over its steps, with the gradient worked out by hand.

Autograd records some thirty calls a step, and keeps as many tensors. Here a step is ten calls into
buffers, its gradient fourteen, and the gradients of the factors are taken of several steps at once.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from kplib.nn.structures.factors import kron_operator
from kplib.nn.structures.in_place import step_products
from kplib.shapes import FactorShape

STEPS_AT_ONCE = 4
"""Steps whose gradients wait for the factors': few enough for the cache."""

_sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input
_tanh_backward = torch.ops.aten.tanh_backward.grad_input


def lstm_step(gates: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """Return h and c after a step, from the four gates before their functions and the old c."""
    i, f, g, o = gates.unbind(0)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def lstm_loop(
    shape: FactorShape,
    A: Tensor,
    B: Tensor,
    bias: Tensor,
    x: Tensor,
    h: Tensor,
    c: Tensor,
    *,
    reverse: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """Run a Kronecker LSTM over all steps.

    Parameters
    ----------
    shape : FactorShape
        Of one gate's factors.
    A, B : Tensor, shape (4, m1, n1) and (4, m2, n2)
        The factors of the gates i, f, g, o.
    bias : Tensor, shape (4, hidden, 1)
        The biases.
    x : Tensor, shape (steps, batch, input)
        The sequences.
    h, c : Tensor, shape (batch, hidden)
        The state at the start.
    reverse : bool, optional
        Whether the sequences are read from the last step to the first.

    Returns
    -------
    output : Tensor, shape (steps, batch, hidden)
        A view of a buffer: copy it before it is changed.
    h, c : Tensor, shape (batch, hidden)
        The state at the end.

    Notes
    -----
    The gradient can be differentiated again; that recomputes the loop under autograd.

    Examples
    --------
    >>> import torch
    >>> from kplib import FactorShape
    >>> A, B, bias = torch.randn(4, 4, 3), torch.randn(4, 2, 5), torch.zeros(4, 8, 1)
    >>> x, zeros = torch.randn(6, 9, 7), torch.zeros(9, 8)
    >>> output, h, c = lstm_loop(FactorShape(4, 3, 2, 5), A, B, bias, x, zeros, zeros)
    >>> torch.equal(output[-1], h)
    True
    """
    tensors = (A, B, bias, x, h, c)
    keeps = torch.is_grad_enabled() and any(t.requires_grad for t in tensors)
    apply: Callable[..., tuple[Tensor, Tensor, Tensor]] = _Loop.apply
    return apply(shape, reverse, keeps, *tensors)


class _Loop(torch.autograd.Function):
    """`lstm_loop`, features first inside: every step is a matrix (features, batch)."""

    @staticmethod
    def forward(
        ctx: Any, shape: FactorShape, reverse: bool, keeps: bool, *tensors: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        A, B, bias, x, h, c = tensors
        products = step_products(shape, A, B)
        (steps, batch, inputs), hidden = x.shape, h.shape[1]

        def buffer(length: int, *size: int) -> Tensor:
            """Return one block a step; the same one for all if nothing is kept."""
            return x.new_empty(length if keeps else 1, *size).expand(length, *size)

        first, last, earlier, later = _places(steps, reverse)
        V = x.new_empty(steps + 1, inputs + hidden, batch)  # [x_t; h] as step t reads it
        V[earlier, :inputs] = x.transpose(1, 2)
        V[first, inputs:] = h.T
        M = buffer(steps, *products.middle_shape(batch))
        gates = buffer(steps, 4, hidden, batch)
        cells = buffer(steps + 1, hidden, batch)
        cells[first] = c.T
        tanh_cells = buffer(steps, hidden, batch)
        output = V[later, inputs:]
        minus_one = x.new_tensor(-1.0)
        # views of every step, made at once: indexing takes as long as a small product
        views = zip(
            V[earlier].unbind(0), M.unbind(0), gates.unbind(0), _parts(gates),
            cells[earlier].unbind(0), cells[later].unbind(0), tanh_cells.unbind(0),
            output.unbind(0), strict=True,
        )  # fmt: skip
        for v, m, z, (i_and_f, i, f, g, o), old, new, tanh_new, h_new in _read(views, reverse):
            products.multiply(v, m, z)
            z.add_(bias)
            i_and_f.sigmoid_()
            _tanh(g, minus_one, out=g)
            o.sigmoid_()
            torch.mul(f, old, out=new).addcmul_(i, g)
            _tanh(new, minus_one, out=tanh_new)
            torch.mul(o, tanh_new, out=h_new)
        if keeps:
            ctx.products, ctx.shape, ctx.reverse = products, shape, reverse
            ctx.set_materialize_grads(False)
            ctx.save_for_backward(*tensors, V, M, gates, cells, tanh_cells)
        return output.transpose(1, 2), V[last, inputs:].T.clone(), cells[last].T.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():  # the gradient's own gradient is wanted
            return None, None, None, *_differentiable_gradients(ctx, gradients)
        return None, None, None, *_gradients(ctx, gradients)


def _places(steps: int, reverse: bool) -> tuple[int, int, slice, slice]:
    """Return where steps + 1 states lie: first, last, those before and those after each step."""
    if reverse:
        return steps, 0, slice(1, None), slice(0, steps)
    return 0, steps, slice(0, steps), slice(1, None)


def _read(views: Iterable[Any], reverse: bool) -> list[Any]:
    """Return the steps in the order in which they are read."""
    return list(views)[:: -1 if reverse else 1]


def _gradients(ctx: Any, gradients: tuple[Tensor | None, ...]) -> tuple[Tensor | None, ...]:
    """Return the gradients of A, B, bias, x, h and c, from those of output, h and c."""
    x, _, _, V, M, gates, cells, tanh_cells = ctx.saved_tensors[3:]
    (steps, batch, inputs), hidden = x.shape, gates.shape[2]
    _, _, earlier, _ = _places(steps, ctx.reverse)
    V = V[earlier]
    dV = V.new_zeros(V.shape[1], batch)
    dh = dV[inputs:]
    dc, spare = V.new_zeros(hidden, batch), V.new_empty(hidden, batch)
    for total, given in zip((dh, dc), gradients[1:], strict=True):
        if given is not None:
            total.copy_(given.T)
    dx = V.new_empty(steps, inputs, batch) if x.requires_grad else None
    dM = M.new_empty(STEPS_AT_ONCE, *M.shape[1:])
    dZ = gates.new_empty(STEPS_AT_ONCE, *gates.shape[1:])
    waiting = list(zip(dM.unbind(0), dZ.unbind(0), _parts(dZ), strict=True))
    totals = [torch.zeros_like(p) for p in ctx.saved_tensors[:3]]
    views = zip(
        range(steps), _parts(gates), cells[earlier].unbind(0), tanh_cells.unbind(0),
        _steps_of(gradients[0], steps), strict=True,
    )  # fmt: skip
    for t, (i_and_f, i, f, g, o), old, tanh_new, of_output in _read(views, not ctx.reverse):
        dm, dz, (di_and_df, di, df, dg, do) = waiting[t % STEPS_AT_ONCE]
        if of_output is not None:
            dh.add_(of_output)
        # h = o tanh(c)
        _sigmoid_backward(torch.mul(dh, tanh_new, out=do), o, grad_input=do)
        dc.add_(_tanh_backward(torch.mul(dh, o, out=spare), tanh_new, grad_input=spare))
        # c = f old + i g
        torch.mul(dc, g, out=di)
        torch.mul(dc, old, out=df)
        _sigmoid_backward(di_and_df, i_and_f, grad_input=di_and_df)
        _tanh_backward(torch.mul(dc, i, out=dg), g, grad_input=dg)
        dc.mul_(f)
        ctx.products.adjoint(dz, dm, dV)
        if dx is not None:
            dx[t] = dV[:inputs]
        # the steps that have waited since the last multiple of STEPS_AT_ONCE, up or down
        start = t - t % STEPS_AT_ONCE
        n = min(STEPS_AT_ONCE, steps - start)
        if t == (start + n - 1 if ctx.reverse else start):
            these = slice(start, start + n)
            dA, dB = ctx.products.gradients(V[these], M[these], dZ[:n], dM[:n])
            for total, part in zip(totals, (dA, dB, dZ[:n].sum((0, 3)).unsqueeze(2)), strict=True):
                total.add_(part)
    return *totals, None if dx is None else dx.transpose(1, 2), dh.T, dc.T


def _steps_of(gradient: Tensor | None, steps: int) -> Sequence[Tensor | None]:
    """Return the gradient of the output at each step, features first, where there is any."""
    if gradient is None:
        return [None] * steps
    return gradient.transpose(1, 2).contiguous().unbind(0)


def _tanh(x: Tensor, minus_one: Tensor, *, out: Tensor) -> None:
    """Write tanh(x) = 2 sigmoid(2 x) - 1: on a CPU a third of the time of torch's own tanh.

    The error is that of a sum whose result is about 1, 1e-7 in float32, where x is small, too.
    """
    torch.mul(x, 2, out=out).sigmoid_()
    torch.add(minus_one, out, alpha=2, out=out)


def _parts(gates: Tensor) -> list[tuple[Tensor, ...]]:
    """Return, of each step, i and f in one, i, f, g and o."""
    return list(
        zip(gates[:, :2].unbind(0), *(gates[:, k].unbind(0) for k in range(4)), strict=True)
    )


def _differentiable_gradients(
    ctx: Any, gradients: tuple[Tensor | None, ...]
) -> tuple[Tensor | None, ...]:
    """Return the same gradients by autograd, which can differentiate them again."""
    tensors = ctx.saved_tensors[:6]
    A, B, bias, x, h, c = tensors
    operator = kron_operator(ctx.shape, A.unsqueeze(1), B.unsqueeze(1))
    h, c = h.T, c.T
    outputs = []
    for step in _read(x.transpose(1, 2), ctx.reverse):
        h, c = lstm_step(operator(torch.cat((step, h))) + bias, c)
        outputs.append(h)
    output = torch.stack(_read(outputs, ctx.reverse)).transpose(1, 2)
    results = zip((output, h.T, c.T), gradients, strict=True)
    used = [(result, gradient) for result, gradient in results if gradient is not None]
    wanted = [t for t in tensors if t.requires_grad]
    found = iter(
        torch.autograd.grad(
            [r for r, _ in used], wanted, [g for _, g in used], create_graph=True, allow_unused=True
        )
    )
    return tuple(next(found) if t.requires_grad else None for t in tensors)
