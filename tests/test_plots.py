"""What holds for every figure: ink and palette, text whole and legible, markup fit for a page."""

import inspect
import itertools
import re
from dataclasses import replace
from functools import partial
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.text import Text

from kplib import FactorShape, plots
from kplib.experiments import papers
from kplib.experiments.memory import DEVICES
from kplib.experiments.points import Point, paper_points
from kplib.experiments.trade_offs import Group, TradeOff, trade_offs
from kplib.plots import Pattern

RNG = np.random.default_rng(0)
A = [[1, 2], [3, 1], [0, 2]]
B = [[1, 0, 2], [2, 1, 1]]
X = [1, 2, 0, 3, 1, 2]
RUNS = {"dense": [0.5, 0.8, 0.97], "kp": [0.3, 0.9, 0.95], "small": [0.2, 0.7, 0.93]}
WORDS = {"title": "A title", "description": "A description of what the patterns show."}
EQUATION = [Pattern(A, "A"), "⊗", Pattern(B, "B"), "=", Pattern(np.kron(A, B), "W", block=(2, 3))]
WAYS = {"a": "dense", "b": "kp"}
BENCHMARKS = [network.benchmark for network in papers.networks()]
OURS = Point(source="ours", technique="kp", accuracy=90.5, kilobytes=15.3, low=89, high=92)


def integers(*shape, least=-9):
    return RNG.integers(least, 10, shape)


# Every figure, with usual data and with those at the edges: the key says of which function.
PICTURES = {
    "accuracies_by_cell": partial(
        plots.accuracies_by_cell,
        {cell: {"dense": [0.97, 0.98], "kp": [0.9, 0.7]} for cell in ("RNN", "FastRNN")},
    ),
    "accuracies_by_cell, one run": partial(plots.accuracies_by_cell, {"RNN": {"kp": [1.0]}}),
    "accuracy_against_rows": partial(
        plots.accuracy_against_rows,
        {0: [0.85, 0.86], 4: [0.9], 32: [0.95, 0.93, 0.94]},
        {"dense": [0.97]},
    ),
    "accuracy_against_rows, one": partial(plots.accuracy_against_rows, {3: [1.0]}),
    "accuracy_against_size": partial(
        plots.accuracy_against_size,
        {"4 units": 1.0, "8 units": 2.5, "32 units": 21.8},
        {"4 units": [0.78, 0.72, 0.81], "8 units": [0.9, 0.92], "32 units": [0.97]},
    ),
    "accuracy_against_size, perfect": partial(
        plots.accuracy_against_size, {"1 unit": 1.0}, {"1 unit": [1.0, 1.0]}, name="kp"
    ),
    "accuracy_by_bits": partial(
        plots.accuracy_by_bits,
        {name: {32: [0.9], 8: [0.89], 4: [0.7], 2: [0.1]} for name in ("dense", "kp", "small")},
        {"kp": {4: [0.85], 2: [0.4]}},
    ),
    "accuracy_by_bits, one": partial(plots.accuracy_by_bits, {"kp": {8: [1.0]}}),
    "accuracy_by_rank": partial(
        plots.accuracy_by_rank,
        {"kp": {1: [70.0, 68.5], 4: [91.0], 16: [93.0, 92.0], 24: [95.0]}, "lmf": {3: [90.0]}},
        16,
    ),
    "accuracy_by_rank, one": partial(plots.accuracy_by_rank, {"kp": {8: [99.0]}}),
    "accuracy_differences": partial(
        plots.accuracy_differences,
        {"small": (7.6, 6.9, 8.3), "lmf": (0.3, -0.1, 0.6)},
        {"lmf": 1.04},
    ),
    "accuracy_differences, none": partial(
        plots.accuracy_differences, {"lmf": (0, 0, 0)}, name="hkp"
    ),
    "accuracy_fronts": partial(plots.accuracy_fronts, trade_offs(), at_least=5),
    "accuracy_fronts, speed-up": partial(
        plots.accuracy_fronts, trade_offs()[2:3], "speed-up", training=1
    ),
    "accuracy_fronts, one": partial(
        plots.accuracy_fronts,
        [
            TradeOff(
                benchmark="dsads-bilstm",
                means=None,
                bests=None,
                ours=(Group(name="40 epochs", points=(replace(OURS, smaller=19.5),)),),
            )
        ],
    ),
    "accuracy_plane": partial(
        plots.accuracy_plane, [*paper_points("kws-lstm"), OURS], title="KWS-LSTM"
    ),
    "accuracy_plane, speed-up": partial(
        plots.accuracy_plane, paper_points("kws-gru"), "speed-up", title="KWS-GRU"
    ),
    "accuracy_plane, one": partial(plots.accuracy_plane, [OURS], title="One"),
    "approximation_shares": partial(
        plots.approximation_shares,
        {"one": {"kp": 1.0, "lmf": 0.2}, "a trained\ngate": {"kp": 0.07, "lmf": 0.0}},
    ),
    "best_of_several": partial(
        plots.best_of_several, [1.1, 1.12, 1.13, 1.9], {2: 0.71, 4: 1.16, 6: 1.42, 10: 1.66}
    ),
    "best_of_several, one": partial(plots.best_of_several, [1.0], {3: 1.0}),
    "bits_changes": partial(
        plots.bits_changes,
        {
            group: dict.fromkeys(("baseline", "kp"), ((-0.2, -0.4, 0.1), (0.1, -0.1, 0.3)))
            for group in ("USPS-FastRNN", "DSADS-BiLSTM")
        },
        most_lost=0.3,
    ),
    "bits_changes, one": partial(
        plots.bits_changes, {"it": {"lmf": ((0, 0, 0), (0, 0, 0))}}, most_lost=2
    ),
    "bottlenecks": partial(plots.bottlenecks, [(59, 8, 2, 16), (2, 2, 59, 64)], low_rank=2),
    "bottlenecks, 1 x 1": partial(plots.bottlenecks, [(1, 1, 1, 1)], low_rank=1),
    "bottlenecks, wide": partial(plots.bottlenecks, [(1, 50, 60, 60), (12, 50, 5, 60)]),
    "caught_against_numbers": partial(
        plots.caught_against_numbers,
        {"kp": {0.1: 0.2, 0.5: 0.7, 1.1: 1.0}, "lmf": {0.1: 0.3}},
        {0.1: 0.1, 1.1: 0.99},
        labels={"kp": "sums of products"},
    ),
    "caught_against_numbers, one": partial(plots.caught_against_numbers, {"kp": {1: 0}}, {1: 0}),
    **{
        f"cell_flow, {cell}, stage {stage}": partial(plots.cell_flow, cell, stage)
        for cell, stages in (
            ("rnn", 1),
            ("lstm", 3),
            ("gru", 3),
            ("gru_reset_after", 3),
            ("fastrnn", 2),
        )
        for stage in range(1, stages + 1)
    },
    "comparison": partial(
        plots.comparison,
        {"dense": 18_602, "kp": 1310, "small": 1322},
        RUNS,
        {"dense": 7e-6, "kp": 2e-6, "small": 1e-6},
    ),
    "comparison, equal": partial(plots.comparison, {"hkp": 0}, {"hkp": [1.0, 1.0]}, {"hkp": 0.0}),
    "condition_number_ranges": partial(
        plots.condition_number_ranges,
        {"KWS-LSTM": [1.5, 2.5, 4.0], "full rank,\n120 × 130": [100, 9000]},
        band=(1.2, 7.3),
        band_label="the papers' trained networks",
    ),
    "condition_number_ranges, narrow": partial(
        plots.condition_number_ranges,
        {"orthogonal": [1, 1.0]},
        band=(1.2, 7.3),
        band_label="printed",
    ),
    "confusion_matrix": partial(
        plots.confusion_matrix,
        RNG.integers(0, 9, (12, 12)) + 150 * np.eye(12, dtype=int),
        ["silence", "unknown", *"abcdefgh", "up", "down"],
        title="KWS-LSTM",
    ),
    "confusion_matrix, long names": partial(
        plots.confusion_matrix,
        RNG.integers(0, 9, (18, 19)) + 99 * np.eye(18, 19, dtype=int),
        [f"exercising on a cross trainer {k}" for k in range(18)],
        title="DSADS-BiLSTM",
    ),
    "confusion_matrix, perfect": partial(plots.confusion_matrix, [[7]], ["it"], title="One"),
    "device_memory": partial(
        plots.device_memory,
        {
            "MNIST dense, float32": ("dense", 47_592, None),
            "MNIST dense, int8": ("dense", 13_376, 828),
            "USPS Kronecker, int8": ("kp", 1856, 444),
        },
        flash=32_768,
        ram=2048,
    ),
    "device_memory, too much RAM": partial(
        plots.device_memory, {"it": ("small", 1, 5000)}, flash=32_768, ram=2048
    ),
    "determinant_paths": partial(
        plots.determinant_paths,
        {"real": [1, 0.5, -1], "round": np.exp(1j * np.linspace(0, np.pi, 9))},
    ),
    "movement_in_training": partial(
        plots.movement_in_training,
        [0, 100, 300],
        {"free": [[0, 0.1, 0.2], [0, 0.1, 0.25]], "unitary penalty": [[0, 0.1, 0.1]]},
        {"free": [[0, 0.9, 1.5], [0, 1.0, 1.4]], "unitary penalty": [[0, 0.6, 0.9]]},
    ),
    "movement_in_training, least": partial(
        plots.movement_in_training, [0], {"a": [[0]]}, {"a": [[0]]}
    ),
    "factor_movement": partial(
        plots.factor_movement, {2: [0.1, 0.2], 8: [0.04]}, {2: [0.2, 0.4], 8: [0.3]}
    ),
    "feature_chain": partial(
        plots.feature_chain,
        RNG.normal(size=16000),
        ("Spectrum", "kHz", RNG.normal(size=(25, 513))),
        ("MFCC", "number", RNG.normal(size=(25, 10))),
        seconds=1.0,
    ),
    "feature_chain, least": partial(
        plots.feature_chain, [0, 1], ("One", "row", [[3]]), seconds=0.001
    ),
    "fold_accuracies": partial(
        plots.fold_accuracies, {"dense": [0.9, 0.95], "kp": [1.0]}, labels={"kp": "by writer"}
    ),
    "fold_accuracies, one": partial(plots.fold_accuracies, {"kp": [0.5]}),
    "gate_activations": partial(
        plots.gate_activations,
        RNG.integers(0, 17, (8, 8)),
        {name: RNG.uniform(-1, 1, (8, 5)) for name in "figoh"},
    ),
    "gate_activations, 1 x 1": partial(plots.gate_activations, [[3]], {"f": [[1]]}),
    "gate_activations, wide": partial(
        plots.gate_activations, np.ones((3, 64)), {"f": np.zeros((3, 40))}
    ),
    "hidden_size_costs": partial(plots.hidden_size_costs, 10, range(100, 141)),
    "hidden_size_costs, all primes": partial(plots.hidden_size_costs, 2, [3, 5]),
    "hybrid_blocks": partial(plots.hybrid_blocks, 2, (3, 2, 2, 3)),
    "hybrid_blocks, none dense": partial(plots.hybrid_blocks, 0, (3, 2, 2, 3)),
    "hybrid_blocks, tall": partial(plots.hybrid_blocks, 4, (15, 1, 4, 2)),
    "hybrid_blocks, large": partial(plots.hybrid_blocks, 4, (4, 4, 7, 8)),
    "hybrid_sizes": partial(plots.hybrid_sizes, 118, 128),
    "hybrid_sizes, chosen": partial(plots.hybrid_sizes, 118, 128, 1),
    "hybrid_sizes, a gap": partial(plots.hybrid_sizes, 118, 128, 5),
    "hybrid_sizes, all": partial(plots.hybrid_sizes, 179, 256, most=178),
    "hybrid_sizes, small": partial(plots.hybrid_sizes, 4, 4),
    "hybrid_sizes, other targets": partial(plots.hybrid_sizes, 64, 72, compressions=(2, 5.5, 900)),
    "image_transform": partial(
        plots.image_transform, {"image": integers(8, 6, least=1), "DCT": integers(8, 6)}
    ),
    "image_transform, large": partial(
        plots.image_transform, dict.fromkeys("abcd", integers(30, 40))
    ),
    "kron_blocks": partial(plots.kron_blocks, A, B),
    "kron_blocks, long numbers": partial(plots.kron_blocks, [[-1234.5, 3]], [[0.001234], [-77777]]),
    "kron_blocks, stacked": partial(plots.kron_blocks, np.ones((3, 4), int), np.ones((4, 3), int)),
    "kron_blocks, shades": partial(
        plots.kron_blocks, RNG.normal(size=(14, 4)), RNG.normal(size=(11, 41))
    ),
    "kron_blocks, zeros": partial(plots.kron_blocks, np.zeros((13, 1)), [[0.0]]),
    "kron_blocks, 1 x 1": partial(plots.kron_blocks, [[2]], [[3]]),
    "kron_entry": partial(plots.kron_entry, [[1, 2], [3, 1]], [[1, 0, 2], [2, 1, 4]], 3, 2),
    "kron_entry, 8 x 8": partial(plots.kron_entry, -np.ones((4, 2)), 8 * np.ones((2, 4)), 7, 0),
    "kron_entry, 1 x 1": partial(plots.kron_entry, [[2]], [[3]], 0, 0),
    "late_starts": partial(
        plots.late_starts,
        {"dense": (0, [[0.1, 0.8], [0.2, 0.9]]), "kp": (1, [[0.5, 0.6, 0.9]])},
        labels={"kp": "from the nearest", "dense": "a dense network"},
    ),
    "late_starts, one": partial(plots.late_starts, {"kp": (3, [[1.0]])}),
    "learning_rates": partial(
        plots.learning_rates,
        {"steps": [(0, 1e-2), (5e4, 1e-3)], "LRD1": [(0, 1e-2), (9e4, 1e-12)]},
    ),
    "learning_rates, one": partial(plots.learning_rates, {"c": [(0, 1)]}, unit="epochs"),
    "learning_curves": partial(
        plots.learning_curves,
        {
            "kp": [(range(1, 51), [1 - e / t for t in range(1, 51)]) for e in (0.9, 0.8)],
            "lmf": [(range(1, 51), [1 - 0.85 / t**0.5 for t in range(1, 51)])],
        },
    ),
    "learning_curves, one look": partial(
        plots.learning_curves, {"kp": [([500], [1.0])]}, unit="steps"
    ),
    "loss_curves": partial(
        plots.loss_curves,
        {
            "one": {"a": [[4, 2, 2, 0], [8, 8, 8, 8]], "b": [[1, 1, 1, 1]]},
            "two": {"b": [[3, 1]], "c": [[0, 2]]},
        },
        baselines={"two": 0.5},
        window=2,
    ),
    "lstm_memory": partial(plots.lstm_memory, 3, 2, 2),
    "lstm_memory, ones": partial(plots.lstm_memory, 1, 1, 1),
    "lstm_memory, tall": partial(plots.lstm_memory, 2, 5, 4),
    "macs_and_times": partial(
        plots.macs_and_times, {FactorShape(59, 8, 2, 16): 3e-8, FactorShape(2, 2, 59, 64): 1.1e-7}
    ),
    **{
        f"memory_budget, {name or 'all'} on {device}": partial(
            plots.memory_budget, name, device=device
        )
        for name in (*BENCHMARKS, None)
        for device in DEVICES
    },
    "parameter_shares": partial(
        plots.parameter_shares,
        {
            "one": {"recurrent": 40, "input": 30, "biases": 10, "head": 20},
            "another": {"recurrent": 900, "input": 0, "biases": 50, "head": 50},
        },
    ),
    "parameter_shares, one part": partial(plots.parameter_shares, {"all": {"recurrent": 7}}),
    "patterns, to scale": partial(plots.patterns, EQUATION, **WORDS),
    "patterns, two lines": partial(
        plots.patterns,
        [Pattern(np.eye(64), "left", width=1), Pattern(-np.eye(64), "right", width=1)],
        EQUATION,
        **WORDS,
    ),
    "patterns, very tall": partial(
        plots.patterns, [Pattern(np.ones((50, 1)), "a column")], **WORDS
    ),
    "patterns, transposes": partial(
        plots.patterns, [Pattern(A, "A\u1d40"), Pattern(B, "B\u1d40")], **WORDS
    ),
    "product_figure": partial(plots.product_figure, A, B, X),
    "product_figure, A first": partial(plots.product_figure, np.transpose(A), np.transpose(B), X),
    "product_figure, large": partial(
        plots.product_figure, integers(3, 4), integers(4, 3), integers(12)
    ),
    "product_figure, 1 x 1": partial(plots.product_figure, [[2]], [[3]], [4]),
    "product_times": partial(
        plots.product_times,
        {"118 × 128": {"a": 2e-6, "b": 4e-8}, "32 × 48": {"a": 1e-6, "b": 3e-8}},
        WAYS,
    ),
    "rank_against_parameters": partial(plots.rank_against_parameters, 118, 128, gates=4),
    "rank_against_parameters, no other": partial(plots.rank_against_parameters, 178, 255, gates=4),
    "rank_against_parameters, primes": partial(plots.rank_against_parameters, 7, 13),
    "rounding_grids": partial(plots.rounding_grids, A, B),
    "rounding_grids, 5 bits": partial(
        plots.rounding_grids, RNG.normal(size=(5, 3)), RNG.normal(size=(2, 7)), 5
    ),
    "rounding_grids, 2 bits": partial(plots.rounding_grids, [[-1]], [[3]], 2),
    "search_progress": partial(
        plots.search_progress, {"kp": np.linspace(0.1, 0.3, 500), "dense": [0.1] * 500}
    ),
    "search_progress, no try": partial(plots.search_progress, {"kp": [0.0]}),
    "shape_map": partial(plots.shape_map, 118, 128, (59, 2, 2, 64)),
    "shape_map, hybrid": partial(plots.shape_map, 118, 128, rows=1),
    "shape_map, prime": partial(plots.shape_map, 179, 256),
    "shape_map, tall": partial(plots.shape_map, 600, 24),
    "shape_map, 1 x 1": partial(plots.shape_map, 1, 1),
    "shape_outlines": partial(
        plots.shape_outlines,
        [(6, 1, 1, 4), (3, 2, 2, 2), (3, 1, 2, 4), (6, 2, 1, 2), (2, 1, 3, 4), (6, 4, 1, 1)],
    ),
    "shape_outlines, one, large": partial(plots.shape_outlines, [(12, 12, 12, 12)]),
    "singular_value_spectra": partial(
        plots.singular_value_spectra,
        {"dense": range(118, 0, -1), "kp": [200.0] * 16 + [0.0] * 102},
        labels={"kp": "ours"},
    ),
    "sparse_stages": partial(
        plots.sparse_stages, integers(2, 3, least=1), -integers(4, 2, least=1)
    ),
    "sparse_stages, large": partial(
        plots.sparse_stages, integers(7, 4, least=1), integers(3, 8, least=1)
    ),
    "sparse_stages, 1 x 1": partial(plots.sparse_stages, [[2]], [[3]]),
    "state_norms": partial(
        plots.state_norms,
        {"some": np.outer(np.arange(1, 12), [1.0, 0.5, 0.25, 2.0]), "kept": np.ones((3, 4))},
    ),
    "storage_sizes": partial(
        plots.storage_sizes,
        {
            "dense": ("baseline", 249_264, 62_316),
            "pruned, stored": ("pruned", 18_000, 7_000),
            "Kronecker": ("kp", 15_664, 3_916),
        },
        limit=32 * 1024,
        limit_name="Flash of an Arduino Uno",
    ),
    "storage_sizes, one": partial(
        plots.storage_sizes, {"it": ("small", 1, 1)}, limit=1, limit_name="One byte"
    ),
    "storage_sizes, close": partial(
        plots.storage_sizes, {"it": ("pruned", 20_000, 13_000)}, limit=32_768, limit_name="A chip"
    ),
    "trained_conditioning": partial(
        plots.trained_conditioning,
        {"pruned": [(8.0, 16.0), (8.9, 9.7)], "lmf": [(23.0, 1.3)]},
        {"pruned": [(13.0, 258.0)], "lmf": [(176.0, 2.4)], "kp": [(18.0, 13.0)]},
        names=("as published", "again"),
    ),
    "trained_conditioning, one": partial(
        plots.trained_conditioning, {"kp": [(1, 1)]}, {}, names=("once", "again")
    ),
    "trained_spectra": partial(
        plots.trained_spectra,
        {"baseline": [np.geomspace(30, 1, 32)] * 2, "kp": [np.geomspace(20, 2, 16)]},
    ),
    "trained_spectra, one": partial(plots.trained_spectra, {"lmf": [[2.0]]}),
    "training_curves": partial(plots.training_curves, RUNS),
    "training_curves, one epoch": partial(plots.training_curves, {"hkp": [0.0], "lmf": [1.0]}),
    "bandwidth_by_size": partial(
        plots.bandwidth_by_size,
        {1 << k: 4e11 / (k - 10) for k in range(12, 26)},
        {"USPS-FastRNN": (6144, 320), "HAR1-BiLSTM": (1466368, 43808)},
    ),
    "bandwidth_by_size, one": partial(plots.bandwidth_by_size, {4096: 1e9}, {"a": (2, 1)}),
    "instruction_savings": partial(
        plots.instruction_savings,
        {
            "KWS-LSTM": {"small": 10.6, "pruned": 1.9, "lmf": 6.0, "kp": 4.0, "hkp": 3.4},
            "USPS-FastRNN": {"small": 2.2, "pruned": 0.8, "lmf": 2.7, "kp": 2.1},
        },
    ),
    "instruction_savings, one": partial(plots.instruction_savings, {"it": {"kp": 1.0}}),
    "modelled_roofline": partial(
        plots.modelled_roofline,
        {"A53, A72, A73": 8.0, "A76": 16.0},
        ("A72", 16.0, 8.0),
        {
            "dense": [("KWS", 0.52, 4.8, 6.1), ("USPS", 0.47, 4.0, 5.0)],
            "kp": [("KWS", 1.2, 1.9, 3.8), ("MNIST", 1.6, 2.0, 4.1)],
            "lmf": [("KWS", 0.83, 1.8, 3.8)],
        },
    ),
    "modelled_roofline, one": partial(
        plots.modelled_roofline, {"A": 8.0}, ("B", 4.0, 8.0), {"hkp": [("it", 1.0, 2.0, 2.0)]}
    ),
    "predicted_speed_ups": partial(
        plots.predicted_speed_ups,
        {
            name: ({"by fmla": 6.7, "by instructions": 4.0, "model": 4.2, "waiting": 2.7}, measured)
            for name, measured in (("KWS-LSTM", 1.53), ("KWS-GRU, 1 layer", None))
        },
    ),
    "predicted_speed_ups, one": partial(plots.predicted_speed_ups, {"it": ({"so": 1.0}, 1.0)}),
    "keyword_maps": partial(
        plots.keyword_maps,
        {name: RNG.normal(size=(25, 10)) for name in ("up", "down", "stop", "go")},
        seconds=1.0,
    ),
    "keyword_maps, one": partial(plots.keyword_maps, {"up": [[1.0]]}, seconds=0.01),
    "keyword_stream": partial(
        plots.keyword_stream,
        RNG.normal(size=(120, 10)),
        {name: RNG.uniform(0, 1, 120) for name in ("up", "down", "stop", "go")},
        [(0.5, 1.1, "up"), (1.6, 2.1, "stop"), (2.8, 3.4, "go")],
        seconds=4.8,
    ),
    "keyword_stream, one": partial(
        plots.keyword_stream, [[1.0]], {"up": [1.0]}, [(0.0, 0.04, "up")], seconds=0.04
    ),
    "roofline": partial(
        plots.roofline,
        252.0,
        {"16 KB": 470.0, "256 KB": 180.0, "32 MB": 37.0},
        {
            "dense": ("dense", 0.49, 84.0),
            "Kronecker": ("kp", 0.8, 100.0),
            "low rank": ("lmf", 0.43, 90.0),
            "pruned": ("pruned", 0.3, 3.0),
            "NumPy, dense": ("dense", 0.49, 32.0),
            "NumPy, Kronecker": ("kp", 0.8, 1.3),
        },
        hollow=("NumPy, dense", "NumPy, Kronecker"),
    ),
    "rooms": partial(plots.rooms),
    "roofline, even bandwidths": partial(
        plots.roofline, 25.0, {"16 KB": 50.0, "256 KB": 49.0}, {"a": ("kp", 0.5, 24.0)}
    ),
    "roofline, one": partial(plots.roofline, 4, {"one": 1}, {"a": ("kp", 4.0, 1e-3)}),
    "speed_ups_against_counts": partial(
        plots.speed_ups_against_counts,
        {
            "small": [("KWS", 16.0, 13.3), ("MNIST", 11.0, 8.0)],
            "pruned": [("KWS", 29.0, 4.55)],
            "lmf": [("KWS", 25.2, 6.47)],
            "kp": [("KWS", 12.6, 1.53), ("MNIST", 5.4, 1.14)],
        },
    ),
    "speed_ups_against_counts, one": partial(
        plots.speed_ups_against_counts, {"kp": [("KWS", 1.0, 1.0)]}
    ),
    "errors_by_length": partial(
        plots.errors_by_length,
        {"kp": [(30, 3.4), (150, 2.5), (150, 2.3)], "small": [(30, 5.2), (150, 5.0)]},
        {"kp": [(5000, 1.72)]},
    ),
    "errors_by_length, one": partial(plots.errors_by_length, {"kp": [(30, 3.0)]}, unit="steps"),
    "state_contents": partial(
        plots.state_contents,
        np.linspace(0.3, 1, 64),
        {"small": [(7, 0.4), (7, 0.42)], "kp": [(40, 0.6)], "lmf": [(40, 0.5)]},
    ),
    "step_weights": partial(plots.step_weights, {"baseline": (-3.0, 3.0), "kp": (0.0, 2.0)}, 16),
    "stored_times": partial(
        plots.stored_times,
        {"baseline": [("KWS", 3e5, 0.67), ("MNIST", 5e4, 1.4)], "kp": [("KWS", 2e4, 1.2)]},
        49152,
    ),
    "stored_times, one": partial(plots.stored_times, {"kp": [("KWS", 1e6, 1.0)]}, 1024),
    "trained_shares": partial(
        plots.trained_shares,
        {"kp": [(0.1, 90.0), (0.15, 92.5)], "lmf": [(0.2, 84.0)]},
        {"kp": [(0.6, 95.0)], "baseline": [(0.3, 98.0)]},
        (0.05, 0.5),
        names=("once", "again"),
    ),
    "version_times": partial(
        plots.version_times, {"1 loops": 3.7e-6, "2 sizes known": 1.3e-6, "3 packed": 2e-8}
    ),
    "version_times, one": partial(plots.version_times, {"it": 1e-9}),
    "version_times, close": partial(plots.version_times, {"a": 7.5e-8, "compile_kron": 7.9e-8}),
    "version_times, slow": partial(plots.version_times, {"a": 2.0, "compile_kron": 2e-8}),
    "window_weights": partial(plots.window_weights, 0.8, 16),
}
every_picture = pytest.mark.parametrize("name", PICTURES)


@pytest.fixture(scope="module")
def picture():
    made = {}

    def make(name):
        if name not in made:
            made[name] = PICTURES[name]()
        return made[name]

    return make


def test_every_figure_is_checked_here():
    public = (getattr(plots, name) for name in plots.__all__)
    figures = {
        one.__name__
        for one in public
        if inspect.isfunction(one) and inspect.signature(one).return_annotation is plots.Picture
    }
    assert {make.func.__name__ for make in PICTURES.values()} == figures
    for name, make in PICTURES.items():
        assert name.partition(",")[0] == make.func.__name__


@every_picture
def test_says_what_it_shows(picture, name):
    root = ElementTree.fromstring(picture(name).svg)
    namespace = "{http://www.w3.org/2000/svg}"
    title, description = root[0], root[1]
    assert (title.tag, description.tag) == (f"{namespace}title", f"{namespace}desc")
    assert title.text == picture(name).title
    assert len(description.text) > 15
    assert root.get("role") == "img"
    assert root.get("aria-labelledby").split() == [title.get("id"), description.get("id")]


@every_picture
def test_text_and_lines_take_the_colour_of_the_page(picture, name):
    svg = picture(name).svg
    assert "currentColor" in svg
    colors = set(re.findall(r"#[0-9a-f]{6}\b", re.sub(r'href="[^"]*"', "", svg)))
    assert colors <= set(plots.PALETTE.values())
    # matplotlib leaves text in black without a fill: it would not follow a dark page
    for element in ElementTree.fromstring(svg).iter():
        if (element.get("id") or "").split("-")[-1].startswith("text"):
            assert "currentColor" in (element.get("style") or "")


@every_picture
def test_glyphs_are_filled_with_ink(picture, name):
    texts = [t for t in picture(name).figure.findobj(Text) if t.get_visible() and t.get_text()]
    assert texts
    assert {to_hex(text.get_color()) for text in texts} == {plots.style.INK}


@every_picture
def test_markup_fits_into_a_page(picture, name):
    svg = picture(name).svg
    assert svg.startswith("<svg ")
    for unwanted in ("<?xml", "<!DOCTYPE", "<metadata", "<style", "xlink:", "ns0:", "rdf:"):
        assert unwanted not in svg
    identities = re.findall(r'\bid="([^"]+)"', svg)
    assert len(identities) == len(set(identities))
    used = set(re.findall(r'href="#([^"]+)"', svg)) | set(re.findall(r"url\(#([^)]+)\)", svg))
    assert used <= set(identities)
    assert len(svg) < 250_000


def test_pictures_on_one_page_share_no_id(picture):
    every = [set(re.findall(r'\bid="([^"]+)"', picture(name).svg)) for name in PICTURES]
    assert sum(map(len, every)) == len(set.union(*every))


def test_the_same_figure_gives_the_same_bytes():
    one, other = (plots.product_figure(A, B, X) for _ in range(2))
    assert one.svg == other.svg
    assert one.png == other.png


@every_picture
def test_no_text_is_clipped_or_laid_over_another(picture, name, monkeypatch):
    figure, drawn = picture(name).figure, []
    draw = Text.draw

    def draw_and_note(text, renderer):
        if text.get_visible() and text.get_text().strip():
            drawn.append((text.get_text(), text.get_window_extent(renderer)))
        draw(text, renderer)

    monkeypatch.setattr(Text, "draw", draw_and_note)
    FigureCanvasAgg(figure).draw()
    boxes = list({(text, box.x0, box.y0): (text, box) for text, box in drawn}.values())
    assert boxes
    frame = figure.bbox
    for text, box in boxes:
        assert frame.x0 <= box.x0 <= box.x1 <= frame.x1, text
        assert frame.y0 <= box.y0 <= box.y1 <= frame.y1, text
    for (one, a), (other, b) in itertools.combinations(boxes, 2):
        across = min(a.x1, b.x1) - max(a.x0, b.x0)
        down = min(a.y1, b.y1) - max(a.y0, b.y0)
        assert min(across, down) <= 1, (one, other)


@every_picture
def test_everything_drawn_lies_inside_the_figure(picture, name):
    figure = picture(name).figure
    FigureCanvasAgg(figure).draw()
    box = figure.get_tightbbox()  # in inches; without the ticks that an axis does not show
    assert min(box.x0, box.y0) >= -0.01
    assert box.x1 <= figure.get_figwidth() + 0.01
    assert box.y1 <= figure.get_figheight() + 0.01


@every_picture
def test_text_is_legible_on_a_phone(picture, name):
    figure = picture(name).figure
    width = figure.get_figwidth()
    if name != "product_figure, large":  # as many numbers as it takes
        assert width < 1.1 * plots.style.WIDTH
    shrunk = min(1.0, 350 / (width * 96))  # 390 pixels less the page's margins
    sizes = [t.get_fontsize() for t in figure.findobj(Text) if t.get_text().strip()]
    assert min(sizes) * 96 / 72 * shrunk >= (9 if shrunk > 0.9 else 6)


@every_picture
def test_notebook_gets_page_print_and_text(picture, name):
    bundle = picture(name)._repr_mimebundle_()
    assert set(bundle) == {"text/html", "image/png", "text/plain"}
    assert bundle["image/png"].startswith(b"\x89PNG")
    assert picture(name).svg in bundle["text/html"]
    assert picture(name).description in bundle["text/plain"]
