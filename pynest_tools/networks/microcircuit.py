# SPDX-License-Identifier: GPL-2.0-or-later
"""Typed specification of a microcircuit, with units."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from ..settings import Settings, explain
from .depth import balanced_down, balanced_up
from .parameters import (
    ConnectivityParameters,
    InitialWeights,
    LayerParameters,
    NeuronParameters,
    PlasticityParameters,
    SimulationParameters,
    TrialParameters,
    as_tuple,
)

__all__ = [
    "ConnectivityParameters",
    "InitialWeights",
    "LayerParameters",
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
    bias_rate: float = Field(
        default=0.0,
        ge=0.0,
        description="rate of an always-active cell in every layer, whose weights are biases; 0: none, 1/ms",
    )
    dale: bool = Field(
        default=False,
        description=(
            "cells are excitatory or inhibitory: inhibitory partners of inputs and pyramidal cells subtract, interneurons inhibit"
        ),
    )
    neuron: NeuronParameters = NeuronParameters()
    layer: LayerParameters = LayerParameters()
    connectivity: ConnectivityParameters = ConnectivityParameters()
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
    def n_sources(self) -> list[int]:
        """Presynaptic cells of `up` from each layer but the outputs: its cells, its bias, and the inhibitory partners of both."""
        with_bias = self.bias_rate > 0.0
        return [(n + with_bias) * (2 if self.dale else 1) for n in self.sizes[:-1]]

    @property
    def is_random(self) -> bool:
        """Whether rates draw random numbers from sample to sample: for noise, cells that drop out, synapses that are not there."""
        return (
            self.neuron.sigma_noise > 0.0
            or self.plasticity.down == "alignment"
            or self.connectivity.dropout > 0.0
            or self.connectivity.dropconnect < 1.0
        )

    @property
    def has_missing_synapses(self) -> bool:
        """Whether synapses may be missing for good; their weights are NaN."""
        there = self.connectivity
        return any(
            p < 1.0
            for shares in (there.up, there.down, there.ip, there.pi)
            if not isinstance(shares, str)
            for p in shares
        )

    def neuron_of(self, layer: int) -> NeuronParameters:
        """Parameters of the pyramidal cells of a layer, 1 to N, and of the interneurons that predict them."""
        given = {name: values[layer - 1] for name, values in self.layer if values}
        return self.neuron.model_copy(update=given) if given else self.neuron

    @property
    def neurons(self) -> list[NeuronParameters]:
        """Parameters of the cells of P_1, ..., P_N."""
        return [self.neuron_of(k) for k in range(1, len(self.sizes))]

    @property
    def prediction_factors(self) -> list[float]:
        """alpha_k = v^ / v_b of P_1, ..., P_N: g_b / (g_L + g_b + g_a + g_t), g_a = g_t = 0 in the output layer."""
        *hidden, output = self.neurons
        return [*(n.g_basal / n.g_hidden for n in hidden), output.g_basal / output.g_point]

    @property
    def interneuron_factors(self) -> list[float]:
        """f_k = W_ip / W_up of the next layer, for which interneurons of hidden layer k have the potential of their partners.

        f_k = (g_L + g_b) / (g_L + g_b + g_a + g_t) of layer k + 1, where g_a = g_t = 0 in the output layer: the ratio of the factors
        with which v_b enters u of the next layer and v^ of the interneuron (docs/theory, "Self-prediction").
        """
        *above, _ = self.neurons[1:]
        return [*(n.g_point / n.g_hidden for n in above), 1.0]

    @property
    def lateral_factors(self) -> list[float]:
        """-W_pi / W_down of each hidden layer for which they cancel: 1, or g_t / g_a where down goes to a tuft of its own."""
        return [n.g_top_down / n.g_apical if n.g_tuft > 0.0 else 1.0 for n in self.neurons[:-1]]

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
        shares = [neuron.partner_share for neuron in self.neurons[1:]]
        return tuple(
            f * eta / share for f, eta, share in zip(self.interneuron_factors, self.eta_up[1:], shares, strict=True)
        )

    @property
    def eta_pi(self) -> tuple[float, ...]:
        """Learning rate of `pi` in each hidden layer (normalised, ms)."""
        return _spread(self.plasticity.eta_pi, self.n_hidden)

    @property
    def eta_down(self) -> tuple[float, ...]:
        """Learning rate of `down` in each hidden layer (normalised, mV ms^2); 0 unless it learns by prediction or alignment."""
        learns = self.plasticity.down in ("prediction", "alignment")
        return _spread(self.plasticity.eta_down if learns else (0.0,), self.n_hidden)

    def etas(self) -> dict[str, tuple[float, ...]]:
        """Learning rates by projection, one for each layer that has it."""
        return {"up": self.eta_up, "ip": self.eta_ip, "pi": self.eta_pi, "down": self.eta_down}

    @property
    def weight_bounds(self) -> dict[str, tuple[float, ...]]:
        """Bounds of the initial weights by projection, one for each layer that has it (normalised, mV ms)."""
        weights = self.weights
        up = balanced_up(self) if weights.up == "balanced" else weights.up
        up = _spread(up, self.n_hidden + 1)
        down = balanced_down(up, self) if weights.down == "balanced" else weights.down
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
            What eta of "up", "ip", "pi" and "down" is multiplied by, one factor per layer that has the projection or one for all;
            1 where there is none. A factor of 0 keeps a projection as it is. With eta_ip = "match", ip follows what becomes of up,
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
        unknown = set(factors) - {"up", "ip", "pi", "down"}
        if unknown:
            raise ValueError(
                f"factors of learning rates are for up, ip, pi and down, got one for {', '.join(sorted(unknown))}"
            )
        rates = {"eta_up": _scaled(self.eta_up, factors.get("up", 1.0))}
        if self.plasticity.eta_ip != "match":
            rates["eta_ip"] = _scaled(self.eta_ip, factors.get("ip", 1.0))
        rates["eta_pi"] = _scaled(self.eta_pi, factors.get("pi", 1.0))
        rates["eta_down"] = _scaled(self.eta_down, factors.get("down", 1.0))
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
            **{
                f"plasticity.{name}": getattr(self.plasticity, name)
                for name in ("eta_up", "eta_ip", "eta_pi", "eta_down")
            },
            **{f"weights.{name}": getattr(self.weights, name) for name in ("up", "down", "ip", "pi")},
            **{f"connectivity.{name}": getattr(self.connectivity, name) for name in ("up", "down", "ip", "pi")},
        }
        if len(self.weights.bias) not in (1, self.n_hidden + 1):
            raise ValueError(
                f"weights.bias has {len(self.weights.bias)} values, but sizes {list(self.sizes)} need {self.n_hidden + 1}; give one "
                "for each layer, or a single one for all"
            )
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
        if self.plasticity.eta_ip == "match" and any(neuron.g_nudge == 0.0 for neuron in self.neurons[1:]):
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
    def _layers_have_possible_parameters(self) -> Microcircuit:
        for name, values in self.layer:
            if values and len(values) != len(self.sizes) - 1:
                raise ValueError(
                    f"layer.{name} has {len(values)} values, but sizes {list(self.sizes)} need {len(self.sizes) - 1}, one for each of "
                    "P_1 to the outputs"
                )
        for k in range(1, len(self.sizes)):
            try:
                NeuronParameters.model_validate(self.neuron_of(k).model_dump())
            except ValidationError as error:
                raise ValueError(f"layer, of P_{k}: {explain(error, NeuronParameters)}") from error
        return self

    @model_validator(mode="after")
    def _feedback_can_learn(self) -> Microcircuit:
        rule, tuft = self.plasticity.down, self.neuron.g_tuft > 0.0
        if rule in ("static", "transpose") and max(self.plasticity.eta_down) > 0.0:
            raise ValueError(
                f'plasticity.eta_down is positive, but plasticity.down = "{rule}" has no learning rate; set it to "prediction" or '
                '"alignment", or eta_down to 0'
            )
        if rule == "prediction" and not tuft:
            raise ValueError(
                'plasticity.down = "prediction" needs a dendrite that receives down alone: set neuron.g_tuft, for instance to '
                "neuron.g_apical"
            )
        if rule == "alignment" and self.neuron.t_ref > 0.0:
            raise ValueError(
                'plasticity.down = "alignment" learns from spikes minus expected spikes, and a refractory cell expects none: set '
                f"neuron.t_ref to 0, got {self.neuron.t_ref} ms"
            )
        if rule == "transpose" and 0.0 in self.weight_bounds["up"][1:]:
            raise ValueError(
                'plasticity.down = "transpose" makes down from up of the next layer, scaled by the ratio of weights.down and '
                "weights.up, but weights.up is 0 mV ms there: give it a positive bound"
            )
        if tuft and self.weights.self_predicting and any(n.g_apical == 0.0 for n in self.neurons[:-1]):
            raise ValueError(
                "weights.self_predicting cancels what down brings to the tuft in the apical dendrite: neuron.g_apical must be "
                "positive, got 0.0 nS; or set self_predicting to false"
            )
        return self

    @model_validator(mode="after")
    def _missing_synapses_are_possible(self) -> Microcircuit:
        there = self.connectivity
        if self.weights.self_predicting and not (there.ip == "up" and there.pi == "down"):
            raise ValueError(
                'weights.self_predicting needs the same synapses in ip and up, and in pi and down: set connectivity.ip = "up" and '
                'connectivity.pi = "down", or self_predicting to false'
            )
        if there.dropconnect < 1.0 and (self.dale or there.release < 1.0):
            other = "dale = true" if self.dale else f"connectivity.release = {there.release}"
            raise ValueError(
                f"connectivity.dropconnect and {other} both decide on what a synapse transmits, and are not combined: leave one out"
            )
        if there.release < 1.0 and self.plasticity.down == "alignment":
            raise ValueError(
                'with plasticity.down = "alignment" every spike counts: connectivity.release must be 1, or down another rule'
            )
        return self

    @model_validator(mode="after")
    def _errors_can_be_passed_on(self) -> Microcircuit:
        if self.weights.down == "balanced" and any(neuron.g_top_down == 0.0 for neuron in self.neurons[:-1]):
            raise ValueError(
                'weights.down = "balanced" needs apical dendrites that move the soma, but neuron.g_apical is 0.0 nS: no feedback '
                "passes an error on; set g_apical, or give weights.down as a number"
            )
        return self

    @model_validator(mode="after")
    def _initial_weights_are_possible(self) -> Microcircuit:
        low, high = self.plasticity.Wmin, self.plasticity.Wmax
        bounds_of_all = {**self.weight_bounds, "bias": self.weights.bias}
        for name, bounds in bounds_of_all.items():
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
            "trial.t_target_ramp": self.trial.t_target_ramp,
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
