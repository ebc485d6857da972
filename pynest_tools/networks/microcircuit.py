# SPDX-License-Identifier: GPL-2.0-or-later
"""Typed specification of a microcircuit, with units.

Weights and learning rates are stated normalised, as for rates; a spiking backend scales them with psi
(docs/theory, "psi: from rates to spikes"). "Thesis" in a description is Gille (2023), whose table of
defaults these are.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from ..settings import Settings

# A quotient of two decimal times, such as 35.0 / 0.1, misses the whole number by some units in the last
# place: far less than 1e-6 steps for any run shorter than 1e9 steps, and nobody means a millionth of a step.
STEP_TOLERANCE = 1e-6
NEST_TIC = 0.001  # ms, resolution of NEST's clock (tics_per_ms = 1000)


def _one_or_more(value: Any) -> Any:
    return (value,) if isinstance(value, (int, float)) else value


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


NonNegative = Annotated[float, Field(ge=0.0)]
PerLayer = Annotated[tuple[NonNegative, ...], BeforeValidator(_tuple), BeforeValidator(_one_or_more)]
Sizes = Annotated[tuple[Annotated[int, Field(ge=1)], ...], BeforeValidator(_tuple)]


class NeuronParameters(Settings):
    """Parameters of pyramidal cells and interneurons (potentials are relative to rest)."""

    C_m: float = Field(default=1.0, gt=0.0, description="somatic capacitance, pF (thesis)")
    g_L: float = Field(default=0.03, gt=0.0, description="somatic leak, nS (thesis)")
    g_basal: float = Field(default=0.1, gt=0.0, description="coupling of the basal dendrite to the soma, nS (thesis)")
    g_apical: float = Field(
        default=0.06,
        ge=0.0,
        description="coupling of the apical dendrite to the soma of hidden cells, nS (thesis)",
    )
    g_nudge: float = Field(
        default=0.06,
        ge=0.0,
        description="nudging by a partner (interneurons) or teacher (outputs), nS (thesis)",
    )
    tau_basal: float = Field(
        default=1.0, ge=0.0, description="time constant of the basal dendrite, 0: follows at once, ms (thesis)"
    )
    tau_apical: float = Field(
        default=1.0, ge=0.0, description="time constant of the apical dendrite, 0: follows at once, ms (thesis)"
    )
    gamma: float = Field(default=1.0, gt=0.0, description="scale of the transfer function, 1/ms (thesis)")
    beta: float = Field(default=1.0, gt=0.0, description="steepness of the transfer function, 1/mV (thesis)")
    theta: float = Field(default=0.0, description="threshold of the transfer function, mV (thesis)")
    psi: float = Field(
        default=100.0, gt=0.0, description="spikes per unit of rate; the rate network is psi -> inf (thesis)"
    )
    t_ref: float = Field(
        default=0.0, ge=0.0, description="refractory time; if > 0 at most one spike a step, ms (thesis)"
    )
    latent_equilibrium: bool = Field(
        default=True,
        description="send the prospective instead of the momentary potential (Haider et al. 2021)",
    )

    @property
    def g_target_nS(self) -> float:  # noqa: N802
        """Conductance of the teacher (nS)."""
        return self.g_nudge


class PlasticityParameters(Settings):
    """Learning rates (normalised) and filters of the plastic projections; `down` is static."""

    eta_up: PerLayer = Field(
        default=(0.01, 0.003),
        description="learning rate of up, one per layer or one for all, mV ms^2 (thesis)",
    )
    eta_ip: PerLayer = Field(
        default=(0.004,),
        description="learning rate of ip, one per hidden layer or one for all, mV ms^2 (thesis)",
    )
    eta_pi: PerLayer = Field(
        default=(0.01,), description="learning rate of pi, one per hidden layer or one for all, ms (thesis)"
    )
    tau_s: float = Field(
        default=1.0, ge=0.0, description="decay of the presynaptic trace, 0: none (rates only), ms (thesis)"
    )
    tau_Delta: float = Field(
        default=1.0, ge=0.0, description="low-pass filter of the weight change, 0: none, ms (thesis)"
    )
    Wmin: float = Field(default=-4.0, description="smallest plastic weight, normalised, mV ms (thesis)")
    Wmax: float = Field(default=4.0, description="largest plastic weight, normalised, mV ms (thesis)")

    @model_validator(mode="after")
    def _range_of_weights(self) -> PlasticityParameters:
        if self.Wmin >= self.Wmax:
            raise ValueError(f"Wmin must lie below Wmax, got {self.Wmin} and {self.Wmax} mV ms")
        return self


class InitialWeights(Settings):
    """Initial weights, drawn uniformly between plus and minus a bound (normalised)."""

    up: PerLayer = Field(default=(1.0,), description="bound of up, one per layer or one for all, mV ms (thesis)")
    down: PerLayer = Field(
        default=(1.0,), description="bound of down, one per hidden layer or one for all, mV ms (thesis)"
    )
    ip: PerLayer = Field(
        default=(1.0,), description="bound of ip unless self-predicting, one per hidden layer or one for all, mV ms"
    )
    pi: PerLayer = Field(
        default=(1.0,), description="bound of pi unless self-predicting, one per hidden layer or one for all, mV ms"
    )
    self_predicting: bool = Field(
        default=True,
        description="set ip and pi so that the circuit predicts its top-down input (Sacramento et al. 2018)",
    )


class TrialParameters(Settings):
    """Course of one presented sample, and what happens between two."""

    t_pres: float = Field(default=50.0, gt=0.0, description="presentation of a sample, ms (thesis)")
    t_learn_on: float = Field(default=10.0, ge=0.0, description="learning acts from here to t_pres, ms")
    t_target_on: float = Field(default=0.0, ge=0.0, description="the teacher acts from here to t_pres, ms")
    free_learning: Annotated[tuple[Literal["ip", "pi"], ...], BeforeValidator(_tuple)] = Field(
        default=(), description="projections that learn before the teacher acts"
    )
    t_free_learn_on: float = Field(
        default=0.0, ge=0.0, description="learning before the teacher acts from here to t_target_on, ms"
    )
    t_readout_on: float = Field(
        default=35.0, ge=0.0, description="outputs are averaged from here to t_pres, ms (thesis)"
    )
    t_pres_test: float = Field(default=50.0, gt=0.0, description="presentation of a test sample, ms (thesis)")
    t_readout_on_test: float = Field(
        default=35.0, ge=0.0, description="outputs of a test sample are averaged from here to t_pres_test, ms (thesis)"
    )
    between: Literal["keep", "relax", "reset"] = Field(
        default="reset",
        description="state between samples: keep it, relax without input, or reset to rest (thesis)",
    )
    t_relax: float = Field(
        default=0.0, ge=0.0, description='time without input between samples if between = "relax", ms'
    )

    @model_validator(mode="after")
    def _windows(self) -> TrialParameters:
        windows = {"t_learn_on": "t_pres", "t_readout_on": "t_pres", "t_readout_on_test": "t_pres_test"}
        for start, end in windows.items():
            if getattr(self, start) >= getattr(self, end):
                raise ValueError(
                    f"{start} must lie before {end} = {getattr(self, end)} ms, got {getattr(self, start)} ms; "
                    "its window would be empty"
                )
        if self.between == "relax" and self.t_relax == 0.0:
            raise ValueError('t_relax must be positive with between = "relax", got 0.0 ms; or use between = "keep"')
        if self.between != "relax" and self.t_relax > 0.0:
            raise ValueError(
                f't_relax must be 0 with between = "{self.between}", got {self.t_relax} ms; or use between = "relax"'
            )
        return self


class SimulationParameters(Settings):
    """Numerical parameters."""

    h: float = Field(default=0.1, gt=0.0, description="time step, ms (thesis)")
    delay: float = Field(default=0.1, gt=0.0, description="delay of every synapse, ms (thesis)")
    threads: int = Field(default=1, ge=1, description="threads of the simulator; results with spikes depend on it")


class Microcircuit(Settings):
    """A dendritic microcircuit: sizes, cells, plasticity, initial weights, trials, simulation."""

    sizes: Sizes = Field(description="cells per layer: inputs, hidden layers, outputs")
    transmission: Literal["population", "spikes"] = Field(
        default="population",
        description="of spikes; population: those of a step as one event; spikes: one by one",
    )
    neuron: NeuronParameters = NeuronParameters()
    plasticity: PlasticityParameters = PlasticityParameters()
    weights: InitialWeights = InitialWeights()
    trial: TrialParameters = TrialParameters()
    simulation: SimulationParameters = SimulationParameters()

    @property
    def n_hidden(self) -> int:
        """Number of hidden layers."""
        return len(self.sizes) - 2

    @property
    def eta_up(self) -> tuple[float, ...]:
        """Learning rate of `up` into layer 1, ..., output (normalised, mV ms^2)."""
        return _spread(self.plasticity.eta_up, self.n_hidden + 1)

    @property
    def eta_ip(self) -> tuple[float, ...]:
        """Learning rate of `ip` in each hidden layer (normalised, mV ms^2)."""
        return _spread(self.plasticity.eta_ip, self.n_hidden)

    @property
    def eta_pi(self) -> tuple[float, ...]:
        """Learning rate of `pi` in each hidden layer (normalised, ms)."""
        return _spread(self.plasticity.eta_pi, self.n_hidden)

    @property
    def weight_bounds(self) -> dict[str, tuple[float, ...]]:
        """Bounds of the initial weights by projection, one for each layer that has it (normalised, mV ms)."""
        weights = self.weights
        return {
            "up": _spread(weights.up, self.n_hidden + 1),
            "down": _spread(weights.down, self.n_hidden),
            "ip": _spread(weights.ip, self.n_hidden),
            "pi": _spread(weights.pi, self.n_hidden),
        }

    @model_validator(mode="after")
    def _layers(self) -> Microcircuit:
        if len(self.sizes) < 3:
            raise ValueError(f"sizes must name inputs, at least one hidden layer, and outputs, got {list(self.sizes)}")
        given = {
            **{f"plasticity.{name}": getattr(self.plasticity, name) for name in ("eta_up", "eta_ip", "eta_pi")},
            **{f"weights.{name}": getattr(self.weights, name) for name in ("up", "down", "ip", "pi")},
        }
        for name, values in given.items():
            wanted = self.n_hidden + 1 if name.endswith("up") else self.n_hidden
            if len(values) not in (1, wanted):
                raise ValueError(
                    f"{name} has {len(values)} values {list(values)}, but sizes {list(self.sizes)} "
                    f"need {wanted}; give one for each layer, or a single one for all"
                )
        if self.transmission == "population" and self.neuron.t_ref > 0.0:
            raise ValueError(
                f'cells with transmission = "population" have no refractory time: set neuron.t_ref to 0, '
                f'got {self.neuron.t_ref} ms, or use transmission = "spikes"'
            )
        return self

    @model_validator(mode="after")
    def _initial_weights_in_range(self) -> Microcircuit:
        low, high = self.plasticity.Wmin, self.plasticity.Wmax
        for name, bounds in self.weight_bounds.items():
            if -max(bounds) < low or max(bounds) > high:
                raise ValueError(
                    f"initial weights weights.{name} lie in +-{max(bounds)} mV ms, beyond the limits plasticity.Wmin = "
                    f"{low} and Wmax = {high} mV ms; narrow the one or widen the others"
                )
        return self

    @model_validator(mode="after")
    def _times_on_the_grid(self) -> Microcircuit:
        h = self.simulation.h
        if not _is_multiple(h, NEST_TIC):
            raise ValueError(f"simulation.h must be a multiple of {NEST_TIC} ms (NEST's clock), got {h} ms")
        times = {
            "simulation.delay": self.simulation.delay,
            "neuron.t_ref": self.neuron.t_ref,
            "trial.t_pres": self.trial.t_pres,
            "trial.t_learn_on": self.trial.t_learn_on,
            "trial.t_readout_on": self.trial.t_readout_on,
            "trial.t_pres_test": self.trial.t_pres_test,
            "trial.t_readout_on_test": self.trial.t_readout_on_test,
            "trial.t_relax": self.trial.t_relax,
        }
        for name, time in times.items():
            if not _is_multiple(time, h):
                raise ValueError(
                    f"{name} must be a multiple of the time step simulation.h = {h} ms, got {time} ms; change either"
                )
        return self


def _spread(values: tuple[float, ...], layers: int) -> tuple[float, ...]:
    return values * layers if len(values) == 1 else values


def _is_multiple(time: float, step: float) -> bool:
    steps = time / step
    return time == 0.0 or (round(steps) >= 1 and abs(steps - round(steps)) < STEP_TOLERANCE)
