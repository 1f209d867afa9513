"""The loop of a Kronecker LSTM over its steps, with the gradient worked out by hand.

Autograd records some thirty calls a step, and keeps as many tensors. Here a step is ten calls into
buffers, its gradient fourteen, and the gradients of the factors are taken of several steps at once.
"""

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
    shape: FactorShape, A: Tensor, B: Tensor, bias: Tensor, x: Tensor, h: Tensor, c: Tensor
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

    Returns
    -------
    output : Tensor, shape (steps, batch, hidden)
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
    result: tuple[Tensor, Tensor, Tensor] = _Loop.apply(shape, keeps, *tensors)
    return result


class _Loop(torch.autograd.Function):
    """`lstm_loop`, features first inside: every step is a matrix (features, batch)."""

    @staticmethod
    def forward(
        ctx: Any, shape: FactorShape, keeps: bool, *tensors: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        A, B, bias, x, h, c = tensors
        products = step_products(shape, A, B)
        (steps, batch, inputs), hidden = x.shape, h.shape[1]
        kept = steps if keeps else 1
        V = x.new_empty(steps + 1, inputs + hidden, batch)  # [x_t; h] of every step
        V[:steps, :inputs] = x.transpose(1, 2)
        V[0, inputs:] = h.T
        M = x.new_empty(kept, *products.middle_shape(batch))
        gates = x.new_empty(kept, 4, hidden, batch)
        cells = x.new_empty(kept + 1, hidden, batch)
        cells[0] = c.T
        tanh_cells = x.new_empty(kept, hidden, batch)
        # views of every step, made at once: indexing takes as long as a small product
        columns, middles, outputs = V.unbind(0), M.unbind(0), V[:, inputs:].unbind(0)
        all_gates, parts = gates.unbind(0), _parts(gates)
        states, tanh_states = cells.unbind(0), tanh_cells.unbind(0)
        minus_one = x.new_tensor(-1.0)
        for t in range(steps):
            k, following = (t, t + 1) if keeps else (0, 0)
            z = all_gates[k]
            products.multiply(columns[t], middles[k], z)
            z.add_(bias)
            i_and_f, i, f, g, o = parts[k]
            i_and_f.sigmoid_()
            _tanh(g, minus_one, out=g)
            o.sigmoid_()
            torch.mul(f, states[k], out=states[following]).addcmul_(i, g)
            _tanh(states[following], minus_one, out=tanh_states[k])
            torch.mul(o, tanh_states[k], out=outputs[t + 1])
        if keeps:
            ctx.products = products
            ctx.shape = shape
            ctx.set_materialize_grads(False)
            ctx.save_for_backward(*tensors, V, M, gates, cells, tanh_cells)
        output = V[1:, inputs:].transpose(1, 2).contiguous()
        return output, outputs[steps].T.contiguous(), states[kept if keeps else 0].T.contiguous()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():  # the gradient's own gradient is wanted
            return None, None, *_differentiable_gradients(ctx, gradients)
        return None, None, *_gradients(ctx, gradients)


def _gradients(ctx: Any, gradients: tuple[Tensor | None, ...]) -> tuple[Tensor | None, ...]:
    """Return the gradients of A, B, bias, x, h and c, from those of output, h and c."""
    x, _, _, V, M, gates, cells, tanh_cells = ctx.saved_tensors[3:]
    (steps, batch, inputs), hidden = x.shape, gates.shape[2]
    of_output = None if gradients[0] is None else gradients[0].transpose(1, 2).contiguous()
    dV = V.new_zeros(V.shape[1], batch)
    dh = dV[inputs:]
    dc, new = V.new_zeros(hidden, batch), V.new_empty(hidden, batch)
    for total, given in ((dh, gradients[1]), (dc, gradients[2])):
        if given is not None:
            total.copy_(given.T)
    dx = V.new_empty(steps, inputs, batch) if x.requires_grad else None
    dM = M.new_empty(STEPS_AT_ONCE, *M.shape[1:])
    dZ = gates.new_empty(STEPS_AT_ONCE, *gates.shape[1:])
    totals: list[Tensor] = []
    parts, new_parts, new_gates, new_middles = _parts(gates), _parts(dZ), dZ.unbind(0), dM.unbind(0)
    states, tanh_states = cells.unbind(0), tanh_cells.unbind(0)
    for t in reversed(range(steps)):
        k = t % STEPS_AT_ONCE
        i_and_f, i, f, g, o = parts[t]
        di_and_df, di, df, dg, do = new_parts[k]
        if of_output is not None:
            dh.add_(of_output[t])
        # h = o tanh(c)
        _sigmoid_backward(torch.mul(dh, tanh_states[t], out=do), o, grad_input=do)
        dc.add_(_tanh_backward(torch.mul(dh, o, out=new), tanh_states[t], grad_input=new))
        # c = f c + i g
        torch.mul(dc, g, out=di)
        torch.mul(dc, states[t], out=df)
        _sigmoid_backward(di_and_df, i_and_f, grad_input=di_and_df)
        _tanh_backward(torch.mul(dc, i, out=dg), g, grad_input=dg)
        dc.mul_(f)
        ctx.products.adjoint(new_gates[k], new_middles[k], dV)
        if dx is not None:
            dx[t] = dV[:inputs]
        if k == 0:
            n = min(STEPS_AT_ONCE, steps - t)
            dA, dB = ctx.products.gradients(V[t : t + n], M[t : t + n], dZ[:n], dM[:n])
            these = [dA, dB, dZ[:n].sum((0, 3)).unsqueeze(-1)]
            totals = [a.add_(b) for a, b in zip(totals, these, strict=True)] if totals else these
    return *totals, None if dx is None else dx.transpose(1, 2), dh.T, dc.T


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
    for step in x.transpose(1, 2):
        h, c = lstm_step(operator(torch.cat((step, h))) + bias, c)
        outputs.append(h)
    results = torch.stack(outputs).transpose(1, 2), h.T, c.T
    used = [(r, g) for r, g in zip(results, gradients, strict=True) if g is not None]
    wanted = [t for t in tensors if t.requires_grad]
    found = iter(
        torch.autograd.grad(
            [r for r, _ in used], wanted, [g for _, g in used], create_graph=True, allow_unused=True
        )
    )
    return tuple(next(found) if t.requires_grad else None for t in tensors)
