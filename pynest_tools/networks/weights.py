# SPDX-License-Identifier: GPL-2.0-or-later
"""Initial weights, the self-predicting state, and weights by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from ..errors import UserError
from ..memory import require_memory
from .backend import FloatArray, Weights
from .microcircuit import Microcircuit


def weight_shapes(circuit: Microcircuit) -> dict[str, list[tuple[int, int]]]:
    """Shape (post, pre) of every weight matrix, by projection and layer.

    Parameters
    ----------
    circuit : Microcircuit
        Its sizes. The columns of `up` and `ip` are the presynaptic cells of a layer: first its inputs or pyramidal cells, then, if
        there are biases, the always-active cell, then, if it obeys Dale's law, the inhibitory partners of all these.
    """
    sizes, sources = circuit.sizes, circuit.n_sources
    layers = range(1, len(sizes))
    hidden = range(1, len(sizes) - 1)
    return {
        "up": [(sizes[k], sources[k - 1]) for k in layers],
        "ip": [(sizes[k + 1], sources[k]) for k in hidden],
        "pi": [(sizes[k], sizes[k + 1]) for k in hidden],
        "down": [(sizes[k], sizes[k + 1]) for k in hidden],
    }


def require_memory_for(circuit: Microcircuit) -> None:
    """Raise UserError if the weights of a circuit, 8 bytes each, do not fit in memory a few times."""
    n = sum(post * pre for shapes in weight_shapes(circuit).values() for post, pre in shapes)
    require_memory(8.0 * n, f"a circuit of sizes {list(circuit.sizes)}, with {n:.3g} weights,")


def initial_weights(circuit: Microcircuit, rng: np.random.Generator) -> Weights:
    """Draw all weights uniformly, then make them aligned and self-predicting if the circuit asks for it.

    Parameters
    ----------
    circuit : Microcircuit
        Sizes and the bounds of the initial weights (normalised, mV ms).
    rng : numpy.random.Generator
        Source of randomness. `up` and `down` come out the same with and without self-prediction, and all that is drawn is the same
        with and without alignment, biases, missing synapses and Dale's law.

    Returns
    -------
    Weights
        Normalised (mV ms), [post, pre]; NaN where there is no synapse. With Dale's law, what is drawn is split into what pyramidal
        cells add and what their inhibitory partners subtract; feedback is excitatory.
    """
    require_memory_for(circuit)
    sizes = circuit.sizes
    shapes = {  # of the cells alone
        "up": [(post, pre) for pre, post in pairwise(sizes)],
        "down": [(post, pre) for post, pre in pairwise(sizes[1:])],
        "ip": [(post, pre) for pre, post in pairwise(sizes[1:])],
        "pi": [(post, pre) for post, pre in pairwise(sizes[1:])],
    }
    drawn: dict[str, list[FloatArray]] = {}
    for name, bounds in circuit.weight_bounds.items():
        drawn[name] = [rng.uniform(-bound, bound, shape) for bound, shape in zip(bounds, shapes[name], strict=True)]
    if circuit.bias_rate > 0.0:
        for bound, name, k in _biases(circuit):
            column = rng.uniform(-bound, bound, (len(drawn[name][k]), 1))
            drawn[name][k] = np.concatenate([drawn[name][k], column], axis=1)
    if circuit.dale:
        for name in ("up", "ip"):
            drawn[name] = [np.concatenate([np.maximum(m, 0.0), np.minimum(m, 0.0)], axis=1) for m in drawn[name]]
        drawn["down"], drawn["pi"] = [np.abs(m) for m in drawn["down"]], [-np.abs(m) for m in drawn["pi"]]
    weights = Weights(**drawn)
    if circuit.weights.aligned or circuit.plasticity.down == "transpose":
        weights = replace(weights, down=transposed(weights.up, circuit))
    weights = _without_missing(weights, circuit, rng)
    return self_predicting_weights(weights, circuit) if circuit.weights.self_predicting else weights


def _biases(circuit: Microcircuit) -> Iterator[tuple[float, str, int]]:
    """Bound, projection and place of the biases, of interneurons as of the layer that they predict (mV ms)."""
    bounds = circuit.weights.bias
    bounds = bounds * (circuit.n_hidden + 1) if len(bounds) == 1 else bounds
    yield from ((bound, "up", k) for k, bound in enumerate(bounds))
    yield from ((bound, "ip", k) for k, bound in enumerate(bounds[1:]))


def _without_missing(weights: Weights, circuit: Microcircuit, rng: np.random.Generator) -> Weights:
    """Take away the synapses that do not exist; a bias always exists."""
    there = circuit.connectivity
    if not circuit.has_missing_synapses:
        return weights
    found = weights.copy()
    for name in ("up", "down", "ip", "pi"):
        shares, matrices = getattr(there, name), getattr(found, name)
        if isinstance(shares, str):
            models = found.up[1:] if name == "ip" else found.down
            for matrix, model in zip(matrices, models, strict=True):
                matrix[np.isnan(model)] = np.nan
            continue
        shares = shares * len(matrices) if len(shares) == 1 else shares
        for k, (p, matrix) in enumerate(zip(shares, matrices, strict=True)):
            missing = rng.random(matrix.shape) >= p
            if name in ("up", "ip") and circuit.bias_rate > 0.0:
                n_cells = circuit.sizes[k + (name == "ip")]
                missing[:, n_cells :: n_cells + 1] = False
            matrix[missing] = np.nan
    return found


def forward_weights(up: FloatArray, circuit: Microcircuit, layer: int) -> FloatArray:
    """What the cells of a layer together with their inhibitory partners bring to the next one, without biases (mV ms).

    Parameters
    ----------
    up : ndarray, shape (..., post, pre)
        `up` of the next layer; missing synapses count as 0.
    circuit : Microcircuit
        Its sizes.
    layer : int
        Of the presynaptic cells, 0 for the inputs.
    """
    n = circuit.sizes[layer]
    up = np.nan_to_num(up)
    if not circuit.dale:
        return up[..., :n]
    half = up.shape[-1] // 2
    total: FloatArray = up[..., :n] + up[..., half : half + n]
    return total


def transposed(up: Sequence[FloatArray], circuit: Microcircuit) -> list[FloatArray]:
    """Feedback that is the scaled transpose of the forward weights.

    Parameters
    ----------
    up : sequence of ndarray, shape (..., post, pre)
        Forward weights of all layers (normalised, mV ms).
    circuit : Microcircuit
        The bounds of its initial weights (mV ms).

    Returns
    -------
    list of ndarray, shape (..., post, pre)
        W_down,k = (bound of down_k / bound of up_{k+1}) W_up,k+1^T, which is within its bound as if it were drawn; with Dale's law
        its positive part.
    """
    bounds = circuit.weight_bounds
    found = []
    for k, (down, bound) in enumerate(zip(bounds["down"], bounds["up"][1:], strict=True), start=1):
        matrix = np.ascontiguousarray(down / bound * forward_weights(up[k], circuit, k).swapaxes(-1, -2))
        found.append(np.maximum(matrix, 0.0) if circuit.dale else matrix)
    return found


def with_transposed_feedback(weights: Weights, circuit: Microcircuit) -> Weights:
    """The same weights with the feedback that they would need, a yardstick for feedback that learns.

    Parameters
    ----------
    weights : Weights
        `up` and `ip` are kept (normalised, mV ms).
    circuit : Microcircuit
        Bounds of its initial weights (mV ms).

    Returns
    -------
    Weights
        `down` is `transposed`; it has no synapse where it had none. If the circuit began self-predicting and `pi` does not learn, `pi`
        goes on to cancel `down`.
    """
    down = [
        np.where(np.isnan(before), np.nan, after)
        for before, after in zip(weights.down, transposed(weights.up, circuit), strict=True)
    ]
    changed = replace(weights, down=down)
    if not circuit.weights.self_predicting or max(circuit.eta_pi) > 0.0:
        return changed
    return replace(changed, pi=self_predicting_weights(changed, circuit).pi)


def self_predicting_weights(weights: Weights, circuit: Microcircuit) -> Weights:
    """Set the interneurons' weights so that the circuit predicts its own top-down input.

    In this state, without a target, interneurons copy the next layer's potentials, the apical dendrites
    stay at rest, and every error is zero, whatever the input.

    Parameters
    ----------
    weights : Weights
        `up` and `down` are kept (normalised, mV ms).
    circuit : Microcircuit
        Conductances of its cells (nS).

    Returns
    -------
    Weights
        The same `up` and `down` with W_pi = -(g_t / g_a) W_down, or -W_down without a tuft, and
        W_ip = W_up(k+1) * (g_L + g_b) / (g_L + g_b + g_a(k+1) + g_t(k+1)), where g_a = g_t = 0 in the output layer
        (`Microcircuit.interneuron_factors`; Sacramento et al. 2018; Haider et al. 2021).
    """
    return Weights(
        up=weights.up,
        ip=[up * factor for up, factor in zip(weights.up[1:], circuit.interneuron_factors, strict=True)],
        pi=[-factor * down for down, factor in zip(weights.down, circuit.lateral_factors, strict=True)],
        down=weights.down,
    )


def weight_limits(circuit: Microcircuit) -> dict[str, list[tuple[FloatArray, FloatArray]]]:
    """Smallest and largest value of each weight that learns, by projection and layer (normalised, mV ms).

    Each a row that broadcasts over [post, pre]: Wmin and Wmax, and with Dale's law no weight changes its sign.
    """
    low, high = circuit.plasticity.Wmin, circuit.plasticity.Wmax
    found: dict[str, list[tuple[FloatArray, FloatArray]]] = {}
    for name, shapes in weight_shapes(circuit).items():
        found[name] = []
        for _, pre in shapes:
            lows, highs = np.full((1, pre), low), np.full((1, pre), high)
            if circuit.dale:
                excitatory = pre // 2 if name in ("up", "ip") else {"down": pre, "pi": 0}[name]
                lows[:, :excitatory], highs[:, excitatory:] = max(low, 0.0), min(high, 0.0)
            found[name].append((lows, highs))
    return found


def weights_from(arrays: Mapping[str, FloatArray], circuit: Microcircuit, path: Path) -> Weights:
    """Weights of a circuit from arrays up_1, up_2, ..., down_1.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        Normalised weights (mV ms), [post, pre].
    circuit : Microcircuit
        What they must fit.
    path : Path
        Where they are from, for messages.

    Raises
    ------
    UserError
        If a matrix is missing, has another shape, or holds what is no finite number.
    """
    found: dict[str, list[FloatArray]] = {}
    for projection, shapes in weight_shapes(circuit).items():
        found[projection] = []
        for layer, shape in enumerate(shapes, start=1):
            matrix = arrays.get(f"{projection}_{layer}")
            if matrix is None or matrix.shape != shape:
                got = "is missing" if matrix is None else f"has shape {matrix.shape}"
                raise UserError(
                    f"{projection}_{layer} in {path} {got}, but sizes {list(circuit.sizes)} need {shape} "
                    "(post, pre); use the weights and the config.toml of the same run"
                )
            if matrix.dtype.kind != "f" or np.any(
                np.isinf(matrix) if circuit.has_missing_synapses else ~np.isfinite(matrix)
            ):
                raise UserError(f"{projection}_{layer} in {path} holds what is no finite number: the file is damaged")
            found[projection].append(matrix)
    return Weights(**found)
