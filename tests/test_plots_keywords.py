"""The figures of chapter 21: what a network gets, and what it hears in a stream."""

import numpy as np
import pytest

from kplib import plots
from kplib.errors import ShapeError


def opacities(ax):
    """Return how strong each cell of a panel is, the first feature at the bottom."""
    (image,) = ax.images
    return np.asarray(image.get_array())[::-1, :, 3]


def test_examples_share_one_scale_and_time_goes_to_the_right():
    loud, soft = np.zeros((3, 2)), np.zeros((3, 2))
    loud[2, 0], soft[0, 1] = 4, 2
    picture = plots.keyword_maps({"loud": loud, "soft": soft}, seconds=0.6)
    first, second = (opacities(ax) for ax in picture.figure.axes)
    assert first.shape == (2, 3)
    assert np.unravel_index(first.argmax(), first.shape) == (0, 2)
    assert np.unravel_index(second.argmax(), second.shape) == (1, 0)
    assert first.max() == 1
    assert second.max() == pytest.approx(0.03 + 0.97 / 2)
    assert [ax.get_title("center") for ax in picture.figure.axes] == ["loud", "soft"]
    assert picture.description.endswith("loud 1 to 1, soft 2 to 2.")


def test_a_stream_shows_each_probability_in_its_row():
    heard = {"up": [np.nan, 1.0, 0.25], "down": [np.nan, 0.0, 0.75]}
    spoken = [(0.1, 0.2, "up"), (0.2, 0.3, "down")]
    picture = plots.keyword_stream(np.ones((3, 4)), heard, spoken, seconds=0.3)
    top, bottom = picture.figure.axes
    up, down = opacities(bottom)[::-1]  # the first word is on top
    assert np.allclose((up - 0.03) / 0.97, [0, 1, 0.25])
    assert np.allclose((down - 0.03) / 0.97, [0, 0, 0.75])
    assert [label.get_text() for label in bottom.get_yticklabels()] == ["up", "down"]
    assert [text.get_text() for text in top.texts] == ["up", "down"]
    assert "up from 0.10 to 0.20 s: in its last step up has 100%" in picture.description
    assert "down from 0.20 to 0.30 s: in its last step down has 75%" in picture.description


def test_where_nothing_was_computed_it_says_so():
    heard = {"up": [np.nan, 1.0]}
    picture = plots.keyword_stream(np.eye(2), heard, [(0, 0.1, "up")], seconds=0.2)
    assert picture.description.endswith("up from 0.00 to 0.10 s: nothing was computed.")


@pytest.mark.parametrize(
    ("examples", "seconds", "error"),
    [
        ({}, 1, ShapeError),
        ({"a": np.ones((2, 3)), "b": np.ones((3, 2))}, 1, ShapeError),
        ({"a": np.ones(3)}, 1, ShapeError),
        ({"a": np.full((2, 2), np.nan)}, 1, ValueError),
        ({"a": np.ones((2, 2))}, 0, ValueError),
    ],
)
def test_examples_that_make_no_sense_are_refused(examples, seconds, error):
    with pytest.raises(error):
        plots.keyword_maps(examples, seconds=seconds)


@pytest.mark.parametrize(
    ("probabilities", "message"),
    [
        ({}, "each keyword"),
        ({"up": [0.5]}, r"each of 2 steps, found shapes \[\(1,\)\]"),
        ({"up": [0.5, 1.5]}, "outside 0 to 1"),
        ({"up": [-0.5, np.nan]}, "outside 0 to 1"),
    ],
)
def test_streams_that_make_no_sense_are_refused(probabilities, message):
    with pytest.raises(ValueError, match=message):
        plots.keyword_stream(np.eye(2), probabilities, [], seconds=1)
