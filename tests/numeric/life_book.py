# SPDX-License-Identifier: GPL-2.0-or-later
"""What is noted about the cells, models and synapses in the life of a kernel; all times are in steps."""

from dataclasses import dataclass, field

from life_oracle import Course
from plasticity_oracle import Rule

STEPPING = "dendritic_error_reference_synapse"
RATE_PLASTIC = "dendritic_error_rate_synapse"
SIGNALS = ("sic_connection", RATE_PLASTIC, "rate_connection_delayed")


@dataclass
class Cell:
    """A neuron."""

    node: object
    id: int
    kind: str
    course: Course
    readouts: list = field(default_factory=list)  # (time, time since when, {name: means}) as they were read
    kept_since: dict = field(
        default_factory=dict
    )  # by Synapse.place: since when errors are (steps), after how many Simulates
    drives: dict = field(
        default_factory=dict
    )  # times (steps) and weights (mV ms) of the spikes of devices, by dendrite
    next_record: int = -1  # as NEST's UniversalDataLogger counts (steps)

    @property
    def is_pyramidal(self):
        """Whether it has dendrites."""
        return self.kind.startswith("pyramidal")

    @property
    def is_population(self):
        """Whether its spikes of a step are one event."""
        return self.kind.endswith("population")


@dataclass
class Model:
    """A synapse model of the user: a copy of `kind`; rule is None if it is static."""

    name: str
    kind: str
    receptor: str
    rule: Rule | None
    recorder: object = None

    @property
    def steps(self):
        """Whether its synapses step over the errors, and have the weight of their last spike."""
        return self.kind == STEPPING

    def takes(self, cell):
        """Whether a cell can send through it."""
        if self.kind in SIGNALS:
            return cell.kind != "parrot_neuron"
        return cell.kind != "pyramidal_rate_neuron" and not (self.steps and cell.is_population)


@dataclass
class Synapse:
    """A connection, and what has been done with it in order: (action, time, weight or rule)."""

    source: Cell
    target: Cell
    model: Model
    delay: int
    weight: float
    time: int
    rule: Rule | None
    kept_since: int = 0  # since when errors are, for it or for others before it
    history: list = field(default_factory=list)
    until: int | None = None

    @property
    def key(self):
        """As NEST tells connections apart."""
        return self.source.id, self.target.id, self.model.name

    @property
    def place(self):
        """Where errors are kept for it: spikes, rates and stepping synapses have their own archives."""
        return self.model.receptor, self.model.steps, self.model.kind == RATE_PLASTIC
