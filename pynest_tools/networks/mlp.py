# SPDX-License-Identifier: GPL-2.0-or-later
"""Weights and biases of a conventional network, for a circuit that then predicts what the network does."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import UserError
from .backend import Weights
from .microcircuit import Microcircuit
from .weights import initial_weights, self_predicting_weights, transposed, weight_limits

#: Transfer functions that are activations of scikit-learn's networks.
ACTIVATIONS = {"logistic": "logistic", "relu": "threshold-linear"}


def weights_from_mlp(mlp: Any, circuit: Microcircuit, seed: int = 0) -> Weights:
    """Load a trained multi-layer perceptron into a circuit, whose dendritic predictions are then the network's activations.

    Parameters
    ----------
    mlp : sklearn.neural_network.MLPRegressor or MLPClassifier
        A fitted network with the activation "relu" or "logistic"; of its outputs the circuit takes what goes into the last
        activation, such as the logits of classes.
    circuit : Microcircuit
        With the network's layers, ``neuron.transfer`` "threshold-linear" for "relu" or "logistic" for "logistic", and
        ``bias_rate`` > 0 for the biases. Its inputs are the network's features as rates (1/ms).
    seed : int
        Of `down`, unless it is aligned.

    Returns
    -------
    Weights
        Normalised (mV ms), with interneurons that predict. With x what goes into the activation of a cell of the network,
        u = x / beta + theta in hidden layers and u = x in the output (mV). So W = C^T / (alpha beta gamma') for its coefficients C,
        where alpha = v^ / v_b and gamma' is the scale of the layer below (1 for inputs); and the bias b has the weight
        (b / beta + theta) / (alpha bias_rate).

    Raises
    ------
    UserError
        If the network does not fit the circuit, or needs larger weights than it allows.
    """
    activation = ACTIVATIONS.get(getattr(mlp, "activation", ""))
    if activation is None or not hasattr(mlp, "coefs_"):
        raise UserError(
            "weights_from_mlp needs a fitted MLPRegressor or MLPClassifier of scikit-learn with activation relu or logistic, got "
            f"{mlp!r}"
        )
    if circuit.neuron.transfer != activation:
        raise UserError(
            f'the activation {mlp.activation} is neuron.transfer = "{activation}", but the circuit has "{circuit.neuron.transfer}"'
        )
    sizes = (mlp.coefs_[0].shape[0], *(matrix.shape[1] for matrix in mlp.coefs_))
    if sizes != circuit.sizes:
        raise UserError(f"the network has layers {list(sizes)}, but the circuit has sizes {list(circuit.sizes)}")
    if circuit.has_missing_synapses:
        raise UserError(
            "weights_from_mlp needs all synapses, but the circuit lacks some: set network.connectivity back"
        )
    up, scale = [], 1.0
    for k, (matrix, biases, neuron, alpha) in enumerate(
        zip(mlp.coefs_, mlp.intercepts_, circuit.neurons, circuit.prediction_factors, strict=True)
    ):
        beta, theta = (1.0, 0.0) if k == circuit.n_hidden else (neuron.beta, neuron.theta)
        columns = [matrix.T / (alpha * beta * scale)]
        bias = biases / beta + theta
        if circuit.bias_rate > 0.0:
            columns.append(bias[:, np.newaxis] / (alpha * circuit.bias_rate))
        elif np.any(bias != 0.0):
            raise UserError("the network has biases, and the circuit none: set bias_rate, for instance to 1.0")
        net = np.concatenate(columns, axis=1)
        up.append(np.concatenate([np.maximum(net, 0.0), np.minimum(net, 0.0)], axis=1) if circuit.dale else net)
        scale = neuron.gamma
    for k, (matrix, (low, high)) in enumerate(zip(up, weight_limits(circuit)["up"], strict=True), start=1):
        if np.any((matrix < low) | (matrix > high)):
            raise UserError(
                f"up_{k} would need weights from {matrix.min():.3g} to {matrix.max():.3g} mV ms, but plasticity.Wmin and Wmax are "
                f"{circuit.plasticity.Wmin} and {circuit.plasticity.Wmax} mV ms: widen them"
            )
    drawn = initial_weights(circuit, np.random.default_rng(seed))
    down = transposed(up, circuit) if circuit.weights.aligned else drawn.down
    return self_predicting_weights(Weights(up=up, ip=drawn.ip, pi=drawn.pi, down=down), circuit)
