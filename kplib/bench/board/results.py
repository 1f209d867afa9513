"""The boards that have been measured: what the appendix reads."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kplib.bench.board.validation import submission_problems

FOLDER = Path("book/results/boards")


@dataclass(frozen=True)
class BoardRun:
    """One record that stands among the book's boards.

    Attributes
    ----------
    name : str
        The file's, without its ending.
    kind : str
        ``board``, or ``server``: a server's core, in a virtual machine or not.
    label : str
        Of a server's.
    model, core : str
        The machine, and the core that it ran on.
    record : dict
        All of it.
    """

    name: str
    kind: str
    label: str
    model: str
    core: str
    record: dict[str, Any] = field(repr=False)

    def nanoseconds(self, kind: str, benchmark: str, name: str) -> float | None:
        """Return the median time of one call of a work; None if it was left out.

        Parameters
        ----------
        kind : {"kernel", "network"}
        benchmark, name : str
            Such as ``"kws-lstm"`` and ``"kp"``.
        """
        for work in self.record["works"]:
            if (work["kind"], work["benchmark"], work["name"]) == (kind, benchmark, name):
                return work["nanoseconds"]["median"]
        return None


def load(path: Path | str) -> BoardRun:
    """Return one record, checked as strictly as ``kplib board --submit-check`` does.

    Raises
    ------
    ValueError
        With everything that is wrong with it.
    """
    path = Path(path)
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path.name} is no JSON: {error}") from None
    if found := submission_problems(record):
        raise ValueError("\n  - ".join([f"{path.name} cannot be published:", *found]))
    machine = record["machine"]
    core = next(core["core"] for core in machine["cores"] if core["cpu"] == machine["cpu"])
    model = machine["model"] or "unnamed"
    return BoardRun(path.stem, record["kind"], record["label"], model, core, record)


def boards(folder: Path | str = FOLDER) -> list[BoardRun]:
    """Return the records in a folder, boards before servers; none if there are none yet.

    Parameters
    ----------
    folder : Path or str
        It need not exist.

    Raises
    ------
    ValueError
        If a record in it is not fit to be published.

    Examples
    --------
    >>> boards(Path("no", "such", "folder"))
    []
    """
    runs = (load(path) for path in sorted(Path(folder).glob("*.json")))
    return sorted(runs, key=lambda run: (run.kind, run.name))
