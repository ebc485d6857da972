# SPDX-License-Identifier: GPL-2.0-or-later
"""What is said of a network: how well it does, how fast its cells fire, where its weights are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, SupportsFloat

import numpy as np

from ..networks.backend import FloatArray, Weights
from ..networks.microcircuit import Microcircuit
from ..networks.transfer import response_of, transfer
from ..networks.weights import forward_weights, self_predicting_weights, weight_limits
from ..tasks import Samples, Task
from ..tasks.protocol import decode, kind_of, target_names_of

Metrics = dict[str, Any]

HZ = 1000.0  # per 1/ms
FASTEST = 500.0  # Hz: an absolute refractory period of 2 ms, about that of cortical pyramidal cells
MOST_CLASSES_TOLD = 50  # beyond, the confusion matrix of every test would fill the records


def scores(
    task: Task, samples: Samples, outputs: FloatArray, apical_error: FloatArray, interneuron_error: FloatArray
) -> Metrics:
    """How far outputs are from what they should be, and how far the circuit is from predicting itself.

    Parameters
    ----------
    task : Task
        Says whether outputs are classes, values or free, and what they mean.
    samples : Samples
        What was presented, and what outputs should be.
    outputs : ndarray, shape (n, n_outputs)
        Potentials of the output cells (mV).
    apical_error, interneuron_error : ndarray, shape (n,)
        Errors of the circuit's own predictions (`TrialResult`; mV, 1/ms²); NaN for a backend that has none.

    Returns
    -------
    dict
        loss: mean squared error (mV²). Of a classification besides accuracy, and confusion, the number of samples [class, answer],
        for up to 50 classes. Of a regression r2, the explained share of the variance (pooled over outputs, in mV²), and rmse, the
        root mean squared error in the data's unit: one number, or one by name of the output if the task names them. Of free outputs
        the loss is the mean square of the apical error. Of all, if the backend has them, apical_error (mV) and
        interneuron_error (1/ms²), their means.
    """
    own = known_errors(np.mean(apical_error), np.mean(interneuron_error))
    if kind_of(task) == "free":
        return {"loss": float(np.mean(apical_error**2)), **own}
    return {**_against_targets(task, samples, outputs), **own}


def _against_targets(task: Task, samples: Samples, outputs: FloatArray) -> Metrics:
    targets = samples.targets
    found: Metrics = {"loss": float(np.nanmean((outputs - targets) ** 2))}
    if kind_of(task) == "regression":
        residual, total = np.nansum((outputs - targets) ** 2), np.nansum((targets - np.nanmean(targets, axis=0)) ** 2)
        found["r2"] = float(1.0 - residual / total) if total > 0.0 else 0.0
        difference = np.asarray(decode(task, outputs) - decode(task, targets)).reshape(len(outputs), -1)
        names = target_names_of(task)
        each = np.sqrt(np.nanmean(difference**2, axis=0))
        found["rmse"] = (
            dict(zip(names, each.tolist(), strict=True)) if names else float(np.sqrt(np.nanmean(difference**2)))
        )
        return found
    answers = np.argmax(outputs, axis=-1)
    found["accuracy"] = float(np.mean(answers == samples.labels))
    n_classes = targets.shape[-1]
    if n_classes <= MOST_CLASSES_TOLD:
        pairs = np.bincount(samples.labels * n_classes + answers, minlength=n_classes**2)
        found["confusion"] = pairs.reshape(n_classes, n_classes).tolist()
    return found


def known_errors(apical_error: SupportsFloat, interneuron_error: SupportsFloat) -> Metrics:
    """Mean apical error (mV) and interneuron error (1/ms²) by name; none of a backend without them, where they are NaN."""
    errors = {"apical_error": float(apical_error), "interneuron_error": float(interneuron_error)}
    return {name: error for name, error in errors.items() if not np.isnan(error)}


def tested_set_of(records: Iterable[Mapping[str, Any]]) -> str:
    """What the tests of a run were on, by their records: "validation", or "test" if the task has no validation set."""
    return "validation" if any("validation_loss" in record for record in records) else "test"


def prefixed(name: str, metrics: Mapping[str, Any]) -> Metrics:
    """The same metrics with the name of what they were measured on: validation_loss, ..."""
    return {f"{name}_{key}": value for key, value in metrics.items()}


def of_set(record: Mapping[str, Any], name: str) -> Metrics:
    """What a record says of a set, without the set's name: the inverse of `prefixed`."""
    return {key.removeprefix(f"{name}_"): value for key, value in record.items() if key.startswith(f"{name}_")}


class Rates:
    """Mean and largest rate of every layer, over samples that come in pieces.

    A unit of rate, 1/ms, is 1000 Hz of one member of the population of psi neurons for which a cell stands.
    """

    def __init__(self, circuit: Microcircuit) -> None:
        self._circuit = circuit
        self._layers = ["P_0", *circuit.layers]
        self._sum = dict.fromkeys(self._layers, 0.0)
        self._largest = dict.fromkeys(self._layers, 0.0)
        self._n = 0

    def add(self, stimuli: FloatArray, V_soma: FloatArray) -> None:
        """Take in samples: rates of the inputs, shape (n, n_inputs) (1/ms), and mean potentials of all other cells (mV)."""
        self._n += len(stimuli)
        rates = transfer(np.asarray(V_soma, dtype=np.float64), response_of(self._circuit))
        for name in self._layers:
            layer = np.fmax(stimuli, 0.0) if name == "P_0" else rates[:, self._circuit.layers[name]]
            self._sum[name] += float(np.sum(np.mean(layer, axis=1)))
            self._largest[name] = max(self._largest[name], float(np.max(layer, initial=0.0)))

    def metrics(self) -> Metrics:
        """rate_mean and rate_max, by layer (Hz of a member of a cell's population); layers that a backend lacks are left out."""
        known = [name for name in self._layers if np.isfinite(self._sum[name])]
        return {
            "rate_mean": {name: HZ * self._sum[name] / self._n for name in known},
            "rate_max": {name: HZ * self._largest[name] for name in known},
        }


def too_fast(record: Mapping[str, Any]) -> str | None:
    """A sentence where rates of a record are beyond what a neuron can fire, or None."""
    beyond = {name: rate for name, rate in record.get("rate_max", {}).items() if rate > FASTEST}
    if not beyond:
        return None
    told = ", ".join(f"{name} up to {rate:.0f} Hz" for name, rate in beyond.items())
    return (
        f"no neuron fires so: {told} a member of a population (a refractory period of 2 ms allows {FASTEST:.0f} Hz); "
        "lower neuron.gamma and the rates of the inputs, or take a unit of rate for several neurons"
    )


def share_at_bound(circuit: Microcircuit, weights: Weights) -> dict[str, float]:
    """Share of the weights of every plastic projection that lie at Wmin or Wmax, by name (up_1, ...)."""
    limits = weight_limits(circuit)
    found = {}
    for name, etas in circuit.etas().items():
        for k, (eta, matrix, (low, high)) in enumerate(
            zip(etas, getattr(weights, name), limits[name], strict=True), start=1
        ):
            if eta > 0.0:
                at_bound = (matrix <= low) | (matrix >= high)
                found[f"{name}_{k}"] = float(np.mean(at_bound[~np.isnan(matrix)]))
    return found


def distance(circuit: Microcircuit, weights: Weights) -> dict[str, float]:
    """Mean squared distance of the interneurons' weights from those with which the circuit predicts itself, by name (pi_1, ip_1, ...).

    In mV² ms²; from `self_predicting_weights` of the present `up` and `down`.
    """
    goal = self_predicting_weights(weights, circuit)
    pairs = {"pi": zip(weights.pi, goal.pi, strict=True), "ip": zip(weights.ip, goal.ip, strict=True)}
    return {
        f"{name}_{k}": float(np.nanmean((matrix - wanted) ** 2))
        for name, layers in pairs.items()
        for k, (matrix, wanted) in enumerate(layers, start=1)
    }


def feedback_angle(circuit: Microcircuit, weights: Weights) -> dict[str, float]:
    """Angle between `down` and the transpose of `up` of the next layer, as vectors, by name (down_1, ...) (degrees).

    Missing synapses count as 0 on both sides; what is 0 altogether has no angle, and is left out.
    """
    found = {}
    for k, down in enumerate(weights.down, start=1):
        forward = forward_weights(weights.up[k], circuit, k).T
        there = ~np.isnan(down)
        feedback, wanted = np.where(there, down, 0.0), np.where(there, forward, 0.0)
        lengths = float(np.linalg.norm(feedback) * np.linalg.norm(wanted))
        if lengths > 0.0:
            cosine = min(1.0, max(-1.0, float(np.sum(feedback * wanted)) / lengths))
            found[f"down_{k}"] = float(np.degrees(np.arccos(cosine)))
    return found
