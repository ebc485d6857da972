# SPDX-License-Identifier: GPL-2.0-or-later
"""What differs at random from one learned sample to the next: cells that drop out, known noise of rates, missing synapses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from .backend import FloatArray
from .microcircuit import Microcircuit


class Sample(NamedTuple):
    """What was drawn for samples that are presented side by side; None if nothing was.

    Attributes
    ----------
    gain, noise : ndarray, shape (n, n_cells), or None
        See `Variation.draw`.
    masks : list of ndarray, shape (n, cells of the level, sources), or None
        See `Variation.masks`.
    """

    gain: FloatArray | None = None
    noise: FloatArray | None = None
    masks: list[FloatArray] | None = None

    def reversed(self) -> Sample:
        """The same with the noise of the second half of the time for learning, which has the other sign.

        So it has no mean over a sample, in which it would meet the mean rates of other cells.
        """
        return self if self.noise is None else self._replace(noise=-self.noise)


#: Nothing is drawn, as in tests.
UNVARIED = Sample()


class Variation:
    """Draws sample by sample, each thing from a generator of its own, so that it does not matter how samples are cut into chunks.

    Networks with the same seed therefore learn the same samples with the same cells and the same noise, whatever computes them.

    Parameters
    ----------
    circuit : Microcircuit
        What is random in it.
    seed : int or numpy.random.SeedSequence
        Where the generators come from; a sequence is left as it is.
    """

    def __init__(self, circuit: Microcircuit, seed: int | np.random.SeedSequence) -> None:
        sequence = seed if isinstance(seed, np.random.SeedSequence) else np.random.SeedSequence(seed)
        self._circuit = circuit
        self._dropping, self._noise, self._masking, self._soma = (
            np.random.default_rng(np.random.SeedSequence(sequence.entropy, spawn_key=(*sequence.spawn_key, key)))
            for key in range(4)
        )
        *hidden, outputs = (circuit.layers[f"P_{k}"] for k in range(1, len(circuit.sizes)))
        self._n_cells = outputs.stop
        self._hidden = np.concatenate([np.arange(layer.start, layer.stop) for layer in hidden])
        self._predicted = [(circuit.layers[f"I_{k}"], layer) for k, layer in enumerate(hidden[1:], start=1)]

    def draw(self, n: int) -> tuple[FloatArray | None, FloatArray | None]:
        """Gains and noise of the next n samples.

        Returns
        -------
        gain : ndarray, shape (n, n_cells), or None
            What the rate of every cell is multiplied by, in the order of `Microcircuit.layers`: 0 or 1 / (1 - dropout) of hidden
            pyramidal cells and of the interneurons that predict them, else 1. None without dropout.
        noise : ndarray, shape (n, n_cells), or None
            Of hidden pyramidal cells, in units of the square root of the rate (ms^-1/2), else 0. None without alignment.
        """
        circuit = self._circuit
        dropout = circuit.connectivity.dropout
        gain = noise = None
        if dropout > 0.0:
            gain = np.ones((n, self._n_cells))
            stays = self._dropping.random((n, len(self._hidden))) >= dropout
            gain[:, self._hidden] = stays / (1.0 - dropout)
            for interneurons, layer in self._predicted:
                gain[:, interneurons] = gain[:, layer]
        if circuit.plasticity.down == "alignment":
            noise = np.zeros((n, self._n_cells))
            noise[:, self._hidden] = circuit.plasticity.noise_down * self._noise.standard_normal((n, len(self._hidden)))
        return gain, noise

    def masks(self, n: int) -> list[FloatArray] | None:
        """What synapses onto basal dendrites transmit in the next n samples, as a multiple of their weight.

        Returns
        -------
        list of ndarray, shape (n, cells of the level, sources), or None
            1 / dropconnect or 0 for P_1, and for I_k and P_{k+1}, which have the same. None without DropConnect.
        """
        there = self._circuit.connectivity.dropconnect
        if there == 1.0:
            return None
        shapes = list(zip(self._circuit.sizes[1:], self._circuit.n_sources, strict=True))
        drawn = (self._masking.random((n, sum(post * pre for post, pre in shapes))) < there) / there
        ends = np.cumsum([post * pre for post, pre in shapes])[:-1]
        first, *others = (
            part.reshape(n, *shape) for part, shape in zip(np.split(drawn, ends, axis=1), shapes, strict=True)
        )
        return [first, *(np.concatenate([mask, mask], axis=1) for mask in others)]

    def batches(self, n: int, size: int) -> Iterator[Sample]:
        """What the next n samples have in batches of a size, of which the last may be smaller."""
        gain, noise = self.draw(n)
        for i in range(0, n, size):
            here = slice(i, i + size)
            yield Sample(
                None if gain is None else gain[here],
                None if noise is None else noise[here],
                self.masks(min(size, n - i)),
            )

    def soma(self, shape: tuple[int, ...]) -> FloatArray:
        """Numbers from the standard normal distribution, one for each cell in one time step."""
        return self._soma.standard_normal(shape)
