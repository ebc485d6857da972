# SPDX-License-Identifier: GPL-2.0-or-later
"""Traces of all steps of some cells, for comparison with closed forms."""

import numpy as np


class Traces:
    """A multimeter on cells, read every step.

    Parameters
    ----------
    names : sequence of str
        What to record.
    """

    def __init__(self, nest, cells, names):
        self.h = nest.resolution
        self.cells = cells.tolist()
        self.recorder = nest.Create("multimeter", params={"interval": self.h, "record_from": list(names)})
        nest.Connect(self.recorder, cells)

    def __getitem__(self, name):
        """Values, shape (n_cells, n_steps); of n simulated steps those that the recorder has handed out, the first ones."""
        events = self.recorder.get("events")
        order = np.lexsort((events["times"], events["senders"]))
        assert np.array_equal(np.unique(events["senders"]), self.cells)
        return events[name][order].reshape(len(self.cells), -1)

    @property
    def times(self):
        """Ends of the steps (ms), shape (n_steps,)."""
        return np.round(np.unique(self.recorder.get("events")["times"]) / self.h) * self.h


def softplus(x):
    """log(1 + exp(x)) for any x, from numpy."""
    return np.logaddexp(0.0, x)
