"""The text of an exported network: a header and a source in C99."""

import textwrap
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kplib.engine.c_activations import activations
from kplib.engine.c_cells import Step
from kplib.engine.c_products import HELPERS
from kplib.engine.c_tables import LINE, Constants, braces, float_literal, render
from kplib.engine.stored import Weights, store
from kplib.nn import LSTM, Classifier
from kplib.nn.recurrent import Recurrent

FLOAT_BYTES = 4
MAX_STEPS = 128

INCLUDES = """\
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>"""


@dataclass(frozen=True)
class Check:
    """A sequence and its logits, for the self-test.

    Parameters
    ----------
    x : ndarray of float32, shape (steps, input)
        The sequence.
    logits : ndarray of float32, shape (classes,)
        What is expected.
    tolerance : float
        The most by which a logit may differ.
    """

    x: NDArray[np.float32]
    logits: NDArray[np.float32]
    tolerance: float


@dataclass(frozen=True)
class CText:
    """The two files, and what they take.

    Parameters
    ----------
    header, source : str
        Their text.
    weight_bytes, state_bytes : int
        Of all constants, and of all that changes.
    """

    header: str
    source: str
    weight_bytes: int
    state_bytes: int


def c_text(
    name: str,
    file: str,
    model: Classifier,
    weights: Weights,
    check: Check,
    max_steps: int,
    version: str,
) -> CText:
    """Return the header and the source of a model that has been checked.

    Parameters
    ----------
    name : str
        A C identifier, with which all public names begin.
    file : str
        The files' name without suffix.
    model : Classifier
        Of a layer of kplib, all parameters in float32.
    weights : {"float32", "int8"}
        How the parameters are stored.
    check : Check
        For the self-test.
    max_steps : int
        The longest sequence of a network with several bidirectional layers.
    version : str
        Of kplib.
    """
    rnn = model.rnn
    assert isinstance(rnn, Recurrent)
    constants = Constants(weights)
    steps = [
        Step(f"layer{cell.removeprefix('l')}", rnn, rnn.get_submodule(f"cells.{cell}"), constants)  # type: ignore[arg-type]
        for cell in rnn.cells
    ]
    head = _head(model, constants)
    program = (_BothDirections if rnn.bidirectional else _OneDirection)(
        name, rnn, steps, check, max_steps
    )
    sections = [
        f"/* {name}: what it computes, and how to call it, stands in {file}.h. */",
        f'#include "{file}.h"',
        INCLUDES,
        constants.readers(),
        constants.text(),
        _size_check(f"{name}_weight_bytes", constants.sizeof(), f"{name.upper()}_WEIGHT_BYTES"),
        *_helpers(constants),
        *activations("".join(step.source for step in steps)),
        *(step.source for step in steps),
        head,
        program.source(),
    ]
    return CText(
        header="\n\n".join(_header(name, model, constants, program, version)) + "\n",
        source=_wrapped("\n\n".join(sections)) + "\n",
        weight_bytes=constants.nbytes,
        state_bytes=program.state_bytes,
    )


def _helpers(constants: Constants) -> list[str]:
    """Return the helper functions that are called."""
    return [
        render(text, type=constants.c_type, read=constants.read)
        for helper, text in HELPERS.items()
        if helper in constants.helpers
    ]


class _Program(ABC):
    """What runs a network of one or of both directions."""

    def __init__(
        self, name: str, rnn: Recurrent, steps: Sequence[Step], check: Check, max_steps: int
    ) -> None:
        self.name = name
        self.rnn = rnn
        self.steps = steps
        self.check = check
        self.max_steps = max_steps
        self.scratch = max(step.floats for step in steps)
        self.has_cell_state = isinstance(rnn, LSTM)
        self.names = {
            "name": name,
            "NAME": name.upper(),
            "hidden": rnn.hidden_size,
            "inputs": rnn.input_size,
            "scratch": self.scratch,
        }

    @property
    @abstractmethod
    def state_bytes(self) -> int:
        """Bytes of RAM: state and scratch."""

    def state_size(self) -> list[str]:
        """Return the lines of the header that define the bytes of RAM."""
        return [f"#define {self.name.upper()}_STATE_BYTES {self.state_bytes} /* of RAM */"]

    @abstractmethod
    def declarations(self) -> list[str]:
        """Return what the header declares beside the sizes."""

    @abstractmethod
    def source(self) -> str:
        """Return the definitions."""

    def self_test(self, run: str) -> str:
        """Return the self-test; `run` is what computes the logits of `test_x`."""
        check = self.check
        steps = len(check.x)
        # as `float`, not in the flash of an AVR, where `run` takes a pointer
        place = "" if self.rnn.bidirectional else " FLASH"
        return "\n".join(
            [
                f"#ifdef {self.name.upper()}_SELF_TEST",
                f"/* A sequence of {steps} steps, and the logits of the model in float64. */",
                f"static const float test_x[{check.x.size}]{place} = {braces(check.x)};",
                "",
                f"static const float test_y[{check.logits.size}] FLASH = {braces(check.logits)};",
                "",
                f"int {self.name}_self_test(void)",
                "{",
                f"    float logits[{self.name.upper()}_CLASSES];",
                run,
                "    int wrong = 0;",
                f"    for (int j = 0; j < {self.name.upper()}_CLASSES; j++) {{",
                "        const float error = fabsf(logits[j] - READ_FLOAT(test_y + j));",
                f"        if (!(error <= {self.name.upper()}_TOLERANCE)) /* NaN is wrong, too */",
                "            wrong++;",
                "    }",
                "    return wrong;",
                "}",
                "#endif",
            ]
        )


class _OneDirection(_Program):
    """Step by step through all layers, whose states stand side by side."""

    @property
    def layers(self) -> int:
        return len(self.steps)

    @property
    def state_bytes(self) -> int:
        hidden = self.layers * self.rnn.hidden_size
        states = 2 if self.has_cell_state else 1
        return FLOAT_BYTES * (self.rnn.input_size + states * hidden + self.scratch)

    def declarations(self) -> list[str]:
        hidden = self.layers * self.rnn.hidden_size
        layout = "".join(f"; h of layer {k}" for k in range(self.layers))
        lines = [f"    float v[{self.rnn.input_size + hidden}]; /* [x_t{layout}] */"]
        if self.has_cell_state:
            lines.append(f"    float c[{hidden}];")
        lines.append(f"    float scratch[{self.scratch}];")
        state = "\n".join(
            [
                f"/* All that a stream needs from step to step: {self.name.upper()}_STATE_BYTES "
                "of RAM. */",
                "typedef struct {",
                *lines,
                f"}} {self.name}_state;",
            ]
        )
        functions = render(
            """
            /* Begin a sequence: all states are 0. */
            void ${name}_reset(${name}_state *state);

            /* Take one step, x of ${NAME}_INPUTS numbers. */
            void ${name}_step(${name}_state *state, const float *x);

            /* Write the ${NAME}_CLASSES logits after the steps so far. */
            void ${name}_logits(const ${name}_state *state, float *logits);

            /* Write the logits of a whole sequence, x of steps * ${NAME}_INPUTS numbers. No steps
               leave the state 0. It keeps a ${name}_state of its own: one call at a time. */
            void ${name}_run(const float *x, int steps, float *logits);
            """,
            **self.names,
        )
        return [state, functions]

    def source(self) -> str:
        return f"{self._functions()}\n\n{self.self_test(self._stream())}"

    def _functions(self) -> str:
        """Return the public functions."""
        calls = []
        for k, step in enumerate(self.steps):
            offset = self.rnn.input_size + (k - 1) * self.rnn.hidden_size if k else 0
            v = f"state->v + {offset}" if offset else "state->v"
            c = f"state->c + {k * self.rnn.hidden_size}" if k else "state->c"
            arguments = [v, *([c] if self.has_cell_state else []), "state->scratch"]
            calls.append(f"    {step.name}_advance({', '.join(arguments)});")
        return render(
            """
            $check

            void ${name}_reset(${name}_state *state)
            {
                memset(state, 0, sizeof *state);
            }

            void ${name}_step(${name}_state *state, const float *x)
            {
                memcpy(state->v, x, ${NAME}_INPUTS * sizeof *x);
            $calls
            }

            void ${name}_logits(const ${name}_state *state, float *logits)
            {
                head(state->v + $last, logits);
            }

            void ${name}_run(const float *x, int steps, float *logits)
            {
                static ${name}_state state;
                ${name}_reset(&state);
                for (int t = 0; t < steps; t++, x += ${NAME}_INPUTS)
                    ${name}_step(&state, x);
                ${name}_logits(&state, logits);
            }
            """,
            **self.names,
            calls="\n".join(calls),
            last=self.rnn.input_size + (self.layers - 1) * self.rnn.hidden_size,
            check=_size_check(
                f"{self.name}_state_bytes",
                f"sizeof({self.name}_state)",
                f"{self.name.upper()}_STATE_BYTES",
            ),
        )

    def _stream(self) -> str:
        """Return the statements of the self-test that take `test_x` step by step."""
        streamed = render(
            """
                float x[${NAME}_INPUTS];
                static ${name}_state state;
                ${name}_reset(&state);
                for (int t = 0; t < $steps; t++) {
                    for (int i = 0; i < ${NAME}_INPUTS; i++)
                        x[i] = READ_FLOAT(test_x + t * ${NAME}_INPUTS + i);
                    ${name}_step(&state, x);
                }
                ${name}_logits(&state, logits);
            """,
            **self.names,
            steps=len(self.check.x),
        )
        return "\n".join(f"    {line}" for line in streamed.splitlines())


class _BothDirections(_Program):
    """Layer by layer through the whole sequence, forwards and backwards."""

    @property
    def buffers(self) -> int:
        """Buffers for the outputs of a layer that another one reads: two take turns."""
        return min(self.rnn.num_layers - 1, 2)

    @property
    def v(self) -> int:
        return max(step.width for step in self.steps) + self.rnn.hidden_size

    @property
    def fixed_bytes(self) -> int:
        """Bytes of RAM, without what grows with the steps."""
        states = 2 if self.has_cell_state else 1
        return FLOAT_BYTES * (self.v + states * self.rnn.hidden_size + self.scratch)

    @property
    def bytes_per_step(self) -> int:
        return FLOAT_BYTES * self.buffers * 2 * self.rnn.hidden_size

    @property
    def state_bytes(self) -> int:
        return self.fixed_bytes + self.bytes_per_step * self.max_steps

    def state_size(self) -> list[str]:
        """Return the lines that define the bytes of RAM, which grow with the longest sequence."""
        if not self.buffers:
            return super().state_size()
        NAME = self.name.upper()
        return [
            f"#ifndef {NAME}_MAX_STEPS",
            f"#define {NAME}_MAX_STEPS {self.max_steps} /* of a sequence; define another */",
            "#endif",
            f"#define {NAME}_STATE_BYTES ({self.fixed_bytes} + {self.bytes_per_step} * "
            f"{NAME}_MAX_STEPS) /* of RAM */",
        ]

    def declarations(self) -> list[str]:
        limit = ""
        if self.buffers:
            limit = f"\n   More than {self.name.upper()}_MAX_STEPS steps give NaN."
        run = render(
            """
            /* Write the ${NAME}_CLASSES logits of a whole sequence, x of steps * ${NAME}_INPUTS
               numbers. No steps leave the states 0. It works in static RAM: one call at a
               time.$limit */
            void ${name}_run(const float *x, int steps, float *logits);
            """,
            **self.names,
            limit=limit,
        )
        return [run]

    def source(self) -> str:
        return "\n\n".join([self._work(), self._scan(), self._run(), self._test()])

    def _work(self) -> str:
        size = 2 * self.rnn.hidden_size
        lines = [
            "static struct {",
            f"    float v[{self.v}]; /* [x_t; h] of the layer at work */",
            *([f"    float c[{self.rnn.hidden_size}];"] if self.has_cell_state else []),
            f"    float scratch[{self.scratch}];",
            f"    float forward[{self.rnn.hidden_size}]; /* h of the last layer's first */",
        ]
        if self.buffers:
            lines.append(
                f"    float outputs[{self.buffers}][{self.name.upper()}_MAX_STEPS * {size}]; "
                "/* of a layer, for the next one */"
            )
        check = _size_check(
            f"{self.name}_state_bytes", "sizeof work", f"{self.name.upper()}_STATE_BYTES"
        )
        return "\n".join([*lines, "} work;", "", check])

    def _scan(self) -> str:
        c_type, c = ("float *, ", "work.c, ") if self.has_cell_state else ("", "")
        return render(
            """
            /* Run one layer in one direction over the sequence. The h of each step goes to out, one
               every $both numbers, unless that is NULL; the last one stays in work.v. */
            static void scan(void (*step)(float *, ${c_type}float *), const float *in, size_t width,
                             int steps, int reverse, float *out)
            {
                memset(&work.v, 0, sizeof work.v);
            $clear    for (int s = 0; s < steps; s++) {
                    const size_t t = (size_t)(reverse ? steps - 1 - s : s);
                    memcpy(work.v, in + t * width, width * sizeof *in);
                    step(work.v, ${c}work.scratch);
                    if (out != NULL)
                        memcpy(out + t * $both, work.v + width, $hidden * sizeof *out);
                }
            }
            """,
            **self.names,
            both=2 * self.rnn.hidden_size,
            c_type=c_type,
            c=c,
            clear="    memset(&work.c, 0, sizeof work.c);\n" if self.has_cell_state else "",
        )

    def _run(self) -> str:
        NAME, hidden = self.name.upper(), self.rnn.hidden_size
        lines = [f"void {self.name}_run(const float *x, int steps, float *logits)", "{"]
        if self.buffers:
            lines += [
                f"    if (steps > {NAME}_MAX_STEPS) {{",
                f"        for (int j = 0; j < {NAME}_CLASSES; j++)",
                "            logits[j] = NAN;",
                "        return;",
                "    }",
            ]
        for layer in range(self.rnn.num_layers):
            last = layer == self.rnn.num_layers - 1
            source = "x" if layer == 0 else f"work.outputs[{(layer - 1) % 2}]"
            for direction in range(2):
                step = self.steps[2 * layer + direction]
                out = "NULL"
                if not last:
                    shift = f" + {hidden}" if direction else ""
                    out = f"work.outputs[{layer % 2}]{shift}"
                arguments = (
                    f"{step.name}_advance, {source}, {step.width}, steps, {direction}, {out}"
                )
                lines.append(f"    scan({arguments});")
                if last and direction == 0:
                    lines.append(
                        f"    memcpy(work.forward, work.v + {step.width}, sizeof work.forward);"
                    )
        lines += [f"    head(work.forward, work.v + {self.steps[-1].width}, logits);", "}"]
        return "\n".join(lines)

    def _test(self) -> str:
        return self.self_test(f"    {self.name}_run(test_x, {len(self.check.x)}, logits);")


def _head(model: Classifier, constants: Constants) -> str:
    """Return the linear layer on the final state."""
    weight, bias = model.head.weight, model.head.bias
    classes, features = weight.shape
    constants.section = "head"
    W = store(weight, constants.weights)
    constants.helpers.add("dot")
    constants.add("head_W", W.values, f"W, {classes} x {features}")
    scale = None if W.scale is None else W.scale.reshape(1)
    state, total = "const float *h", [f"dot(head_W + j * {features}, h, {features})"]
    if model.rnn.bidirectional:
        half = features // 2
        state = "const float *forward, const float *reverse"
        total = [
            f"dot(head_W + j * {features}, forward, {half})",
            f"dot(head_W + j * {features} + {half}, reverse, {half})",
        ]
    scaled = constants.scaled("head_scale")
    lines = [f"const float sum = {' + '.join(total)};"]
    result = f"{scaled}sum"
    if bias is not None:
        b = store(bias.view(1, -1), constants.weights)
        constants.add("head_b", b.values[0], f"biases, {classes}")
        if scale is not None and b.scale is not None:
            scale = np.concatenate([scale, b.scale.reshape(1)])
        lines.append(
            f"const float bias = {constants.scaled('head_scale', '1')}{constants.read}(head_b + j);"
        )
        result += " + bias"
    constants.add_scale("head_scale", scale)
    return "\n".join(
        [
            "/* The head: logits of the final state. */",
            f"static void head({state}, float *logits)",
            "{",
            f"    for (int j = 0; j < {classes}; j++) {{",
            *(f"        {line}" for line in lines),
            f"        logits[j] = {result};",
            "    }",
            "}",
        ]
    )


def _wrapped(source: str) -> str:
    """Break lines of more than 96 characters after an operand, in code and in comments."""
    lines = []
    for line in source.split("\n"):
        indent = line[: len(line) - len(line.lstrip())] + "    "
        while len(line) > LINE:
            end = max(line.rfind(mark, len(indent), LINE) for mark in (" + ", " * ", ", ", " == "))
            if end < 0:
                break
            end = line.index(" ", end + 1) if line[end] == " " else end + 1
            lines.append(line[:end])
            line = indent + line[end + 1 :]
        lines.append(line)
    return "\n".join(lines)


def _size_check(name: str, size: str, expected: str) -> str:
    """Return a declaration that does not compile unless a size is as expected."""
    check = f"typedef char {name}_check[({size}) == {expected} ? 1 : -1];"
    return textwrap.fill(
        check, LINE, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
    )


def _header(
    name: str, model: Classifier, constants: Constants, program: _Program, version: str
) -> list[str]:
    """Return the parts of the header."""
    NAME = name.upper()
    sizes = [
        f"#define {NAME}_INPUTS {model.rnn.input_size} /* numbers of a step */",
        f"#define {NAME}_CLASSES {model.head.out_features} /* logits */",
        f"#define {NAME}_WEIGHT_BYTES {constants.nbytes} /* of constants, in flash */",
        *program.state_size(),
        f"#define {NAME}_TOLERANCE {float_literal(program.check.tolerance)}",
    ]
    test = f"#ifdef {NAME}_SELF_TEST\nint {name}_self_test(void);\n#endif"
    return [
        _about(name, model, constants, program, version),
        f"#ifndef {NAME}_H\n#define {NAME}_H",
        "\n".join(sizes),
        '#ifdef __cplusplus\nextern "C" {\n#endif',
        *program.declarations(),
        test,
        "#ifdef __cplusplus\n}\n#endif",
        "#endif",
    ]


def _about(
    name: str, model: Classifier, constants: Constants, program: _Program, version: str
) -> str:
    """Return the comment that says what the network is."""
    rnn, NAME = model.rnn, name.upper()
    kinds = sorted({step.cell.weight.kind.replace("_", " ") for step in program.steps})
    layers = f"{rnn.num_layers} layer{'s' if rnn.num_layers > 1 else ''} of "
    how = "int8 with one float scale a matrix" if constants.weights == "int8" else "float32"
    sentences = (
        f"{type(rnn).__name__}, {layers}{rnn.hidden_size} units, {' and '.join(kinds)} weights, "
        f"{'both directions' if rnn.bidirectional else 'one direction'}; a linear head. Constants "
        f"are {how}, all arithmetic is in float, tanh and sigmoid are here (on an AVR they are the "
        f"C library's: link with -lm). With -D{NAME}_SELF_TEST, int {name}_self_test(void) returns "
        f"how many logits of an example differ from the model's by more than {NAME}_TOLERANCE, "
        "which should be 0."
    )
    return "\n".join(
        [
            f"/* {name}: a recurrent network made by kplib {version}.",
            " *",
            *textwrap.wrap(sentences, LINE, initial_indent=" * ", subsequent_indent=" * "),
            " */",
        ]
    )
