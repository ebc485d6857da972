# SPDX-License-Identifier: GPL-2.0-or-later
"""Typed specification of a microcircuit, with units."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from ..settings import Settings
from .depth import balanced_down, balanced_up
from .parameters import (
    InitialWeights,
    NeuronParameters,
    PlasticityParameters,
    SimulationParameters,
    TrialParameters,
    as_tuple,
)

__all__ = [
    "InitialWeights",
    "Microcircuit",
    "NeuronParameters",
    "PlasticityParameters",
    "SimulationParameters",
    "TrialParameters",
]

# A quotient of two decimal times, such as 35.0 / 0.1, misses the whole number by a few units in the last place: a rounding of either
# time, and one of the quotient, each half a unit. Nobody means a millionth of a step.
STEP_TOLERANCE = 1e-6
STEP_TOLERANCE_RELATIVE = 4.0 * sys.float_info.epsilon
MOST_STEPS = 1e12  # of a time; up to there the tolerance, 0.0009 steps, is far less than a step
MOST_STEPS_OF_DELAY = 1e5  # every cell keeps what will arrive in each of them
NEST_TIC = 0.001  # ms, resolution of NEST's clock (tics_per_ms = 1000)

Sizes = Annotated[tuple[Annotated[int, Field(ge=1)], ...], BeforeValidator(as_tuple)]


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
    def layers(self) -> dict[str, slice]:
        """Where the cells of each layer lie among all but the inputs: P_1, I_1, P_2, I_2, ..., I_{N-1}, P_N."""
        found = {"P_1": slice(0, self.sizes[1])}
        for k, n in enumerate(self.sizes[2:], start=1):
            start = found[f"P_{k}"].stop
            found |= {f"I_{k}": slice(start, start + n), f"P_{k + 1}": slice(start + n, start + 2 * n)}
        return found

    @property
    def eta_up(self) -> tuple[float, ...]:
        """Learning rate of `up` into layer 1, ..., output (normalised, mV ms^2)."""
        return _spread(self.plasticity.eta_up, self.n_hidden + 1)

    @property
    def eta_ip(self) -> tuple[float, ...]:
        """Learning rate of `ip` in each hidden layer (normalised, mV ms^2).

        With "match" it is f_k eta_up / lambda, eta_up that of the next layer, with which ip follows up as the next layer learns
        (docs/theory, "Self-prediction").
        """
        given = self.plasticity.eta_ip
        if not isinstance(given, str):
            return _spread(given, self.n_hidden)
        factors, share = self.neuron.interneuron_factors(self.n_hidden), self.neuron.partner_share
        return tuple(f * eta / share for f, eta in zip(factors, self.eta_up[1:], strict=True))

    @property
    def eta_pi(self) -> tuple[float, ...]:
        """Learning rate of `pi` in each hidden layer (normalised, ms)."""
        return _spread(self.plasticity.eta_pi, self.n_hidden)

    @property
    def weight_bounds(self) -> dict[str, tuple[float, ...]]:
        """Bounds of the initial weights by projection, one for each layer that has it (normalised, mV ms)."""
        weights = self.weights
        up = balanced_up(self.sizes, self.neuron) if weights.up == "balanced" else weights.up
        up = _spread(up, self.n_hidden + 1)
        down = balanced_down(up, self.neuron) if weights.down == "balanced" else weights.down
        return {
            "up": up,
            "down": _spread(down, self.n_hidden),
            "ip": _spread(weights.ip, self.n_hidden),
            "pi": _spread(weights.pi, self.n_hidden),
        }

    def with_rates(self, factors: Mapping[str, Sequence[float] | float]) -> Microcircuit:
        """The same circuit with other learning rates, as a schedule needs it.

        Parameters
        ----------
        factors : mapping of str to float or sequence of float
            What eta of "up", "ip" and "pi" is multiplied by, one factor per layer that has the projection or one for all; 1 where
            there is none. A factor of 0 keeps a projection as it is. With eta_ip = "match", ip follows what becomes of up,
            and its own factor means nothing.

        Returns
        -------
        Microcircuit
            With explicit learning rates for each layer.

        Raises
        ------
        ValueError
            If a projection does not learn, or has another number of layers.
        """
        unknown = set(factors) - {"up", "ip", "pi"}
        if unknown:
            raise ValueError(
                f"factors of learning rates are for up, ip and pi, got one for {', '.join(sorted(unknown))}"
            )
        rates = {"eta_up": _scaled(self.eta_up, factors.get("up", 1.0))}
        if self.plasticity.eta_ip != "match":
            rates["eta_ip"] = _scaled(self.eta_ip, factors.get("ip", 1.0))
        rates["eta_pi"] = _scaled(self.eta_pi, factors.get("pi", 1.0))
        changed = self.model_copy(update={"plasticity": self.plasticity.model_copy(update=rates)})
        explicit = changed.plasticity.model_copy(update={"eta_ip": changed.eta_ip})
        return self.model_copy(update={"plasticity": explicit})

    def warnings(self) -> list[str]:
        """Sentences on what is possible but hardly meant."""
        found = []
        if self.weights.self_predicting and max(self.eta_pi) > 0.0 and "pi" not in self.trial.free_learning:
            found.append(
                "plasticity.eta_pi is positive although the circuit starts self-predicting: while the teacher acts, pi learns to "
                'cancel the teaching signal; set it to 0, or let pi learn in a free phase: trial.free_learning = ["pi"] and '
                "trial.t_target_on > 0"
            )
        return found

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
            if not isinstance(values, str) and len(values) not in (1, wanted):
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
    def _interneurons_can_follow(self) -> Microcircuit:
        if self.plasticity.eta_ip == "match" and self.neuron.g_nudge == 0.0:
            raise ValueError(
                'plasticity.eta_ip = "match" needs partners that nudge the interneurons, but neuron.g_nudge is 0.0 nS: '
                "no learning rate lets them follow; set g_nudge, or give eta_ip as a number"
            )
        try:
            fastest = max(self.eta_ip, default=0.0)
        except ZeroDivisionError:  # a share of nudging below the smallest number
            fastest = math.inf
        if not math.isfinite(fastest):
            raise ValueError(
                'plasticity.eta_ip = "match" comes to more than any number, f eta_up / lambda: lower eta_up, raise neuron.g_nudge, '
                "or give eta_ip as a number"
            )
        return self

    @model_validator(mode="after")
    def _errors_can_be_passed_on(self) -> Microcircuit:
        if self.weights.down == "balanced" and self.neuron.g_apical == 0.0:
            raise ValueError(
                'weights.down = "balanced" needs apical dendrites that move the soma, but neuron.g_apical is 0.0 nS: no feedback '
                "passes an error on; set g_apical, or give weights.down as a number"
            )
        return self

    @model_validator(mode="after")
    def _initial_weights_are_possible(self) -> Microcircuit:
        low, high = self.plasticity.Wmin, self.plasticity.Wmax
        for name, bounds in self.weight_bounds.items():
            if -max(bounds) < low or max(bounds) > high:
                raise ValueError(
                    f"initial weights weights.{name} lie in +-{max(bounds)} mV ms, beyond the limits plasticity.Wmin = "
                    f"{low} and Wmax = {high} mV ms; narrow the one or widen the others"
                )
        if self.weights.aligned and 0.0 in self.weight_bounds["up"][1:]:
            raise ValueError(
                "weights.aligned = true makes down from up of the next layer, but weights.up is 0 mV ms there: "
                "give it a positive bound, or set weights.aligned to false"
            )
        return self

    @model_validator(mode="after")
    def _times_on_the_grid(self) -> Microcircuit:
        h = self.simulation.h
        if h / NEST_TIC > MOST_STEPS or not _is_multiple(h, NEST_TIC):
            raise ValueError(f"simulation.h must be a multiple of {NEST_TIC} ms (NEST's clock), got {h} ms")
        times = {
            "simulation.delay": self.simulation.delay,
            "neuron.t_ref": self.neuron.t_ref,
            "trial.t_pres": self.trial.t_pres,
            "trial.t_target_on": self.trial.t_target_on,
            "trial.t_learn_on": self.trial.t_learn_on,
            "trial.t_free_learn_on": self.trial.t_free_learn_on,
            "trial.t_readout_on": self.trial.t_readout_on,
            "trial.t_pres_test": self.trial.t_pres_test,
            "trial.t_readout_on_test": self.trial.t_readout_on_test,
            "trial.t_relax": self.trial.t_relax,
        }
        for name, time in times.items():
            most = MOST_STEPS_OF_DELAY if name == "simulation.delay" else MOST_STEPS
            if time / h > most:
                raise ValueError(
                    f"{name} must be at most {most:g} time steps simulation.h = {h} ms, got {time} ms; change either"
                )
            if not _is_multiple(time, h):
                raise ValueError(
                    f"{name} must be a multiple of the time step simulation.h = {h} ms, got {time} ms; change either"
                )
        return self


def _spread(values: tuple[float, ...], layers: int) -> tuple[float, ...]:
    return values * layers if len(values) == 1 else values


def _scaled(rates: tuple[float, ...], factors: Sequence[float] | float) -> tuple[float, ...]:
    """Each rate times the factor of its layer."""
    each = [factors] * len(rates) if isinstance(factors, (int, float)) else list(factors)
    if len(each) != len(rates):
        raise ValueError(
            f"{len(each)} factors for {len(rates)} learning rates; give one for each layer, or one for all"
        )
    return tuple(factor * rate for factor, rate in zip(each, rates, strict=True))


def _is_multiple(time: float, step: float) -> bool:
    steps = time / step
    tolerance = max(STEP_TOLERANCE, STEP_TOLERANCE_RELATIVE * steps)
    return time == 0.0 or (round(steps) >= 1 and abs(steps - round(steps)) < tolerance)
