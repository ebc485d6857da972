# SPDX-License-Identifier: GPL-2.0-or-later
"""The interface that every backend offers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from .microcircuit import Microcircuit

FloatArray = NDArray[np.float64]

#: No membrane can be farther from rest (mV): about the span between the reversal potentials of potassium, -90 mV, and sodium, +60 mV.
MAX_POTENTIAL = 150.0


@dataclass(frozen=True, eq=False)
class Weights:
    """All weights of a microcircuit, normalised (mV ms), each matrix [post, pre].

    The names are those of Sacramento et al. (2018); P_k are the pyramidal cells of layer k (P_0 the
    inputs), I_k the interneurons of hidden layer k, as many as P_{k+1} has cells.

    Attributes
    ----------
    up : list of ndarray, shape (P_k, P_{k-1}), k = 1 ... output
        Forward weights onto basal dendrites.
    ip : list of ndarray, shape (I_k, P_k), k = 1 ... last hidden
        Pyramidal cells onto the interneurons of their layer.
    pi : list of ndarray, shape (P_k, I_k), k = 1 ... last hidden
        Interneurons onto apical dendrites.
    down : list of ndarray, shape (P_k, P_{k+1}), k = 1 ... last hidden
        Next layer onto apical dendrites.
    """

    up: list[FloatArray]
    ip: list[FloatArray]
    pi: list[FloatArray]
    down: list[FloatArray]

    def named(self) -> Iterator[tuple[str, FloatArray]]:
        """Yield ('up_1', matrix), ...; the number is the layer of the pyramidal cells, 1 = first hidden."""
        for field in fields(self):
            for layer, matrix in enumerate(getattr(self, field.name), start=1):
                yield f"{field.name}_{layer}", matrix

    def copy(self) -> Weights:
        """The same weights in arrays of their own."""
        return Weights(**{field.name: [np.array(m) for m in getattr(self, field.name)] for field in fields(self)})

    @classmethod
    def stack(cls, networks: Sequence[Weights]) -> Weights:
        """Weights of several networks side by side: matrices of shape (networks, post, pre)."""
        lists = {f.name: zip(*(getattr(w, f.name) for w in networks), strict=True) for f in fields(cls)}
        return cls(**{name: [np.stack(matrices) for matrices in layers] for name, layers in lists.items()})

    def unstack(self) -> list[Weights]:
        """What `stack` has put together."""
        return [
            Weights(**{field.name: [m[i] for m in getattr(self, field.name)] for field in fields(self)})
            for i in range(len(self.up[0]))
        ]


class TrialResult(NamedTuple):
    """What was read out of n presented samples, each over its read-out window.

    If several networks were simulated side by side, every array has a first axis for them. What a backend has not is NaN.

    Attributes
    ----------
    V_soma : ndarray, shape (n, n_cells)
        Mean somatic potentials of all cells but the inputs, in the order P_1, I_1, P_2, I_2, ..., I_{N-1}, P_N
        (`Microcircuit.layers`) (mV).
    prediction : ndarray, shape (n, n_outputs)
        Dendritic prediction v^ of the output cells: the potential they would have without a teacher (mV).
    apical_error : ndarray, shape (n,)
        Mean over hidden pyramidal cells of the magnitude of the window's mean apical potential (mV).
    interneuron_error : ndarray, shape (n,)
        Mean over interneurons of the squared difference between their rate and their partner's, at the window's
        mean somatic potentials (1/ms^2).
    """

    V_soma: FloatArray
    prediction: FloatArray
    apical_error: FloatArray
    interneuron_error: FloatArray

    @property
    def output(self) -> FloatArray:
        """Mean somatic potential of the output cells, shape (n, n_outputs) (mV)."""
        return self.V_soma[..., -self.prediction.shape[-1] :]


class Network(Protocol):
    """A microcircuit that presents samples and may learn from them.

    Attributes
    ----------
    circuit : Microcircuit
        Its specification.
    simulation_time_s : float
        Wall time spent inside the simulator so far (s).
    chunk_samples : int
        Most samples that one `run` should be given (bounds the memory of schedules and records).
    """

    circuit: Microcircuit
    simulation_time_s: float
    chunk_samples: int

    def run(self, stimuli: FloatArray, targets: FloatArray | None, *, learn: bool) -> TrialResult:
        """Present samples one after the other, in one uninterrupted simulation.

        Parameters
        ----------
        stimuli : ndarray, shape (n, n_inputs)
            Rates of the input cells (1/ms, normalised).
        targets : ndarray, shape (n, n_outputs), or None
            Potentials towards which the teacher nudges the output cells (mV). None: a test, without teacher and with
            the presentation and read-out times of tests.
        learn : bool
            Whether plastic weights change.

        Returns
        -------
        TrialResult

        Raises
        ------
        DivergenceError
            If a potential or a weight became absurd.
        """
        ...

    def get_weights(self) -> Weights:
        """Present weights."""
        ...

    def set_weights(self, weights: Weights) -> None:
        """Set every weight exactly."""
        ...


class DivergenceError(RuntimeError):
    """A run left the range of meaningful numbers.

    Parameters
    ----------
    message : str
        What became absurd, and its value with unit.
    trial : int
        Index of the sample within the call of `Network.run`.
    cell : str
        Which cell it was, if known, such as "cell 3 of P_1".
    network : int
        Which of the networks that are simulated side by side.
    """

    def __init__(self, message: str, trial: int, cell: str = "", network: int = 0) -> None:
        super().__init__(message, trial, cell, network)  # all of them, or it could not be sent to another process
        self.message, self.trial, self.cell, self.network = message, trial, cell, network

    def __str__(self) -> str:
        return f"{self.cell}: {self.message}" if self.cell else self.message


def cell_name(circuit: Microcircuit, index: int) -> str:
    """What a cell is called, such as "cell 3 of P_1" (both counted as elsewhere: cells from 0, layers from 1).

    Parameters
    ----------
    circuit : Microcircuit
        Its layers.
    index : int
        Which cell among all but the inputs, in the order of `Microcircuit.layers`.
    """
    layer, cells = next((name, cells) for name, cells in circuit.layers.items() if index < cells.stop)
    return f"cell {index - cells.start} of {layer}"


def refuse_absurd(circuit: Microcircuit, result: TrialResult) -> None:
    """Raise an error if a potential that was read out is no possible one.

    Parameters
    ----------
    circuit : Microcircuit
        Its layers, for names.
    result : TrialResult
        Of any backend. Interneurons that have no potential at all, as with backpropagation, are let pass.

    Raises
    ------
    DivergenceError
        If a potential is not finite or beyond `MAX_POTENTIAL`: the first such sample, and the worst cell in it.
    """
    outputs = circuit.layers[f"P_{circuit.n_hidden + 1}"]
    potentials = np.abs(result.V_soma)
    potentials[..., outputs] = np.maximum(potentials[..., outputs], np.abs(result.prediction))
    absent = np.all(np.isnan(potentials), axis=tuple(range(potentials.ndim - 1)))
    for name, cells in circuit.layers.items():
        if name.startswith("I") and np.all(absent[cells]):
            potentials[..., cells] = 0.0
    refuse_potentials(circuit, potentials, 0)


def refuse_potentials(circuit: Microcircuit, potentials: FloatArray, first: int) -> None:
    """Raise an error if the magnitude of a potential is not finite or beyond `MAX_POTENTIAL`.

    Parameters
    ----------
    circuit : Microcircuit
        Its layers, for names.
    potentials : ndarray, shape (n, n_cells) or (networks, n, n_cells)
        Magnitudes (mV).
    first : int
        Index of the first of the n samples within the call of `Network.run`.
    """
    if np.max(potentials, initial=0.0) <= MAX_POTENTIAL:  # false for NaN
        return
    networks = potentials.reshape(-1, *potentials.shape[-2:])
    absurd = ~(np.max(networks, axis=-1) <= MAX_POTENTIAL)
    sample = int(np.argmax(np.any(absurd, axis=0)))
    network = int(np.argmax(absurd[:, sample]))
    cell = int(np.argmax(np.nan_to_num(networks[network, sample], nan=np.inf, posinf=np.inf)))
    value = networks[network, sample, cell]
    raise DivergenceError(
        f"a somatic potential became {value:.4g} mV, but no membrane can be {MAX_POTENTIAL:g} mV from rest; "
        "lower the learning rates or the weights of the feedback",
        first + sample,
        cell_name(circuit, cell),
        network,
    )
