"""What is known of Arm: instructions and memory counted, cycles modelled, speed-ups predicted."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kplib.plots.axes import name_rows, plain_numbers, positive
from kplib.plots.picture import Picture
from kplib.plots.style import INK, LABELS, MARKERS, PALETTE, WIDTH, technique, use_style

_ROW = 0.34  # inches


def instruction_savings(savings: Mapping[str, Mapping[str, float]]) -> Picture:
    """Draw how many times fewer instructions networks take than the dense one, a row a benchmark.

    Parameters
    ----------
    savings : mapping of str to mapping of str to float
        By benchmark, for each technique (see `technique`) the dense network's count over its own.

    Returns
    -------
    Picture

    Raises
    ------
    ValueError
        If there is nothing to draw, or a number is not positive and finite.

    Examples
    --------
    >>> picture = instruction_savings({"KWS-LSTM": {"kp": 4.0, "lmf": 6.0}})
    >>> "KWS-LSTM: Kronecker (KP) 4, low rank 6" in picture.description
    True
    """
    if not savings or not all(savings.values()):
        raise ValueError("there is nothing to draw: each benchmark needs a network")
    for name, row in savings.items():
        positive(f"savings[{name!r}]", list(row.values()))
    used = list(dict.fromkeys(technique(key) for row in savings.values() for key in row))
    with use_style():
        figure, ax = _rows(list(savings), legend=-(-len(used) // 2))
        for place, row in enumerate(savings.values()):
            for key, value in row.items():
                _mark(ax, technique(key), value, place)
        ax.axvline(1, color=INK, lw=1, ls="--", alpha=0.75)
        every = [1.0, *(value for row in savings.values() for value in row.values())]
        _plain_log(ax, min(every), max(every))
        ax.set_xlabel("times fewer instructions than dense")
        _legend(figure, ax, used)
    words = "; ".join(
        f"{name}: "
        + ", ".join(f"{LABELS[technique(key)]} {value:.2g}" for key, value in row.items())
        for name, row in savings.items()
    )
    return Picture(figure, "Times fewer instructions than the dense network", f"{words}.")


def device_memory(
    programs: Mapping[str, tuple[str, int, int | None]], *, flash: int, ram: int
) -> Picture:
    """Draw what programs take of a microcontroller's flash and RAM, with the limits of both.

    Parameters
    ----------
    programs : mapping of str to (str, int, int or None)
        By name, a technique (see `technique`), bytes of flash and of RAM; RAM is None where a
        program was not linked, so that nobody knows.
    flash, ram : int
        Bytes that the device has.

    Returns
    -------
    Picture
        What is too large is an outline.

    Raises
    ------
    ValueError
        If there is nothing to draw, or a number is not positive.

    Examples
    --------
    >>> programs = {"dense": ("dense", 47_592, None), "factors, int8": ("kp", 3052, 1004)}
    >>> picture = device_memory(programs, flash=32_768, ram=2048)
    >>> "dense: 47,592 bytes of flash, too many" in picture.description
    True
    """
    if not programs:
        raise ValueError("there is nothing to draw: programs must not be empty")
    taken = [value for row in programs.values() for value in row[1:] if value is not None]
    positive("bytes", [flash, ram, *taken])
    with use_style():
        height = 0.85 + 0.27 * len(programs)
        figure = Figure(figsize=(WIDTH, height))
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=[1.5, 1])
        of_flash = [row[1] for row in programs.values()]
        of_ram = [row[2] for row in programs.values()]
        keys = [technique(row[0]) for row in programs.values()]
        for ax, sizes, limit, title in (
            (left, of_flash, flash, "Flash, KB"),
            (right, of_ram, ram, "RAM, KB"),
        ):
            for place, (key, size) in enumerate(zip(keys, sizes, strict=True)):
                if size is not None:
                    ax.barh(
                        place, size / 1024, height=0.55, edgecolor=PALETTE[key], lw=1.2,
                        facecolor="none" if size > limit else PALETTE[key],
                    )  # fmt: skip
            ax.axvline(limit / 1024, color=INK, lw=1.2, ls="--")
            ax.set_title(title)
            ax.set_xlim(0, 1.08 * max(limit, *(size or 0 for size in sizes)) / 1024)
            ax.set_xticks([0, limit / 1024])
            name_rows(ax, list(programs), over=0.55, under=0.55)
    words = "; ".join(
        f"{name}: {flash_bytes:,} bytes of flash{', too many' * (flash_bytes > flash)}"
        + ("" if ram_bytes is None else f", {ram_bytes:,} of RAM")
        for name, (_, flash_bytes, ram_bytes) in programs.items()
    )
    return Picture(
        figure,
        "Flash and RAM of exported networks",
        f"The device has {flash:,} bytes of flash and {ram:,} of RAM. {words}.",
    )


def modelled_roofline(
    peaks: Mapping[str, float],
    slope: tuple[str, float, float],
    networks: Mapping[str, Sequence[tuple[str, float, float, float]]],
) -> Picture:
    """Draw modelled rates under the roofs of several cores, in operations a cycle.

    Parameters
    ----------
    peaks : mapping of str to float
        By name, flop a cycle.
    slope : (str, float, float)
        Whose first cache, the bytes a cycle that it delivers, and that core's peak.
    networks : mapping of str to sequence of (str, float, float, float)
        By technique (see `technique`), for each network its name, flop per byte of weights, and
        flop a cycle: the least and the most.

    Returns
    -------
    Picture

    Raises
    ------
    ValueError
        If there is no peak or no network, or a number is not positive and finite.

    Examples
    --------
    >>> picture = modelled_roofline(
    ...     {"A73": 8.0}, ("A72", 16.0, 8.0), {"kp": [("KWS", 1.2, 1.9, 3.8)]}
    ... )
    >>> "Kronecker (KP): KWS 1.2 flop per byte, 1.9 to 3.8 flop a cycle" in picture.description
    True
    """
    if not peaks or not networks or not all(networks.values()):
        raise ValueError("a roofline needs a peak, and a network of each technique")
    positive("peaks", [*peaks.values(), *slope[1:]])
    points = {
        name: positive(f"networks[{name!r}]", [row[1:] for row in rows])
        for name, rows in networks.items()
    }
    every = np.concatenate(list(points.values()))
    low, high, top = every[:, 0].min() / 1.7, every[:, 0].max() * 2.2, max(peaks.values())
    with use_style():
        used = [technique(name) for name in networks]
        figure = Figure(figsize=(WIDTH, 2.9 + 0.19 * -(-(len(used) + 1) // 2)))
        ax = figure.subplots()
        ax.loglog()
        x = np.array([low, high])
        for name, peak in peaks.items():
            ax.plot(x, [peak, peak], color=INK, marker="", lw=1.4)
            ax.annotate(name, (high, peak), (0, 3), textcoords="offset points", ha="right")
        x = np.array([low, max(low, min(high, slope[2] / slope[1]))])
        ax.plot(x, x * slope[1], color=INK, marker="", lw=1.2, ls="--", label=f"{slope[0]}, cache")
        for name, rows in points.items():
            key = technique(name)
            ax.vlines(rows[:, 0], rows[:, 1], rows[:, 2], color=PALETTE[key], lw=2.2, alpha=0.6)
            for column in (1, 2):
                ax.plot(
                    rows[:, 0], rows[:, column], MARKERS[key], color=PALETTE[key], ms=4.5, zorder=3
                )
        ax.set(xlim=(low, high), ylim=(every[:, 1].min() / 1.5, top * 1.7))
        ax.set(xlabel="flop per byte of weights", title="flop a cycle")
        for axis in (ax.xaxis, ax.yaxis):
            plain_numbers(axis)
        _legend(figure, ax, used)
    roofs = ", ".join(f"{name} {peak:g}" for name, peak in peaks.items())
    words = "; ".join(
        f"{LABELS[technique(name)]}: "
        + ", ".join(
            f"{row[0]} {row[1]:.2g} flop per byte, {row[2]:.2g} to {row[3]:.2g} flop a cycle"
            for row in rows
        )
        for name, rows in networks.items()
    )
    return Picture(
        figure,
        "Modelled rates under the roofs of four cores",
        f"Peaks in flop a cycle: {roofs}; first cache of the {slope[0]}: {slope[1]:g} bytes a "
        f"cycle. {words}.",
    )


def predicted_speed_ups(
    rows: Mapping[str, tuple[Mapping[str, float], float | None]],
) -> Picture:
    """Draw predictions of a speed-up as a range of several figures, and what was measured.

    Parameters
    ----------
    rows : mapping of str to (mapping of str to float, float or None)
        By network, its predictions by their names, and the measured speed-up if there is one.

    Returns
    -------
    Picture
        Predictions are outlines on a line, the measurement is filled.

    Raises
    ------
    ValueError
        If there is nothing to draw, a number is not positive and finite, or the networks'
        predictions have different names.

    Examples
    --------
    >>> picture = predicted_speed_ups({"KWS-LSTM": ({"by fmla": 6.7, "by model": 2.7}, 1.53)})
    >>> "KWS-LSTM: by fmla 6.7, by model 2.7; measured 1.53" in picture.description
    True
    """
    names = [list(predictions) for predictions, _ in rows.values()]
    if not names or not names[0] or any(each != names[0] for each in names):
        raise ValueError(f"every network needs the same predictions, found {names}")
    numbers = [value for predictions, _ in rows.values() for value in predictions.values()]
    numbers += [measured for _, measured in rows.values() if measured is not None]
    positive("speed-ups", numbers)
    marks = ("o", "s", ">", "<", "D", "v")
    with use_style():
        figure, ax = _rows(list(rows), legend=-(-(len(names[0]) + 1) // 2))
        for place, (predictions, measured) in enumerate(rows.values()):
            values = list(predictions.values())
            ax.plot(
                [min(values), max(values)], [place, place], color=PALETTE["kronecker"], marker="",
                lw=2.2, alpha=0.45,
            )  # fmt: skip
            for mark, (name, value) in zip(marks, predictions.items(), strict=False):
                ax.plot(
                    value, place, mark, color=PALETTE["kronecker"], mfc="none", mew=1.4, ms=6,
                    label=name if place == 0 else None, zorder=3,
                )  # fmt: skip
            if measured is not None:
                ax.plot(measured, place, "X", color=PALETTE["accent"], ms=7, zorder=4)
        ax.axvline(1, color=INK, lw=1, ls="--", alpha=0.75)
        _plain_log(ax, min(1.0, *numbers), max(numbers))
        ax.set_xlabel("times as fast as the dense network")
        ax.plot([], [], "X", color=PALETTE["accent"], ms=7, label="measured by the papers")
        figure.legend(loc="outside lower left", ncols=2, columnspacing=1.2, handletextpad=0.3)
    words = ". ".join(
        f"{name}: "
        + ", ".join(f"{which} {value:.2g}" for which, value in predictions.items())
        + ("" if measured is None else f"; measured {measured:.3g}")
        for name, (predictions, measured) in rows.items()
    )
    return Picture(figure, "Predicted and measured speed-ups", f"{words}.")


def _rows(names: Sequence[str], legend: int) -> tuple[Figure, Axes]:
    """Return a figure with one row a name, the first on top, and room for the legend's lines."""
    figure = Figure(figsize=(WIDTH, 0.75 + _ROW * len(names) + 0.19 * legend))
    ax = figure.subplots()
    ax.set_xscale("log")
    name_rows(ax, names, over=0.55, under=0.55)
    return figure, ax


def _mark(ax: Axes, key: str, x: float, y: float) -> None:
    ax.plot(x, y, MARKERS[key], color=PALETTE[key], ms=6, zorder=3)


def _plain_log(ax: Axes, low: float, high: float) -> None:
    """Give the logarithmic x axis plain numbers: 1, 2, 5, 10, ..."""
    ax.set_xlim(low / 1.25, high * 1.25)
    plain_numbers(ax.xaxis)


def _legend(figure: Figure, ax: Axes, keys: Sequence[str]) -> None:
    for key in dict.fromkeys(keys):
        ax.plot([], [], MARKERS[key], color=PALETTE[key], ms=6, label=LABELS[key])
    figure.legend(loc="outside lower left", ncols=2, columnspacing=1.2, handletextpad=0.3)
