"""What the documentation says of cppyy's own flags, tried in fresh processes."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("cppyy")

CODE = """
import cppyy
cppyy.cppdef('''int macros() {
  int found = 0;
#ifdef __OPTIMIZE__
  found += 1;
#endif
#ifdef __AVX2__
  found += 2;
#endif
#ifdef __AVX512F__
  found += 4;
#endif
  return found;
}''')
print(cppyy.gbl.macros())
"""


def macros(flags: str | None) -> str:
    """Which of the macros Cling's code sees."""
    environment = {k: v for k, v in os.environ.items() if k != "EXTRA_CLING_ARGS"}
    if flags is not None:
        environment["EXTRA_CLING_ARGS"] = flags
    done = subprocess.run(
        [sys.executable, "-c", CODE], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.mark.parametrize("flags", ["-O0", "-O2 -march=x86-64"])
def test_extra_cling_args_changes_neither_extensions_nor_optimization(flags):
    """When this fails, cppyy has mended it: then say so in `kplib.kernels`."""
    assert macros(flags) == macros(None)
