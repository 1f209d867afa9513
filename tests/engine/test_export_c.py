"""The exported C computes what the PyTorch model computes, under every compiler that it promises.

The compilers are system packages that `make test` installs: one that is missing is a failure.
"""

import copy
import ctypes
import itertools
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

import kplib
from kplib import cli
from kplib.engine.c_tables import float_literal
from kplib.engine.export import export_c
from kplib.engine.stored import store
from kplib.errors import DtypeError, ShapeError
from kplib.nn import (
    GRU,
    LSTM,
    RNN,
    Classifier,
    Dense,
    FastRNN,
    Hybrid,
    Kronecker,
    KroneckerChain,
    LowRank,
    Sparse,
    prune,
)
from kplib.nn.quantized import quantize
from kplib.shapes import divisors

WARNINGS = ["-std=c99", "-Wall", "-Wextra", "-Wconversion", "-pedantic", "-Werror"]
NEAR = 1e-5  # of the largest logit: float32 against float64
WEIGHTS = ["float32", "int8"]

# name -> compiler, flags
COMPILERS = {
    "gcc": ("gcc", ["-O2"]),
    "gcc, double promotion": ("gcc", ["-O0", "-Wdouble-promotion", "-Wshadow"]),
    "clang": ("clang", ["-O2"]),
    "g++": ("g++", ["-x", "c++", "-std=c++17"]),
    "Cortex-M0": ("arm-none-eabi-gcc", ["-Os", "-mcpu=cortex-m0", "-mthumb"]),
    "Cortex-M4F": (
        "arm-none-eabi-gcc",
        ["-O2", "-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"],
    ),
    "Arduino Uno": ("avr-gcc", ["-Os", "-mmcu=atmega328p"]),
}

CELLS = {
    "rnn-tanh": lambda *a, **o: RNN(*a, **o),
    "rnn-relu": lambda *a, **o: RNN(*a, nonlinearity="relu", **o),
    "lstm": LSTM,
    "gru-after": lambda *a, **o: GRU(*a, reset_after=True, **o),
    "gru-before": lambda *a, **o: GRU(*a, reset_after=False, **o),
    "fastrnn": FastRNN,
}

STRUCTURES = {
    "dense": Dense(),
    "kronecker": Kronecker(),
    "kronecker-sum": Kronecker(terms=2),
    "kronecker-stacked": Kronecker(stacked=True),
    "kronecker-stacked-sum": Kronecker(stacked=True, terms=2),
    "hybrid": Hybrid(4),
    "hybrid-without-rows": Hybrid(0),
    "low-rank": LowRank(3),
    "low-rank-gates": LowRank(3, stacked=False),
    "sparse": Sparse(0.3),
    "sparse-nothing": Sparse(0.0001),
    "chain-1": KroneckerChain(1),
    "chain-2": KroneckerChain(2),
    "chain-3": KroneckerChain([2, 3, 2], input=LowRank(2)),
    "chain-rectangles": KroneckerChain([(3, 2), (1, 3), (4, 2)], input=Kronecker()),
}

DEPTHS = [(1, False), (2, False), (1, True), (2, True), (3, True)]


def find(program: str) -> str:
    """Path of a compiler; newer clangs are on PATH with their number only."""
    names = [program, *(f"{program}-{number}" for number in range(14, 25))]
    path = next((found for name in names if (found := shutil.which(name))), None)
    assert path, (
        f"{program} is missing: `python3 tools/prerequisites.py --install test` installs it"
    )
    return path


def call(*command: object) -> str:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def randomize(model, seed=0):
    """Parameters far from 0, so that every part matters, and a state that does not explode."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.numel():
                noise = torch.randn(parameter.shape, generator=generator)
                fan_in = parameter.shape[-1] if parameter.ndim > 1 and "bias" not in name else 4
                parameter.copy_(noise * fan_in**-0.5)
    for module in model.modules():
        if isinstance(module, kplib.nn.structures.SparseWeight):
            module.prune_to()
    return model.eval()


def network(cell, structure, layers, bidirectional, *, inputs=4, hidden=12, classes=3, bias="one"):
    rnn = CELLS[cell](
        inputs,
        hidden,
        num_layers=layers,
        bidirectional=bidirectional,
        bias=bias,
        weight=structure,
    )
    return randomize(Classifier(rnn, torch.nn.Linear((1 + bidirectional) * hidden, classes)))


class Library:
    """A compiled network, called through ctypes."""

    def __init__(self, path, exported, model):
        self.name = exported.name
        self.library = ctypes.CDLL(str(path))
        self.exported = exported
        self.model = model
        self.classes = model.head.out_features

    def function(self, name):
        return getattr(self.library, f"{self.name}_{name}")

    def run(self, x):
        x = np.ascontiguousarray(x, np.float32)
        logits = np.full(self.classes, 7, np.float32)
        pointer = np.ctypeslib.ndpointer(np.float32)
        self.function("run").argtypes = [pointer, ctypes.c_int, pointer]
        self.function("run").restype = None
        self.function("run")(x, len(x), logits)
        return logits

    def stream(self, x):
        """Logits after each step."""
        state = ctypes.create_string_buffer(self.exported.state_bytes)
        self.function("reset")(state)
        rows = []
        for x_t in np.ascontiguousarray(x, np.float32):
            self.function("step")(state, x_t.ctypes.data_as(ctypes.c_void_p))
            logits = np.empty(self.classes, np.float32)
            self.function("logits")(state, logits.ctypes.data_as(ctypes.c_void_p))
            rows.append(logits)
        return np.array(rows)


def exact(exported_as, model, x):
    """Logits in float64 of what was exported."""
    model = quantize(model, 8, head=True).model if exported_as == "int8" else model
    with torch.inference_mode():
        x = torch.from_numpy(np.asarray(x)).double()
        return copy.deepcopy(model).double()(x).numpy()


def build(folder, models, flags=("-O1",)):
    """Export all models {name: (model, weights)}, compile them at once, load them."""
    exports = {
        name: export_c(model, folder / name, weights=weights)
        for name, (model, weights) in models.items()
    }
    sources = [exported.source for exported in exports.values()]
    tests = [f"-D{name.upper()}_SELF_TEST" for name in models]
    library = folder / "networks.so"
    call(find("gcc"), *WARNINGS, *flags, *tests, "-shared", "-fPIC", *sources, "-o", library, "-lm")
    return {name: Library(library, exported, models[name][0]) for name, exported in exports.items()}


def assert_near(found, expected):
    largest = np.abs(expected).max()
    assert np.abs(found - expected).max() <= NEAR * max(largest, 1e-3), (found, expected)


def combinations(cell, structure):
    """All depths and directions; biases and forms of the weights take turns."""
    turn = [*CELLS].index(cell) + [*STRUCTURES].index(structure)
    biases = itertools.cycle([True, "one", False])
    chosen = [(*DEPTHS[0], WEIGHTS[turn % 2])]  # the other form comes below
    chosen += [(*depth, WEIGHTS[(turn + k) % 2]) for k, depth in enumerate(DEPTHS, 1)]
    models = {}
    for layers, both, weights in chosen:
        model = network(cell, STRUCTURES[structure], layers, both, bias=next(biases))
        models[f"net_{layers}{'bi' if both else 'uni'}_{weights}"] = (model, weights)
    return models


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("cell", CELLS)
def test_every_network_gives_the_logits_of_torch(cell, structure, tmp_path):
    models = combinations(cell, structure)
    assert len(models) == 1 + len(DEPTHS)
    rng = np.random.default_rng(3)
    for name, library in build(tmp_path, models, ["-O0"]).items():
        model, weights = models[name]
        assert library.function("self_test")() == 0
        for steps in (1, 23):
            x = rng.standard_normal((steps, 4)).astype(np.float32)
            expected = exact(weights, model, x)
            assert_near(library.run(x), expected)
            assert_near(library.run(x), expected)  # nothing is left of the call before
            if not model.rnn.bidirectional:
                np.testing.assert_array_equal(library.stream(x)[-1], library.run(x))


def test_a_stream_gives_the_logits_after_every_step(tmp_path):
    model = network("lstm", Kronecker(), 2, False)
    (library,) = build(tmp_path, {"net": (model, "float32")}).values()
    x = np.random.default_rng(4).standard_normal((9, 4)).astype(np.float32)
    for steps, found in enumerate(library.stream(x), 1):
        assert_near(found, exact("float32", model, x[:steps]))


def test_two_streams_at_once(tmp_path):
    model = network("gru-before", Kronecker(), 1, False)
    (library,) = build(tmp_path, {"net": (model, "int8")}).values()
    rng = np.random.default_rng(5)
    x, other = rng.standard_normal((2, 7, 4)).astype(np.float32)
    alone = library.stream(x)[-1]
    states = [ctypes.create_string_buffer(library.exported.state_bytes) for _ in range(2)]
    for state in states:
        library.function("reset")(state)
    for pair in zip(x, other, strict=True):
        for state, x_t in zip(states, pair, strict=True):
            library.function("step")(state, x_t.ctypes.data_as(ctypes.c_void_p))
    logits = np.empty(3, np.float32)
    library.function("logits")(states[0], logits.ctypes.data_as(ctypes.c_void_p))
    np.testing.assert_array_equal(logits, alone)


def papers():
    techniques = {"baseline": None, "small": None, "pruned": None, "lmf": None, "kp": None}
    for benchmark in ("mnist-lstm", "usps-fastrnn", "kws-lstm", "kws-gru", "har1-bilstm"):
        for technique, compression in (techniques | {"hkp": 10}).items():
            for weights in WEIGHTS:
                model = kplib.build(benchmark, technique, compression=compression, seed=1)
                if technique == "pruned":
                    prune(model, 0.1)
                name = f"{benchmark}_{technique}_{weights}".replace("-", "_")
                yield name, (model.eval(), weights)


def test_the_papers_networks(tmp_path):
    models = dict(papers())
    assert len(models) == 5 * 6 * 2
    rng = np.random.default_rng(6)
    libraries = build(tmp_path, models)
    for name, library in libraries.items():
        model, weights = models[name]
        assert library.function("self_test")() == 0, name
        x = rng.standard_normal((40, model.rnn.input_size)).astype(np.float32)
        assert_near(library.run(x), exact(weights, model, x))
    # the devices of the papers' introduction: 2 KB of RAM, 32 KB of flash
    for name in ("usps_fastrnn_kp_int8", "mnist_lstm_kp_float32", "mnist_lstm_kp_int8"):
        exported = libraries[name].exported
        assert exported.weight_bytes < 5 * 1024
        assert exported.state_bytes < 1024
    assert libraries["mnist_lstm_baseline_float32"].exported.weight_bytes > 32 * 1024
    # float32 stores the parameters, and nothing else
    kws = libraries["kws_lstm_kp_float32"]
    assert kws.exported.weight_bytes == 4 * kplib.nn.parameter_count(kws.model)


@st.composite
def architectures(draw):
    """A random network: rectangular factors of any order, primes and ones among the sizes."""
    size = st.integers(1, 9)
    cell = draw(st.sampled_from(sorted(CELLS)))
    inputs, hidden = draw(size), draw(size)
    columns = inputs + hidden
    kind = draw(st.sampled_from(["dense", "kronecker", "hybrid", "low-rank", "sparse", "chain"]))
    if kind == "dense":
        structure = Dense()
    elif kind == "kronecker":
        m1, n1 = (draw(st.sampled_from(divisors(k))) for k in (hidden, columns))
        structure = Kronecker((m1, n1, hidden // m1, columns // n1))
    elif kind == "hybrid":
        rows = draw(st.integers(0, hidden - 1))
        m1 = draw(st.sampled_from(divisors(hidden - rows)))
        n1 = draw(st.sampled_from(divisors(columns)))
        structure = Hybrid(rows, (m1, n1, (hidden - rows) // m1, columns // n1))
    elif kind == "low-rank":
        structure = LowRank(draw(st.integers(1, hidden)), stacked=draw(st.booleans()))
    elif kind == "sparse":
        structure = Sparse(draw(st.floats(0.01, 1)))
    else:
        P, Q = (draw(st.sampled_from(divisors(hidden))) for _ in range(2))
        structure = KroneckerChain([(P, Q), (1, 1), (hidden // P, hidden // Q)])
    classes, bias = draw(st.integers(1, 4)), draw(st.sampled_from([True, False, "one"]))
    return network(
        cell,
        structure,
        1,
        draw(st.booleans()),
        inputs=inputs,
        hidden=hidden,
        classes=classes,
        bias=bias,
    )


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(models=st.lists(architectures(), min_size=3, max_size=3), steps=st.integers(1, 12))
def test_random_architectures(models, steps, tmp_path_factory):
    folder = tmp_path_factory.mktemp("random")
    named = {
        f"net{k}_{weights}": (model, weights)
        for k, model in enumerate(models)
        for weights in WEIGHTS
    }
    for name, library in build(folder, named, ["-O0"]).items():
        model, weights = named[name]
        x = np.random.default_rng(7).standard_normal((steps, model.rnn.input_size))
        x = x.astype(np.float32)
        assert library.function("self_test")() == 0
        assert_near(library.run(x), exact(weights, model, x))


# compilers and sanitizers


def some_networks():
    """Every function that there is, in as few networks as possible."""
    for cell, structure, (layers, both), weights in [
        ("lstm", "kronecker", (2, False), "float32"),
        ("lstm", "hybrid", (1, True), "int8"),
        ("lstm", "sparse", (3, True), "int8"),
        ("gru-after", "low-rank", (2, False), "int8"),
        ("gru-after", "kronecker-sum", (1, False), "int8"),
        ("gru-after", "dense", (2, True), "float32"),
        ("gru-after", "sparse-nothing", (1, False), "float32"),
        ("gru-before", "kronecker-stacked-sum", (1, False), "int8"),
        ("gru-before", "chain-rectangles", (2, False), "float32"),
        ("gru-before", "sparse", (1, False), "int8"),
        ("rnn-relu", "chain-3", (1, True), "int8"),
        ("rnn-tanh", "chain-1", (1, False), "float32"),
        ("fastrnn", "kronecker", (1, False), "int8"),
    ]:
        name = f"{cell}_{structure}_{layers}{'bi' if both else 'uni'}".replace("-", "_")
        yield name, network(cell, STRUCTURES[structure], layers, both, bias=True), weights


@pytest.mark.parametrize("compiler", COMPILERS)
def test_compiles_without_a_warning(compiler, tmp_path):
    program, flags = COMPILERS[compiler]
    warnings = [w for w in WARNINGS if not (program == "g++" and w == "-std=c99")]
    for name, model, weights in some_networks():
        source = export_c(model, tmp_path / name, weights=weights).source
        command = [*warnings, *flags, f"-D{name.upper()}_SELF_TEST"]
        call(find(program), *command, "-c", source, "-o", tmp_path / f"{name}.o")


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_under_sanitizers(compiler, tmp_path):
    """Any number of steps, none and fewer than none among them."""
    lines, calls, sources = ["#include <stdlib.h>"], [], []
    for name, model, weights in some_networks():
        exported = export_c(model, tmp_path / name, weights=weights)
        sources.append(exported.source)
        lines.append(f'#define {name.upper()}_SELF_TEST\n#include "{name}.h"')
        inputs = model.rnn.input_size
        calls += [
            f"wrong += {name}_self_test();",
            f"for (int steps = -1; steps < 120; steps = 2 * steps + 1 + (steps < 0)) "
            f"wrong += call({name}_run, {inputs}, {model.head.out_features}, steps);",
        ]
    main = tmp_path / "main.c"
    lines += [
        "static int call(void (*run)(const float *, int, float *), int inputs, int classes, int n)",
        "{",
        "    size_t count = (size_t)((n < 1 ? 1 : n) * inputs);",
        "    float *x = calloc(count, sizeof *x), *logits = malloc((size_t)classes * sizeof *x);",
        "    for (size_t i = 0; i < count; i++)",
        "        x[i] = (float)(i % 7) - 3.0f;",
        "    run(x, n, logits);",
        "    int wrong = 0;",
        "    for (int j = 0; j < classes; j++)",
        "        wrong += !(logits[j] - logits[j] == 0.0f);",
        "    free(x);",
        "    free(logits);",
        "    return wrong;",
        "}",
        "int main(void)",
        "{",
        "    int wrong = 0;",
        *(f"    {each}" for each in calls),
        "    return wrong;",
        "}",
    ]
    main.write_text("\n".join(lines))
    tests = [f"-D{source.stem.upper()}_SELF_TEST" for source in sources]
    sanitize = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g", "-O1"]
    objects = [tmp_path / f"{source.stem}.o" for source in sources]
    for source, test, target in zip(sources, tests, objects, strict=True):
        call(find(compiler), *WARNINGS, *sanitize, test, "-c", source, "-o", target)
    program = tmp_path / "sanitized"
    call(find(compiler), "-std=c99", *sanitize, main, *objects, "-o", program, "-lm")
    assert call(program) == ""


UNO_MAIN = """
#include "net.h"
#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/sleep.h>

static void send(char letter)
{
    while (!(UCSR0A & (1 << UDRE0)))
        ;
    UDR0 = (uint8_t)letter;
}

int main(void)
{
    UBRR0 = 16;
    UCSR0B = 1 << TXEN0;
    for (const char *text = net_self_test() ? "wrong\\n" : "right\\n"; *text; text++)
        send(*text);
    for (volatile long wait = 0; wait < 10000; wait++) /* until the last letter is out */
        ;
    cli();
    sleep_enable();
    sleep_cpu(); /* with interrupts off it ends the simulation */
}
"""


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("benchmark", ["usps-fastrnn", "mnist-lstm"])
def test_runs_on_an_arduino_uno(benchmark, weights, tmp_path):
    """Linked for its chip, self-test and C library included, and run by a simulator of it."""
    model = kplib.build(benchmark, "kp", seed=0)
    exported = export_c(model, tmp_path / "net", weights=weights)
    (tmp_path / "main.c").write_text(UNO_MAIN)
    flags = ["-Os", "-mmcu=atmega328p", "-ffunction-sections", "-fdata-sections"]
    program = tmp_path / "net.elf"
    call(
        find("avr-gcc"), *WARNINGS, *flags, "-DNET_SELF_TEST", "-Wl,--gc-sections",
        exported.source, tmp_path / "main.c", "-o", program, "-lm",
    )  # fmt: skip
    text, data, bss = map(int, call(find("avr-size"), program).splitlines()[1].split()[:3])
    assert exported.weight_bytes < text + data < 32 * 1024 - 512  # the boot loader's
    # of the constants none is copied to RAM
    assert exported.state_bytes <= data + bss < exported.state_bytes + 64
    assert data + bss < 1024  # half of it
    simulation = [find("simavr"), "-m", "atmega328p", "-f", "16000000", program]
    done = subprocess.run(simulation, capture_output=True, text=True, check=True, timeout=120)
    assert "right" in done.stderr, done  # where it prints what the serial port sends
    assert "wrong" not in done.stderr


# the text


def test_the_same_model_gives_the_same_bytes(tmp_path):
    model = network("gru-after", LowRank(3), 2, True, bias=True)
    texts = []
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        exported = export_c(model, tmp_path / folder / "net", weights="int8")
        texts.append(exported.header.read_bytes() + exported.source.read_bytes())
    assert texts[0] == texts[1]


def test_autocast_does_not_loosen_the_self_test(tmp_path):
    model = network("lstm", Dense(), 1, False)
    usual = export_c(model, tmp_path / "net").tolerance
    with torch.autocast("cpu"):
        assert export_c(model, tmp_path / "net").tolerance == usual


def test_another_process_gives_the_same_bytes(tmp_path):
    script = (
        "import sys, kplib; from kplib.engine.export import export_c; "
        "export_c(kplib.build('kws-gru', 'kp', seed=5), sys.argv[1])"
    )
    texts = []
    for seed in ("1", "2"):
        path = tmp_path / seed / "net"
        path.parent.mkdir()
        environment = os.environ | {"PYTHONHASHSEED": seed}
        subprocess.run([sys.executable, "-c", script, str(path)], check=True, env=environment)
        texts.append(path.with_suffix(".c").read_bytes() + path.with_suffix(".h").read_bytes())
    assert texts[0] == texts[1]


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_literals_are_exact(value):
    literal = float_literal(value)
    assert literal.endswith("f")
    back = float.fromhex(literal[:-1])
    assert np.float32(back).tobytes() == np.float32(value).tobytes()
    assert back == value


def test_the_tables_are_the_parameters(tmp_path):
    model = network("lstm", Kronecker(), 1, False)
    model.rnn.weight.A.data[0, 0, 0] = 1e-42  # a denormal number
    text = export_c(model, tmp_path / "net").source.read_text()
    for name, parameter in (("layer0_A", model.rnn.weight.A), ("head_W", model.head.weight)):
        entries = re.search(rf"{name}\[\d+\] FLASH = {{(.*?)}}", text, re.DOTALL)[1]
        values = [float.fromhex(entry.strip().rstrip("f")) for entry in entries.split(",")]
        np.testing.assert_array_equal(np.float32(values), parameter.detach().numpy().ravel())
    (tmp_path / "net.o").unlink(missing_ok=True)
    call(find("gcc"), *WARNINGS, "-c", tmp_path / "net.c", "-o", tmp_path / "net.o")


@given(st.integers(1, 3), st.integers(1, 7), st.integers(1, 7), st.integers(0, 99))
def test_eight_bits_are_symmetric_and_rounded(gates, rows, columns, seed):
    W = torch.randn(gates, rows, columns, generator=torch.Generator().manual_seed(seed))
    factor = store(W, "int8")
    assert factor.values.dtype == np.int8
    assert (np.abs(factor.values.astype(int)).max((1, 2)) == 127).all()
    scale = factor.scale[:, None, None]
    assert (np.abs(W.numpy() - scale * factor.values) <= scale * 0.5000001).all()


def test_zeros_stay_zeros():
    factor = store(torch.zeros(2, 3, 4), "int8")
    assert not factor.values.any()
    assert factor.scale.tolist() == [1, 1]


def test_eight_bits_are_near_the_model(tmp_path):
    models = {
        name: (kplib.build(benchmark, "kp", seed=2).eval(), "int8")
        for name, benchmark in (("usps", "usps-fastrnn"), ("mnist", "mnist-lstm"))
    }
    for library in build(tmp_path, models).values():
        x = np.random.default_rng(8).standard_normal((28, library.model.rnn.input_size))
        x = x.astype(np.float32)
        expected = exact("float32", library.model, x)
        assert np.abs(library.run(x) - expected).max() < 0.05 * np.abs(expected).max()


def test_the_self_test_notices_a_changed_weight(tmp_path):
    model = network("lstm", Kronecker(), 1, False)
    exported = export_c(model, tmp_path / "net")
    text = exported.source.read_text()
    first = re.search(r"layer0_B\[\d+\] FLASH = {\s*(\S+),", text)[1]
    exported.source.write_text(text.replace(first, "0x1.8p+0f", 1))
    library = tmp_path / "net.so"
    call(find("gcc"), "-DNET_SELF_TEST", "-shared", "-fPIC", exported.source, "-o", library, "-lm")
    assert ctypes.CDLL(str(library)).net_self_test() > 0


def test_the_users_example(tmp_path):
    model = network("lstm", Dense(), 1, False)
    x = np.random.default_rng(9).standard_normal((17, 4)).astype(np.float32)
    source = export_c(model, tmp_path / "net", example=x).source.read_text()
    assert f"test_x[{x.size}]" in source
    entries = re.search(r"test_x\[\d+\] FLASH = {(.*?)}", source, re.DOTALL)[1].split(",")
    values = [float.fromhex(entry.strip().rstrip("f")) for entry in entries]
    np.testing.assert_array_equal(np.float32(values), x.ravel())


def test_too_long_a_sequence_gives_nan(tmp_path):
    model = network("rnn-tanh", Dense(), 2, True)
    x = np.random.default_rng(10).standard_normal((6, 4)).astype(np.float32)
    exported = export_c(model, tmp_path / "net", example=x)
    call(find("gcc"), "-shared", "-fPIC", exported.source, "-o", tmp_path / "net.so", "-lm")
    library = Library(tmp_path / "net.so", exported, model)
    assert_near(library.run(x), exact("float32", model, x))
    assert np.isnan(library.run(np.zeros((7, 4)))).all()
    assert_near(library.run(x), exact("float32", model, x))


@pytest.mark.parametrize("cell", ["rnn-relu", "rnn-tanh", "gru-after"])
def test_nan_stays_nan(cell, tmp_path):
    model = network(cell, Dense(), 1, False)
    library = build(tmp_path, {"net": (model, "float32")})["net"]
    x = np.ones((3, 4), np.float32)
    x[1, 2] = np.nan
    assert np.isnan(library.run(x)).all()


def test_no_steps_give_the_head_of_the_zero_state(tmp_path):
    model = network("gru-after", Kronecker(), 2, False)
    (library,) = build(tmp_path, {"net": (model, "float32")}).values()
    np.testing.assert_array_equal(
        library.run(np.zeros((0, 4), np.float32)), model.head.bias.detach().numpy()
    )


@pytest.mark.parametrize("layer", [torch.nn.LSTM, torch.nn.GRU, torch.nn.RNN])
def test_layers_of_torch(layer, tmp_path):
    torch.manual_seed(0)
    model = Classifier(layer(3, 5, num_layers=2, bidirectional=True), torch.nn.Linear(10, 2))
    state = {name: value.clone() for name, value in model.state_dict().items()}
    (library,) = build(tmp_path, {"net": (model, "float32")}).values()
    x = np.random.default_rng(11).standard_normal((9, 3)).astype(np.float32)
    assert_near(library.run(x), exact("float32", model, x))
    for name, value in model.state_dict().items():  # it was copied
        assert torch.equal(value, state[name])


# bad input


def tiny():
    return network("lstm", Dense(), 1, False)


def test_refused_models(tmp_path):
    path = tmp_path / "net"
    with pytest.raises(TypeError, match="found LSTM; wrap it"):
        export_c(LSTM(4, 6), path)
    model = tiny()
    model.head.weight.data[1, 2] = float("nan")
    with pytest.raises(ValueError, match=r"head\.weight has 1 NaN or infinite"):
        export_c(model, path)
    with pytest.raises(DtypeError, match="float64"):
        export_c(tiny().double(), path)
    chain = RNN(4, 6, weight=KroneckerChain(2, complex=True))
    with pytest.raises(TypeError, match="complex"):
        export_c(Classifier(chain, torch.nn.Linear(12, 3)), path)
    rnn = RNN(4, 6, nonlinearity="modrelu", weight=Dense())
    with pytest.raises(TypeError, match="modrelu"):
        export_c(Classifier(rnn, torch.nn.Linear(6, 3)), path)
    with pytest.raises(ValueError, match="proj_size"):
        export_c(Classifier(torch.nn.LSTM(4, 6, proj_size=2), torch.nn.Linear(2, 3)), path)
    with pytest.raises(TypeError, match="meta"):
        export_c(Classifier(LSTM(4, 6, device="meta"), torch.nn.Linear(6, 3)), path)
    model = tiny()
    model.rnn.register_forward_hook(lambda *_: None)
    with pytest.raises(TypeError, match="hooks"):
        export_c(model, path)
    model = tiny()
    torch.nn.utils.parametrizations.spectral_norm(model.head)
    with pytest.raises(TypeError, match="parametrization"):
        export_c(model, path)

    model = tiny()
    model.head.forward = torch.neg
    with pytest.raises(TypeError, match="head has a forward of its own, which export_c"):
        export_c(model, path)

    class Other(Classifier):
        def forward(self, x):
            return -super().forward(x)

    with pytest.raises(TypeError, match="Other has a forward of its own"):
        export_c(Other(LSTM(4, 6), torch.nn.Linear(6, 3)), path)
    with pytest.raises(ValueError, match="'int4'"):
        export_c(tiny(), path, weights="int4")
    assert not list(tmp_path.iterdir())


def test_refused_names_and_examples(tmp_path):
    for name in ("2fast", "a-b", "", "ä", "_x"):
        with pytest.raises(ValueError, match="name is"):
            export_c(tiny(), tmp_path / "net", name=name)
    for shape in ((0, 4), (3, 5), (4,), (1, 3, 4)):
        with pytest.raises(ShapeError, match="steps, 4"):
            export_c(tiny(), tmp_path / "net", example=np.zeros(shape, np.float32))
    with pytest.raises(DtypeError, match="float64"):
        export_c(tiny(), tmp_path / "net", example=np.full((2, 4), 0.1))
    with pytest.raises(ValueError, match="1 NaN"):
        export_c(tiny(), tmp_path / "net", example=[[0, 1, 2, float("inf")]])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("file", ['a"b', "a\\b", "grün", "a\nb"])
def test_a_file_that_no_include_could_name(file, tmp_path):
    with pytest.raises(ValueError, match="printable ASCII"):
        export_c(tiny(), tmp_path / file)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["layer0", "layer0_reverse", "test", "head", "example", "work"])
@pytest.mark.parametrize("both", [False, True])
def test_a_name_like_those_inside(name, both, tmp_path):
    exported = export_c(network("lstm", Kronecker(), 1, both), tmp_path / name)
    flags = (*WARNINGS, f"-D{name.upper()}_SELF_TEST")
    call(find("gcc"), *flags, "-c", exported.source, "-o", tmp_path / "net.o")


def test_two_threads_write_one_file(tmp_path):
    models = [network("lstm", Kronecker(), 1, False), network("fastrnn", Dense(), 1, False)]
    texts = {export_c(model, tmp_path / "net").source.read_text() for model in models}
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda k: export_c(models[k % 2], tmp_path / "net"), range(40)))
    assert (tmp_path / "net.c").read_text() in texts
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.c", "net.h"]


def test_nothing_is_written_by_halves(tmp_path):
    with pytest.raises(ValueError, match="no folder"):
        export_c(tiny(), tmp_path / "nowhere" / "net")
    with pytest.raises(ValueError, match="is a folder"):
        export_c(tiny(), tmp_path)
    (tmp_path / "net.c").mkdir()
    with pytest.raises(ValueError, match="cannot write"):
        export_c(tiny(), tmp_path / "net")
    assert [path.name for path in tmp_path.iterdir()] == ["net.c"]


def test_names_and_files(tmp_path):
    exported = export_c(tiny(), tmp_path / "kws-lstm.c")
    assert exported.name == "kws_lstm"
    assert exported.header == tmp_path / "kws-lstm.h"
    assert '#include "kws-lstm.h"' in exported.source.read_text()
    again = export_c(tiny(), str(tmp_path / "kws-lstm"), name="Spotter")
    assert "void Spotter_run(" in again.header.read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kws-lstm.c", "kws-lstm.h"]
    call(find("gcc"), *WARNINGS, "-c", again.source, "-o", tmp_path / "net.o")


def test_int8_scales_out_of_range(tmp_path):
    model = network("lstm", Kronecker(), 1, False)
    with torch.no_grad():
        model.rnn.weight.A.mul_(1e-30)
        model.rnn.weight.B.mul_(1e-10)
    with pytest.raises(DtypeError, match="balance the factors"):
        export_c(model, tmp_path / "net", weights="int8")
    assert not list(tmp_path.iterdir())


# the command


def command(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["kplib", "export", *map(str, arguments)])
    status = 0
    try:
        cli.main()
    except SystemExit as end:
        status = end.code or 0
    return status, *capsys.readouterr()


def test_the_command_writes_trained_weights(monkeypatch, capsys, tmp_path):
    trained = kplib.build("usps-fastrnn", "kp", seed=3)
    save_file(trained.state_dict(), tmp_path / "trained.safetensors")
    arguments = ["usps-fastrnn", "kp", tmp_path / "usps", "--weights", "int8"]
    status, out, err = command(
        monkeypatch, capsys, *arguments, "--state", tmp_path / "trained.safetensors"
    )
    assert (status, err) == (0, "")
    (tmp_path / "other").mkdir()
    expected = export_c(trained, tmp_path / "other" / "usps", weights="int8")
    assert (tmp_path / "usps.c").read_bytes() == expected.source.read_bytes()
    assert f"{expected.weight_bytes:,} bytes of constants" in out
    assert f"{expected.state_bytes:,} bytes of RAM" in out


def test_the_command_says_what_is_wrong_in_a_line(monkeypatch, capsys, tmp_path):
    path = tmp_path / "usps"
    other = tmp_path / "other.safetensors"
    save_file(kplib.build("mnist-lstm", "kp", seed=3).state_dict(), other)
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"no tensors")
    for arguments, message in [
        (["usps-fastrnn", "kp", path], "--state or --seed"),
        (["usps", "kp", path, "--seed", 1], "usps"),
        (["usps-fastrnn", "kp", path, "--state", tmp_path / "none"], "none"),
        (["usps-fastrnn", "kp", path, "--state", other], "other.safetensors"),
        (["usps-fastrnn", "kp", path, "--state", broken], "broken.safetensors"),
        (["usps-fastrnn", "kp", tmp_path / "no" / "usps", "--seed", 1], "no folder"),
    ]:
        status, out, err = command(monkeypatch, capsys, *arguments)
        assert (status, out) == (2, "")
        assert message in err
        assert len(err.splitlines()) == 1
        assert not path.with_suffix(".c").exists()
