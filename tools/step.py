"""Run one command as a named, timed step, and say what to do when it fails.

Standard library only, for it runs before anything is installed:

    python3 tools/step.py "Check the code's style" --hint "run make format" -- ruff check
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import time
from pathlib import Path


class StepError(RuntimeError):
    """A step failed; the message says which, how, and what to do."""


def run_step(
    title: str,
    command: list[str],
    *,
    hint: str = "",
    log: Path | None = None,
    env: dict[str, str] | None = None,
) -> None:
    """Run `command` under a heading and print how long it took.

    Parameters
    ----------
    title : str
        What the step does, in the imperative.
    command : list of str
        The program and its arguments.
    hint : str, optional
        What to do when it fails.
    log : Path, optional
        Collect the output here and show only its end, and that only on failure.
    env : dict, optional
        The environment of the command; by default this process's.

    Raises
    ------
    StepError
        If the command cannot be started or does not exit with 0.
    """
    print(f"==> {title}", flush=True)
    started = time.monotonic()
    try:
        if log is None:
            code = subprocess.run(command, env=env, check=False).returncode
        else:
            log.parent.mkdir(parents=True, exist_ok=True)
            with log.open("w", encoding="utf-8") as stream:
                stream.write(shlex.join(command) + "\n")
                stream.flush()
                code = subprocess.run(
                    command, env=env, check=False, stdout=stream, stderr=subprocess.STDOUT
                ).returncode
    except OSError as error:
        raise StepError(f"{title}: cannot run {command[0]}: {error.strerror}\n{hint}") from error
    seconds = time.monotonic() - started
    if code:
        raise StepError(_failure(title, command, code, seconds, hint, log))
    print(f"    done in {seconds:.1f} s", flush=True)


def _failure(
    title: str, command: list[str], code: int, seconds: float, hint: str, log: Path | None
) -> str:
    lines = []
    if log is not None:
        tail = log.read_text(encoding="utf-8", errors="replace").splitlines()[-30:]
        lines += [*(f"    | {line}" for line in tail), f"    whole output: {log}"]
    lines.append(f"*** {title}: failed after {seconds:.1f} s (exit status {code})")
    lines.append(f"    command: {shlex.join(command)}")
    if hint:
        lines.append(f"    what to do: {hint}")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Run the step that the command line describes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("title")
    parser.add_argument("--hint", default="")
    parser.add_argument("command", nargs="+", metavar="-- command")
    options = parser.parse_args(arguments)
    try:
        run_step(options.title, options.command, hint=options.hint)
    except StepError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
