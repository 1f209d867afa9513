"""The figure of the kernels' versions: positions are the times, on a logarithmic scale."""

import numpy as np
import pytest

from kplib import plots

TIMES = {"loops": 3.7e-6, "sizes": 1.3e-6, "packed": 2e-8}


def test_each_version_stands_at_its_time_in_the_order_given():
    picture = plots.version_times(TIMES)
    (ax,) = picture.figure.axes
    assert ax.get_xscale() == "log"
    assert [label.get_text() for label in ax.get_yticklabels()] == list(TIMES)
    (dots,) = ax.lines
    assert np.allclose(dots.get_xdata(), list(TIMES.values()), atol=0)
    assert list(dots.get_ydata()) == [0, 1, 2]
    top, bottom = ax.get_ylim()[::-1]
    assert top < 0 < 2 < bottom  # the first version on top
    assert [text.get_text() for text in ax.texts] == ["3.7 µs", "1.3 µs", "20 ns"]
    assert "loops 3.7 µs, sizes 1.3 µs, packed 20 ns." in picture.description


@pytest.mark.parametrize("time", [0.0, -1e-9, np.nan, np.inf])
def test_a_time_without_a_place_on_the_scale_is_refused(time):
    with pytest.raises(ValueError, match=r"positive|finite"):
        plots.version_times({"a": 1e-9, "b": time})


def test_nothing_to_draw_is_refused():
    with pytest.raises(ValueError, match="no versions"):
        plots.version_times({})
