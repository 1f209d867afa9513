"""Tables of what is known of Arm: measured on boards, counted in emulators, modelled.

Each says in its caption which of the three it is. Nothing is timed here: boards' records, and those
of ``kplib bench arm`` and ``kplib bench devices`` are read.
"""

from collections.abc import Sequence

from kplib.bench.arm.results import ArmRecord, CountedCase
from kplib.bench.arm.roofline import Core
from kplib.bench.board.results import BoardRun
from kplib.bench.devices.devices import DEVICES
from kplib.bench.devices.results import DeviceRow
from kplib.bench.network import BENCHMARK_NAMES
from kplib.experiments import papers
from kplib.experiments.benchmarks import benchmark as named_benchmark
from kplib.experiments.comparison_table import LABELS
from kplib.experiments.grouped_table import GroupedTable, Row
from kplib.experiments.printed import PaperResult

__all__ = [
    "board_table",
    "calibration_table",
    "cores_table",
    "counts_table",
    "label_in_words",
    "memory_table",
    "predictions_table",
    "work_table",
]

NOT_YET = "not yet measured"
_SHORT = {"cortex-m3": "M3", "cortex-m4f": "M4F", "cortex-m55": "M55", "arduino-uno": "Uno"}


def label_in_words(label: str) -> str:
    """Return a network's label as a reader takes it.

    Examples
    --------
    >>> label_in_words("kp, 2 layers"), label_in_words("hkp 10x"), label_in_words("lmf")
    ('Kronecker, 2 layers', 'hybrid 10×', 'low rank')
    """
    technique, comma, layers = label.partition(", ")
    name, _, size = technique.partition(" ")
    word = "dense" if name == "baseline" else LABELS[name]
    return f"{word} {size.replace('x', '×')}".strip() + comma + layers


# Measured -----------------------------------------------------------------------------------------


def board_table(run: BoardRun | None = None) -> GroupedTable:
    """Return times of one inference: the papers' on a HiKey 960, and this library's on a board.

    Parameters
    ----------
    run : BoardRun, optional
        From :func:`kplib.bench.board.results.boards`; without one the column says that nothing has
        been measured yet.

    Returns
    -------
    GroupedTable

    Examples
    --------
    >>> "not yet measured" in str(board_table())
    True
    """
    rows = []
    for name in BENCHMARK_NAMES:
        rows.append(_heading(name, columns=2))
        for row in _printed(name):
            label = _label(row)
            ours = NOT_YET
            if run is not None:
                ours = _milliseconds(run.nanoseconds("network", name, label))
            rows.append(_line(label, f"{row.milliseconds:g}", ours))
    where = "no board yet" if run is None else f"{run.model}, {run.core}"
    if run is not None and run.label:
        where += f" ({run.label})"
    return GroupedTable(
        caption=f"ms per inference, batch 1: the papers on a HiKey 960 (A73), kplib on {where}",
        heads=("Network", "Papers", "kplib"),
        rows=tuple(rows),
        evidence="measured",
    )


def _printed(benchmark: str) -> list[PaperResult]:
    """Return the papers' networks that have a counterpart: baseline, maximum, hybrid at 10 x."""
    return [
        row
        for row in papers.results(benchmark)
        if row.compression in ("none", "maximum")
        or (row.technique, row.compression) == ("hkp", "10x")
    ]


def _label(row: PaperResult) -> str:
    """Return the label by which kplib's benchmarks know a network of the papers."""
    name = "hkp 10x" if row.technique == "hkp" else row.technique
    return f"{name}, {row.layers} layers" if row.layers > 1 else name


def _milliseconds(nanoseconds: float | None) -> str:
    return "–" if nanoseconds is None else f"{nanoseconds / 1e6:.3g}"


def _heading(benchmark: str, columns: int) -> Row:
    """Return the row that names a benchmark, above those of its networks."""
    return Row(name=named_benchmark(benchmark).title, cells=(("",),) * columns)


def _line(label: str, *cells: str) -> Row:
    """Return the row of one network below its benchmark's."""
    return Row(name="", details=(label_in_words(label),), cells=tuple((cell,) for cell in cells))


# Counted ------------------------------------------------------------------------------------------


def counts_table(record: ArmRecord, *, network: bool = True) -> GroupedTable:
    """Return the instructions of every network, or of every gate's product.

    Parameters
    ----------
    record : ArmRecord
        From :func:`kplib.bench.arm.results.latest`.
    network : bool, default True
        Whole networks over their sequences, or one gate's products.

    Returns
    -------
    GroupedTable
        Instructions of one call, multiply-adds among them (fmla and fmadd), and how many times
        fewer instructions than the dense one of as many layers.
    """
    rows = []
    for name in BENCHMARK_NAMES:
        rows.append(_heading(name, columns=3))
        cases = record.of(name, network=network)
        rows += [
            _line(label, f"{case.instructions:,}", f"{case.multiply_adds:,}", _saving(case, cases))
            for label, case in cases.items()
        ]
    what = "whole networks, one sequence" if network else "the products of one gate, one step"
    return GroupedTable(
        caption=f"aarch64 instructions of one call, {what}; {record.versions['compiler']}",
        heads=("Network" if network else "Gate", "All", "Fused", "Saves"),
        rows=tuple(rows),
        evidence="counted",
    )


def _saving(case: CountedCase, cases: dict[str, CountedCase]) -> str:
    """Return how many times fewer instructions than the papers' baseline, which has one layer."""
    if case.label == "baseline":
        return "–"
    return f"{cases['baseline'].instructions / case.instructions:.1f}×"


def memory_table(rows: Sequence[DeviceRow], device: str) -> GroupedTable:
    """Return what every network takes of one device's flash and RAM.

    Parameters
    ----------
    rows : sequence of DeviceRow
        From :func:`kplib.bench.devices.results.load`.
    device : str
        A key of `kplib.bench.devices.devices.DEVICES`.

    Returns
    -------
    GroupedTable
        Bytes of the whole program: code, constants, and RAM with the stack; or by how much it is
        too large.

    Raises
    ------
    ValueError
        If the record has no such device.
    """
    here = [row for row in rows if row.device == device]
    if not here:
        raise ValueError(f"no row is of a {device!r}; there are {sorted({r.device for r in rows})}")
    lines = []
    for name in dict.fromkeys(row.benchmark for row in here):
        lines.append(_heading(name, columns=3))
        lines += [_memory_line(row) for row in here if row.benchmark == name]
    limits = DEVICES[device]
    return GroupedTable(
        caption=f"Bytes of {limits.flash_bytes:,} flash and {limits.ram_bytes:,} RAM, "
        f"{limits.title}",
        heads=("Network", "Flash", "RAM", "Fits"),
        rows=tuple(lines),
        evidence="counted",
    )


def _memory_line(row: DeviceRow) -> Row:
    def cell(memory: str, taken: int | None) -> str:
        over = row.excess_bytes.get(memory)
        if over is not None:
            return f"{over:,} over"
        return "–" if taken is None else f"{taken:,}"

    flash, ram = cell("flash", row.flash_bytes), cell("RAM", row.ram_bytes)
    name = f"{label_in_words(row.technique)}, {row.weights}"
    return Row(name="", details=(name,), cells=((flash,), (ram,), ("yes" if row.fits else "no",)))


def work_table(rows: Sequence[DeviceRow], weights: str = "int8") -> GroupedTable:
    """Return the work of one inference on every device, in thousands.

    Parameters
    ----------
    rows : sequence of DeviceRow
        From :func:`kplib.bench.devices.results.load`.
    weights : {"int8", "float32"}
        The form.

    Returns
    -------
    GroupedTable
        Instructions on a Cortex-M, cycles on an Arduino Uno.
    """
    here = [row for row in rows if row.weights == weights]
    counts = {(row.benchmark, row.technique, row.device): row.counts for row in here}

    def cell(benchmark: str, technique: str, device: str) -> str:
        count = counts.get((benchmark, technique, device))
        return "–" if count is None else f"{count / 1000:,.0f}"

    lines = []
    for name in dict.fromkeys(row.benchmark for row in here):
        lines.append(_heading(name, columns=len(_SHORT)))
        for technique in dict.fromkeys(row.technique for row in here if row.benchmark == name):
            lines.append(_line(technique, *(cell(name, technique, device) for device in _SHORT)))
    return GroupedTable(
        caption=f"Thousands of instructions (Cortex-M) or cycles (Uno) of an inference, {weights}",
        heads=("Network", *_SHORT.values()),
        rows=tuple(lines),
        evidence="counted",
    )


# Modelled -----------------------------------------------------------------------------------------


def calibration_table(record: ArmRecord) -> GroupedTable:
    """Return what LLVM's model says of runs that were timed on a Cortex-A73, and what was timed."""
    return GroupedTable(
        caption=f"{record.versions['model']}, against runs timed on a Cortex-A73: cycles each",
        heads=("Run", "Model", "Timed", "Ratio"),
        rows=tuple(
            Row(
                name=each.name,
                cells=((f"{each.modelled:g}",), (f"{each.measured:g}",), (f"{each.ratio:.2f}",)),
            )
            for each in record.calibration
        ),
        evidence="modelled",
    )


def cores_table(cores: Sequence[Core]) -> GroupedTable:
    """Return the peaks of cores, from published logs; one without a log is derived."""
    return GroupedTable(
        caption="float32 peaks of one core, timed by others; the HiKey's is derived from its clock",
        heads=("Core", "GHz", "Flop a cycle", "GFLOP/s"),
        rows=tuple(
            Row(
                name=core.name,
                details=(core.board,),
                cells=(
                    (f"{core.clock_ghz:.2f}",),
                    (f"{core.flops_per_cycle}",),
                    (f"{core.gflops or core.peak_gflops:.1f}",),
                ),
            )
            for core in cores
        ),
        evidence="measured",
    )


def predictions_table(record: ArmRecord) -> GroupedTable:
    """Return how many times as fast as the dense network a Kronecker one would be, as ranges."""
    rows = []
    for each in record.predictions:
        measured = each.measured_by_papers
        low, high = sorted(each.by_model)
        rows.append(
            Row(
                name=named_benchmark(each.benchmark).title,
                details=("2 layers",) if each.layers > 1 else (),
                cells=(
                    (f"{each.by_fmla:.1f}",),
                    (f"{each.by_instructions:.1f}",),
                    (f"{low:.1f}–{high:.1f}",),
                    ("–" if measured is None else f"{measured:.2f}",),
                ),
            )
        )
    return GroupedTable(
        caption="Kronecker against dense, times as fast, as predicted; last, what the papers timed",
        heads=("Network", "Fused", "All", "Model", "Papers"),
        rows=tuple(rows),
        evidence="modelled",
    )
