# SPDX-License-Identifier: GPL-2.0-or-later
"""What differs from sample to sample of a training: which cells drop out, and the known noise of rates."""

from __future__ import annotations

import numpy as np

from .backend import FloatArray
from .microcircuit import Microcircuit


class Variation:
    """Draws for one sample after the other; they do not depend on how the samples are cut into chunks.

    Parameters
    ----------
    circuit : Microcircuit
        The specification.
    seed : int or numpy.random.SeedSequence
        Source of randomness.
    """

    def __init__(self, circuit: Microcircuit, seed: int | np.random.SeedSequence) -> None:
        sequence = np.random.SeedSequence(seed) if isinstance(seed, int) else seed
        fresh = np.random.SeedSequence(
            sequence.entropy, spawn_key=sequence.spawn_key
        )  # spawning changes what it is asked of
        self._gain_rng, self._noise_rng = (np.random.default_rng(child) for child in fresh.spawn(2))
        self._circuit = circuit
        self._n_cells = max(cells.stop for cells in circuit.layers.values())
        self._hidden = [circuit.layers[f"P_{k}"] for k in range(1, circuit.n_hidden + 1)]

    def draw(self, n_samples: int) -> tuple[FloatArray | None, FloatArray | None]:
        """Factor of the rate of every cell, and noise (ms^-1/2), each of shape (n_samples, n_cells); None if there is none."""
        q, noise = self._circuit.connectivity.dropout, self._circuit.plasticity.noise_down
        shape = (n_samples, sum(cells.stop - cells.start for cells in self._hidden))
        gain = known = None
        if q > 0.0:
            gain = np.ones((n_samples, self._n_cells))
            self._fill(gain, np.where(self._gain_rng.random(shape) < q, 0.0, 1.0 / (1.0 - q)))
            for k in range(1, self._circuit.n_hidden):
                gain[:, self._circuit.layers[f"I_{k}"]] = gain[:, self._circuit.layers[f"P_{k + 1}"]]
        if self._circuit.plasticity.down == "alignment":
            known = np.zeros((n_samples, self._n_cells))
            self._fill(known, noise * self._noise_rng.standard_normal(shape))
        return gain, known

    def _fill(self, values: FloatArray, drawn: FloatArray) -> None:
        """Put what was drawn for hidden pyramidal cells in their places."""
        first = 0
        for cells in self._hidden:
            values[:, cells] = drawn[:, first : first + cells.stop - cells.start]
            first += cells.stop - cells.start
