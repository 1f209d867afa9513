"""The book's figures in one style, for light pages and dark ones, for wide screens and phones.

Every function returns a `Picture`: one SVG inside the page whose text and lines take the colour of
the text around it, with a title and a description for those who do not see it. The data have the
colours of `PALETTE`, which read on white and on black and stay apart for colour-blind readers;
markers and labels say the same once more. Importing this module changes no setting of matplotlib.

Needs matplotlib and torch, of the extra ``book``.
"""

import importlib.util

from kplib.errors import MissingExtraError

if importlib.util.find_spec("matplotlib") is None:
    raise MissingExtraError("matplotlib", "book")
if importlib.util.find_spec("torch") is None:
    raise MissingExtraError("torch", "book")

from kplib.plots.bits import accuracy_by_bits, bits_changes, rounding_grids, stored_times
from kplib.plots.board import (
    device_memory,
    instruction_savings,
    modelled_roofline,
    predicted_speed_ups,
)
from kplib.plots.budget import memory_budget
from kplib.plots.cells import accuracies_by_cell, cell_flow, gate_activations
from kplib.plots.chains import (
    determinant_paths,
    factor_movement,
    loss_curves,
    movement_in_training,
    state_norms,
)
from kplib.plots.charts import comparison, training_curves
from kplib.plots.data import (
    best_of_several,
    feature_chain,
    fold_accuracies,
    learning_rates,
)
from kplib.plots.directions import window_weights
from kplib.plots.fastrnn import step_weights, trained_shares
from kplib.plots.fronts import accuracy_fronts
from kplib.plots.hybrid import accuracy_against_rows, hybrid_blocks, hybrid_sizes
from kplib.plots.kernels import version_times
from kplib.plots.keywords import keyword_maps, keyword_stream
from kplib.plots.lengths import errors_by_length
from kplib.plots.matrices import kron_blocks, product_figure
from kplib.plots.memory import lstm_memory
from kplib.plots.nearest import caught_against_numbers, late_starts, search_progress
from kplib.plots.pattern import Pattern, kron_entry, patterns
from kplib.plots.picture import Picture
from kplib.plots.products import image_transform, product_times, sparse_stages
from kplib.plots.ranks import accuracy_by_rank
from kplib.plots.results import (
    accuracy_differences,
    accuracy_plane,
    confusion_matrix,
    learning_curves,
)
from kplib.plots.roofline import bandwidth_by_size, roofline, speed_ups_against_counts
from kplib.plots.rooms import rooms
from kplib.plots.shapes import hidden_size_costs, macs_and_times, shape_map, shape_outlines
from kplib.plots.sizes import (
    accuracy_against_size,
    parameter_shares,
    storage_sizes,
)
from kplib.plots.spectra import (
    approximation_shares,
    bottlenecks,
    condition_number_ranges,
    rank_against_parameters,
    singular_value_spectra,
)
from kplib.plots.states import state_contents
from kplib.plots.style import MARKERS, PALETTE, technique, use_style
from kplib.plots.trained import trained_conditioning, trained_spectra

__all__ = [
    "MARKERS",
    "PALETTE",
    "Pattern",
    "Picture",
    "accuracies_by_cell",
    "accuracy_against_rows",
    "accuracy_against_size",
    "accuracy_by_bits",
    "accuracy_by_rank",
    "accuracy_differences",
    "accuracy_fronts",
    "accuracy_plane",
    "approximation_shares",
    "bandwidth_by_size",
    "best_of_several",
    "bits_changes",
    "bottlenecks",
    "caught_against_numbers",
    "cell_flow",
    "comparison",
    "condition_number_ranges",
    "confusion_matrix",
    "determinant_paths",
    "device_memory",
    "errors_by_length",
    "factor_movement",
    "feature_chain",
    "fold_accuracies",
    "gate_activations",
    "hidden_size_costs",
    "hybrid_blocks",
    "hybrid_sizes",
    "image_transform",
    "instruction_savings",
    "keyword_maps",
    "keyword_stream",
    "kron_blocks",
    "kron_entry",
    "late_starts",
    "learning_curves",
    "learning_rates",
    "loss_curves",
    "lstm_memory",
    "macs_and_times",
    "memory_budget",
    "modelled_roofline",
    "movement_in_training",
    "parameter_shares",
    "patterns",
    "predicted_speed_ups",
    "product_figure",
    "product_times",
    "rank_against_parameters",
    "roofline",
    "rooms",
    "rounding_grids",
    "search_progress",
    "shape_map",
    "shape_outlines",
    "singular_value_spectra",
    "sparse_stages",
    "speed_ups_against_counts",
    "state_contents",
    "state_norms",
    "step_weights",
    "storage_sizes",
    "stored_times",
    "technique",
    "trained_conditioning",
    "trained_shares",
    "trained_spectra",
    "training_curves",
    "use_style",
    "version_times",
    "window_weights",
]
