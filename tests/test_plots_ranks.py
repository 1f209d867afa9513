"""Accuracy against rank: what is drawn and told is what was given."""

import pytest

from kplib import plots

NETWORKS = {"kp": {16: [92.0, 94.0], 1: [70.0]}, "lmf": {2: [88.0, 90.0]}}


def test_seeds_are_markers_and_means_a_line_in_order_of_rank():
    picture = plots.accuracy_by_rank(NETWORKS, marked=16)
    dotted, *lines = picture.figure.axes[0].lines
    assert dotted.get_linestyle() == ":"
    assert set(dotted.get_xdata()) == {16}
    drawn = [(list(line.get_xdata()), list(line.get_ydata())) for line in lines]
    assert drawn == [
        ([1], [70.0]),
        ([16, 16], [92.0, 94.0]),
        ([1, 16], [70.0, 93.0]),
        ([2, 2], [88.0, 90.0]),
        ([2], [89.0]),
    ]
    assert picture.description == (
        "Kronecker (KP): rank 1, 70.0%; rank 16, 92.0% to 94.0%. low rank: rank 2, 88.0% to 90.0%."
    )


@pytest.mark.parametrize(
    ("networks", "message"),
    [
        ({}, "no networks"),
        ({"kp": {}}, "no networks"),
        ({"kp": {0: [90.0]}}, r"networks\['kp'\]\[0\]: needs a rank of 1 or more"),
        ({"kp": {4: []}}, "an accuracy for each seed"),
        ({"kp": {4: [101.0]}}, "an accuracy is 0 to 100 %"),
        ({"kp": {4: [float("nan")]}}, "finite"),
        ({"wood": {4: [90.0]}}, "wood"),
    ],
)
def test_what_cannot_be_drawn_is_refused(networks, message: str):
    with pytest.raises(ValueError, match=message):
        plots.accuracy_by_rank(networks)
