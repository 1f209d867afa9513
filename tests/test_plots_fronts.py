"""Fronts: every network where it belongs, and steps at the best of what meets a demand."""

from dataclasses import replace

import numpy as np
import pytest

from kplib import plots
from kplib.experiments.points import Point, most_accurate
from kplib.experiments.trade_offs import Group, TradeOff, trade_offs

KP = Point(source="ours", technique="kp", accuracy=90.5, kilobytes=15.3, smaller=15.9,
           speed_up=9.7, low=89, high=92)  # fmt: skip
OURS = Group(name="40 epochs", points=(KP, replace(KP, technique="lmf", speed_up=None)))


def with_ours(k=2):
    one = trade_offs()[k]
    return TradeOff(benchmark=one.benchmark, means=one.means, bests=one.bests, ours=(OURS,))


def dots(ax):
    return {
        (float(line.get_xdata()[0]), float(line.get_ydata()[0]), line.get_mfc() != "none")
        for line in ax.lines
        if len(line.get_xdata()) == 1
    }


@pytest.mark.parametrize("against", ["size", "speed-up"])
def test_every_network_has_its_place(against):
    one = with_ours()
    shown = plots.accuracy_fronts([one], against)
    (ax,) = shown.figure.axes
    points = [*one.means.points, *OURS.points]
    expected = {
        (point.gain(against), point.accuracy, point.source == "ours")
        for point in points
        if point.gain(against) is not None
    }
    assert dots(ax) == expected
    assert [89, 92] in [list(line.get_ydata()) for line in ax.lines]
    assert "(interval 89.00 to 92.00)" in shown.description


@pytest.mark.parametrize("against", ["size", "speed-up"])
@pytest.mark.parametrize("k", range(5))
def test_a_step_is_the_best_of_what_meets_the_demand(against, k):
    one = trade_offs()[k]
    (ax,) = plots.accuracy_fronts([one], against).figure.axes
    (steps,) = [line for line in ax.lines if line.get_linestyle() == "--"]
    x, y = steps.get_xdata(orig=True), steps.get_ydata(orig=True)
    for demand in np.geomspace(1, max(x), 40):
        best = most_accurate(one.means.points, demand * (1 - 1e-9), against)
        place = np.searchsorted(x, demand * (1 - 1e-9))
        assert y[place] == best.accuracy


def test_a_panel_a_benchmark_and_those_without_a_gain_are_left_out():
    alone = TradeOff(benchmark="dsads-bilstm", means=None, bests=None, ours=(OURS,))
    untimed = TradeOff(
        benchmark="dsads-bilstm", means=None, bests=None,
        ours=(Group(name="x", points=(replace(KP, speed_up=None),)),),
    )  # fmt: skip
    titles = [ax.get_title(loc="left") for ax in
              plots.accuracy_fronts([*trade_offs(), untimed], "speed-up").figure.axes]  # fmt: skip
    assert len(titles) == 5
    assert len(plots.accuracy_fronts([*trade_offs(), alone]).figure.axes) == 6
    for bad, words in (
        (lambda: plots.accuracy_fronts([untimed], "speed-up"), "no network has a speed-up"),
        (lambda: plots.accuracy_fronts(trade_offs(), "flops"), "found 'flops'"),
        (lambda: plots.accuracy_fronts(trade_offs(), training=-1), "found -1"),
    ):
        with pytest.raises(ValueError, match=words):
            bad()


def test_a_demand_is_a_line():
    (ax,) = plots.accuracy_fronts([with_ours()], at_least=10).figure.axes
    assert [10, 10] in [list(line.get_xdata()) for line in ax.lines]
