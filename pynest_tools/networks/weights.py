# SPDX-License-Identifier: GPL-2.0-or-later
"""Initial weights, the self-predicting state, and weights by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..errors import UserError
from ..memory import require_memory
from .backend import FloatArray, Weights
from .microcircuit import Microcircuit, NeuronParameters


def weight_shapes(sizes: Sequence[int]) -> dict[str, list[tuple[int, int]]]:
    """Shape (post, pre) of every weight matrix, by projection and layer.

    Parameters
    ----------
    sizes : sequence of int
        Cells per layer: inputs, hidden layers, outputs.
    """
    layers = range(1, len(sizes))
    hidden = range(1, len(sizes) - 1)
    return {
        "up": [(sizes[k], sizes[k - 1]) for k in layers],
        "ip": [(sizes[k + 1], sizes[k]) for k in hidden],
        "pi": [(sizes[k], sizes[k + 1]) for k in hidden],
        "down": [(sizes[k], sizes[k + 1]) for k in hidden],
    }


def require_memory_for(sizes: Sequence[int]) -> None:
    """Raise UserError if the weights of a circuit, 8 bytes each, do not fit in memory a few times."""
    n = sum(post * pre for shapes in weight_shapes(sizes).values() for post, pre in shapes)
    require_memory(8.0 * n, f"a circuit of sizes {list(sizes)}, with {n:.3g} weights,")


def initial_weights(circuit: Microcircuit, rng: np.random.Generator) -> Weights:
    """Draw all weights uniformly, then make them aligned and self-predicting if the circuit asks for it.

    Parameters
    ----------
    circuit : Microcircuit
        Sizes and the bounds of the initial weights (normalised, mV ms).
    rng : numpy.random.Generator
        Source of randomness. `up` and `down` come out the same with and without self-prediction, and all that is drawn is the same
        with and without alignment.

    Returns
    -------
    Weights
        Normalised (mV ms), [post, pre].
    """
    require_memory_for(circuit.sizes)
    shapes = weight_shapes(circuit.sizes)
    drawn = {
        name: [rng.uniform(-bound, bound, size=shape) for bound, shape in zip(bounds, shapes[name], strict=True)]
        for name, bounds in circuit.weight_bounds.items()
    }
    weights = Weights(**drawn)
    if circuit.weights.aligned:
        weights = aligned_weights(weights, circuit)
    return self_predicting_weights(weights, circuit.neuron) if circuit.weights.self_predicting else weights


def aligned_weights(weights: Weights, circuit: Microcircuit) -> Weights:
    """Set the feedback to the scaled transpose of the forward weights: weight symmetry at birth, and no transport later.

    Parameters
    ----------
    weights : Weights
        `up`, `ip` and `pi` are kept (normalised, mV ms).
    circuit : Microcircuit
        The bounds of its initial weights (mV ms).

    Returns
    -------
    Weights
        With W_down,k = (bound of down_k / bound of up_{k+1}) W_up,k+1^T, which is within its bound as if it were drawn.
    """
    bounds = circuit.weight_bounds
    scales = [down / up for down, up in zip(bounds["down"], bounds["up"][1:], strict=True)]
    down = [np.ascontiguousarray(scale * up.swapaxes(-1, -2)) for scale, up in zip(scales, weights.up[1:], strict=True)]
    return replace(weights, down=down)


def self_predicting_weights(weights: Weights, neuron: NeuronParameters) -> Weights:
    """Set the interneurons' weights so that the circuit predicts its own top-down input.

    In this state, without a target, interneurons copy the next layer's potentials, the apical dendrites
    stay at rest, and every error is zero, whatever the input.

    Parameters
    ----------
    weights : Weights
        `up` and `down` are kept (normalised, mV ms).
    neuron : NeuronParameters
        Conductances of all layers (nS).

    Returns
    -------
    Weights
        The same `up` and `down` with W_pi = -W_down and
        W_ip = W_up(k+1) * (g_L + g_b) / (g_L + g_b + g_a(k+1)), where g_a = 0 in the output layer
        (`NeuronParameters.interneuron_factors`; Sacramento et al. 2018; Haider et al. 2021).
    """
    next_up = weights.up[1:]
    factors = neuron.interneuron_factors(len(next_up))
    return Weights(
        up=weights.up,
        ip=[up * factor for up, factor in zip(next_up, factors, strict=True)],
        pi=[-down for down in weights.down],
        down=weights.down,
    )


def weights_from(arrays: Mapping[str, FloatArray], sizes: Sequence[int], path: Path) -> Weights:
    """Weights of a circuit from arrays up_1, up_2, ..., down_1.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        Normalised weights (mV ms), [post, pre].
    sizes : sequence of int
        Cells per layer that they must fit.
    path : Path
        Where they are from, for messages.

    Raises
    ------
    UserError
        If a matrix is missing, has another shape, or holds what is no finite number.
    """
    found: dict[str, list[FloatArray]] = {}
    for projection, shapes in weight_shapes(sizes).items():
        found[projection] = []
        for layer, shape in enumerate(shapes, start=1):
            matrix = arrays.get(f"{projection}_{layer}")
            if matrix is None or matrix.shape != shape:
                got = "is missing" if matrix is None else f"has shape {matrix.shape}"
                raise UserError(
                    f"{projection}_{layer} in {path} {got}, but sizes {list(sizes)} need {shape} "
                    "(post, pre); use the weights and the config.toml of the same run"
                )
            if matrix.dtype.kind != "f" or not np.all(np.isfinite(matrix)):
                raise UserError(f"{projection}_{layer} in {path} holds what is no finite number: the file is damaged")
            found[projection].append(matrix)
    return Weights(**found)
