"""Which loader runs, what happens without one, and how C++ errors arrive."""

import subprocess
import sys
import warnings

import numpy as np
import pytest

import kplib
from kplib.kernels import KernelFallbackWarning, loaders
from kplib.kernels.loaders import base, compiler_loader, cppyy_loader
from kplib.kernels.program import Program


@pytest.fixture
def without_cppyy(monkeypatch):
    monkeypatch.delenv("KPLIB_LOADER", raising=False)
    monkeypatch.setattr(cppyy_loader, "missing", lambda: "cppyy is not installed")
    monkeypatch.setattr(loaders, "_told", set())


def test_all_three_are_here():
    assert kplib.kernels.available() == {"cppyy": "", "compiler": "", "numpy": ""}


def test_without_cppyy_the_compiler_takes_over_and_says_so_once(without_cppyy):
    with pytest.warns(KernelFallbackWarning, match="'compiler': cppyy is not installed"):
        op = kplib.compile_dense(np.eye(3))
    assert op.loader == "compiler"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kplib.compile_dense(np.eye(3))
    assert kplib.kernels.available()["cppyy"] == "cppyy is not installed"


def test_without_a_compiler_numpy_takes_over(without_cppyy, monkeypatch):
    monkeypatch.setattr(compiler_loader, "compiler", list)
    with pytest.warns(KernelFallbackWarning, match="'numpy'.*not installed; no C.. compiler"):
        op = kplib.compile_kron(np.ones((2, 3)), np.ones((4, 5)))
    assert op.loader == "numpy"
    np.testing.assert_array_equal(op(np.ones(15)), np.full(8, 15.0))
    assert op.function_address is None


def test_a_loader_can_be_asked_for(monkeypatch):
    monkeypatch.setenv("KPLIB_LOADER", "numpy")
    assert kplib.compile_dense(np.eye(2)).loader == "numpy"
    assert kplib.compile_dense(np.eye(2), loader="cppyy").loader == "cppyy"
    with pytest.raises(
        ValueError, match=r"'numba', but must be one of \['cppyy', 'compiler', 'numpy'\]"
    ):
        kplib.compile_dense(np.eye(2), loader="numba")
    monkeypatch.setattr(cppyy_loader, "missing", lambda: "it is gone")
    with pytest.raises(ValueError, match="'cppyy' cannot be used here: it is gone"):
        kplib.compile_dense(np.eye(2), loader="cppyy")


def test_the_compiler_and_its_flags_can_be_chosen(monkeypatch):
    monkeypatch.setenv("KPLIB_CXX", "g++")
    monkeypatch.setenv("KPLIB_CXXFLAGS", "-O1 -ffp-contract=off")
    op = kplib.compile_dense(np.ones((6, 11)), loader="compiler")
    assert op.flags == "-O1 -ffp-contract=off"
    np.testing.assert_array_equal(op(np.ones(11)), np.full(6, 11.0))
    monkeypatch.setenv("KPLIB_CXXFLAGS", "-O1 -fno-such-flag")
    with pytest.raises(RuntimeError, match="no-such-flag"):
        kplib.compile_dense(np.ones((6, 11)), loader="compiler")


def test_a_compiler_that_is_asked_for_is_used_or_named(monkeypatch):
    monkeypatch.setenv("KPLIB_CXX", "no-such-compiler -x")
    reason = "KPLIB_CXX is 'no-such-compiler -x', which is not on PATH"
    assert kplib.kernels.available()["compiler"] == reason
    with pytest.raises(ValueError, match="which is not on PATH"):
        kplib.compile_dense(np.eye(2), loader="compiler")
    monkeypatch.setenv("KPLIB_CXX", "false")
    assert kplib.kernels.available()["compiler"].startswith("false does not compile C++17")
    monkeypatch.setenv("KPLIB_CXX", "env g++")
    assert kplib.compile_dense(np.eye(2), loader="compiler")(np.ones(2)).tolist() == [1.0, 1.0]
    monkeypatch.delenv("KPLIB_CXX")
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert kplib.kernels.available()["compiler"] == ""


def test_the_warning_points_at_the_users_line(without_cppyy):
    with pytest.warns(KernelFallbackWarning) as caught:
        kplib.compile_dense(np.eye(3))
    assert caught[0].filename == __file__


def test_fast_math_is_overruled(monkeypatch):
    torch = pytest.importorskip("torch")
    from kplib.nn import LSTM, Classifier

    monkeypatch.setenv("KPLIB_CXXFLAGS", "-O3 -march=native -ffast-math")
    torch.manual_seed(0)
    model = Classifier(LSTM(6, 10), torch.nn.Linear(10, 3))
    x = torch.randn(9, 6)
    with torch.inference_mode():
        expected = model(x).numpy()
    np.testing.assert_allclose(
        kplib.compile(model, loader="compiler")(x.numpy()), expected, atol=1e-6
    )


def test_a_second_import_of_the_loader_finds_what_cling_has():
    code = (
        "import importlib, numpy as np, kplib\n"
        "from kplib.kernels.loaders import cppyy_loader\n"
        "kplib.compile_dense(np.eye(3), loader='cppyy')\n"
        "importlib.reload(cppyy_loader)\n"
        "from kplib.kernels import loaders\n"
        "loaders._LOADERS['cppyy'] = cppyy_loader\n"
        "print(kplib.compile_dense(2 * np.eye(3), loader='cppyy')(np.ones(3)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "[2. 2. 2.]\n", done.stderr


def test_flags_are_those_that_cling_was_started_with(monkeypatch):
    before = kplib.compile_dense(np.eye(2), loader="cppyy").flags
    monkeypatch.setenv("EXTRA_CLING_ARGS", "-O0")
    assert kplib.compile_dense(np.eye(2), loader="cppyy").flags == before


def test_import_in_a_process_without_cppyy_or_torch():
    code = (
        "import sys; sys.modules['cppyy'] = None; sys.modules['torch'] = None\n"
        "import importlib.util as u; find = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name in ('cppyy', 'torch') else find(name, *a)\n"
        "import numpy as np, kplib, warnings\n"
        "warnings.simplefilter('ignore')\n"
        "print(kplib.compile_dense(np.eye(3)).loader)\n"
        "try: kplib.compile\n"
        "except ImportError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "compiler",
        "torch is not installed; it comes with the extra 'nn': pip install 'kplib[nn]'",
    ]


THROWING = """#pragma once
#include <new>
#include <stdexcept>
namespace kplib {
template <class T> struct Throwing {
    static constexpr int rows = 1, columns = 2;
    static constexpr long packed = 1;
    static void pack(const T* const* parts, T* w) { *w = *parts[0]; }
    static void run(const T* w, const T* x, T* y) {
        if (x[1] == 1) throw std::runtime_error("the kernel does not like 1");
        if (x[1] == 2) throw std::bad_alloc();
        *y = *w + *x;
    }
};
}
"""


@pytest.fixture
def throwing_program(tmp_path, monkeypatch):
    """A program whose second value of x says what it throws."""
    (tmp_path / "throwing.hpp").write_text(THROWING)
    if not cppyy_loader.missing():
        cppyy_loader._cppyy().add_include_path(str(tmp_path))
    monkeypatch.setenv("KPLIB_CXXFLAGS", f"-O1 -I{tmp_path}")
    return Program("kplib::Throwing<double>", "throwing.hpp", np.dtype(float), (2,), (1,), ((1,),),
                   1, lambda w, x: w[0] + x[:1])  # fmt: skip


@pytest.mark.parametrize("loader", [cppyy_loader, compiler_loader], ids=lambda loader: loader.name)
@pytest.mark.parametrize("bound", [True, False])
def test_a_cpp_exception_is_a_python_exception(throwing_program, loader, bound):
    kernel = loader.implement(throwing_program, (np.array([5.0]),))
    x, y = np.array([1.0, 0.0]), np.zeros(1)
    call = kernel.bind(x, y, 1) if bound else lambda: kernel.call(x, y, 1)
    for _ in range(3):
        x[1] = 0
        call()
        assert y[0] == 6.0
        x[1] = 1
        with pytest.raises(RuntimeError, match="the kernel does not like 1"):
            call()
        x[1] = 2
        with pytest.raises(MemoryError):
            call()


def test_the_array_call_checks_sizes_in_cpp_too():
    op = kplib.compile_dense(np.ones((3, 4)))
    raw = op._implementation._run
    good_x, good_y = np.ones(4), np.ones(3)
    raw(good_x, good_y)
    read_only = good_y.copy()
    read_only.flags.writeable = False
    for x, y in [
        (np.ones(3), good_y),
        (good_x, np.ones(4)),
        (np.ones(8), good_y),
        (np.ones(0), good_y),
        (good_x, np.ones(0)),
        (np.ones(8)[::2], good_y),
        (good_x, read_only),
    ]:
        with pytest.raises((ValueError, BufferError)):
            raw(x, y)
    with pytest.raises(TypeError):
        raw(good_x)
    with pytest.raises(TypeError):
        raw(1, good_y)


def test_bad_cpp_is_an_error_and_the_process_goes_on():
    program = Program("kplib::NoSuchType<double>", "kplib/matvec.hpp", np.dtype(float), (1,), (1,),
                      ((1,),), 1, lambda w, x: x)  # fmt: skip
    for loader, error in ((cppyy_loader, SyntaxError), (compiler_loader, RuntimeError)):
        with pytest.raises(error):
            loader.implement(program, (np.ones(1),))
    np.testing.assert_array_equal(kplib.compile_dense(np.eye(3))(np.ones(3)), np.ones(3))


def test_without_python_headers_cppyy_calls_through_ctypes(monkeypatch):
    monkeypatch.setattr(cppyy_loader, "_call_makers", lambda: None)
    op = kplib.compile_dense(np.ones((2, 3)))
    assert type(op._implementation) is base.CompiledImplementation
    y = np.zeros(2)
    op.bind(np.ones(3), y)()
    np.testing.assert_array_equal(y, op(np.ones(3)))
