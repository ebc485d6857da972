# SPDX-License-Identifier: GPL-2.0-or-later
"""Parameters of cells, plasticity, initial weights, trials and simulation, with units.

Weights and learning rates are stated normalised, as for rates; a spiking backend scales them with psi
(docs/theory, "psi: from rates to spikes"). "Thesis" in a description is Gille (2023), whose table of
defaults these are.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, TypeAdapter, model_validator

from ..settings import Settings

MOST_THREADS = 511  # what 9 bits hold, NEST's default for the number of a thread (nest_types.h)


def _one_or_more(value: Any) -> Any:
    return (value,) if isinstance(value, (int, float)) else value


def as_tuple(value: Any) -> Any:
    """A list as a tuple, anything else as it is: TOML has lists only, and specifications cannot change."""
    return tuple(value) if isinstance(value, list) else value


NonNegative = Annotated[float, Field(ge=0.0)]
Probability = Annotated[float, Field(gt=0.0, le=1.0)]
PerLayer = Annotated[tuple[NonNegative, ...], BeforeValidator(as_tuple), BeforeValidator(_one_or_more)]
Probabilities = Annotated[tuple[Probability, ...], BeforeValidator(as_tuple), BeforeValidator(_one_or_more)]


def _or_word(word: str, numbers: Any) -> BeforeValidator:
    """Accepts `word` or what the type `numbers` accepts; pydantic would tell of both faults of a value that is neither."""
    adapter = TypeAdapter(numbers, config=Settings.model_config)

    def check(value: Any) -> Any:
        if isinstance(value, str) and value != word:
            raise ValueError(f'must be a number or "{word}", got {value!r}')
        return value if isinstance(value, str) else adapter.validate_python(value)

    return BeforeValidator(check)


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
        description="nudging of interneurons by their partners, nS (thesis)",
    )
    g_target: Annotated[float | Literal["g_nudge"], _or_word("g_nudge", NonNegative)] = Field(
        default="g_nudge",
        description='nudging of outputs by the teacher, nS; "g_nudge": as strong as by partners (thesis)',
    )
    g_tuft: float = Field(
        default=0.0,
        ge=0.0,
        description="coupling of a tuft to the soma of hidden cells, to which down goes then; 0: down goes to the apical dendrite, nS",
    )
    tau_basal: float = Field(
        default=1.0, ge=0.0, description="time constant of the basal dendrite, 0: follows at once, ms (thesis)"
    )
    tau_apical: float = Field(
        default=1.0, ge=0.0, description="time constant of the apical dendrite, 0: follows at once, ms (thesis)"
    )
    tau_syn: float = Field(
        default=0.0, ge=0.0, description="time constant of the synaptic input of every dendrite, 0: an impulse, ms"
    )
    transfer: Literal["softplus", "logistic", "threshold-linear"] = Field(
        default="softplus", description="transfer function (docs/theory, Neuron)"
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
    error_with_h: bool = Field(
        default=False, description="multiply the basal error by h = d ln phi / dv (Urbanczik and Senn 2014)"
    )
    error_from_spikes: bool = Field(
        default=False, description="basal error from the spikes emitted instead of the rate (Urbanczik and Senn 2014)"
    )
    sigma_noise: float = Field(
        default=0.0, ge=0.0, description="standard deviation of a noise current into every soma, 0: none, pA"
    )
    tau_noise: float = Field(
        default=10.0, gt=0.0, description="time constant of the noise current (Ornstein-Uhlenbeck), ms"
    )

    @property
    def g_target_nS(self) -> float:  # noqa: N802
        """Conductance of the teacher onto output cells (nS)."""
        return self.g_nudge if isinstance(self.g_target, str) else self.g_target

    @property
    def g_top_down(self) -> float:
        """Coupling to the soma of the dendrite that receives `down` (nS)."""
        return self.g_tuft if self.g_tuft > 0.0 else self.g_apical

    @property
    def g_hidden(self) -> float:
        """Total conductance of a hidden pyramidal cell without nudging, g_L + g_b + g_a + g_t (nS)."""
        return self.g_L + self.g_basal + self.g_apical + self.g_tuft

    @property
    def g_point(self) -> float:
        """That of output cells and interneurons, which have a basal dendrite only, g_L + g_b (nS)."""
        return self.g_L + self.g_basal

    @property
    def partner_share(self) -> float:
        """Share of the partner in the potential of an interneuron, lambda = g_nudge / (g_L + g_b + g_nudge)."""
        return self.g_nudge / (self.g_point + self.g_nudge)

    @property
    def target_share(self) -> float:
        """Share of the teacher in the potential of an output cell, lambda_N = g_target / (g_L + g_b + g_target)."""
        return self.g_target_nS / (self.g_point + self.g_target_nS)


Given = Annotated[tuple[float, ...], BeforeValidator(as_tuple)]


class LayerParameters(Settings):
    """Parameters of cells that differ from layer to layer: one value for each of P_1, ..., P_N, or none.

    Interneurons take those of the layer that they predict.
    """

    C_m: Given = Field(default=(), description="somatic capacitance by layer, pF")
    g_L: Given = Field(default=(), description="somatic leak by layer, nS")
    g_basal: Given = Field(default=(), description="coupling of the basal dendrite by layer, nS")
    g_apical: Given = Field(default=(), description="coupling of the apical dendrite by layer (of outputs: none), nS")
    g_nudge: Given = Field(default=(), description="nudging of the interneurons that predict the layer, nS")
    gamma: Given = Field(default=(), description="scale of the transfer function by layer, 1/ms")
    beta: Given = Field(default=(), description="steepness of the transfer function by layer, 1/mV")
    theta: Given = Field(default=(), description="threshold of the transfer function by layer, mV")


class PlasticityParameters(Settings):
    """Learning rates (normalised), filters and bounds of the plastic projections, and how `down` learns."""

    eta_up: PerLayer = Field(
        default=(0.01, 0.003),
        description="learning rate of up, one per layer or one for all, mV ms^2 (thesis)",
    )
    eta_ip: Annotated[tuple[float, ...] | Literal["match"], _or_word("match", PerLayer)] = Field(
        default=(0.004,),
        description=(
            'learning rate of ip, one per hidden layer or one for all, mV ms^2 (thesis); "match": interneurons follow '
            "the next layer as fast as it learns"
        ),
    )
    eta_pi: PerLayer = Field(
        default=(0.01,), description="learning rate of pi, one per hidden layer or one for all, ms (thesis)"
    )
    down: Literal["static", "prediction", "alignment", "transpose"] = Field(
        default="static",
        description=(
            "how down learns; prediction: of the soma by the tuft; alignment: by the cells' own noise; transpose: it is up, "
            "transposed, as a yardstick (docs/theory, Learned feedback)"
        ),
    )
    eta_down: PerLayer = Field(
        default=(0.0,),
        description="learning rate of down, one per hidden layer or one for all; prediction: mV ms^2, alignment: mV ms",
    )
    decay_down: float = Field(
        default=0.0, ge=0.0, description="decay of down by alignment, per unit of both rates and ms, ms"
    )
    tau_innovation: float = Field(
        default=1.0, gt=0.0, description="low-pass filter of the noise of spikes that alignment learns from, ms"
    )
    tau_baseline: float = Field(
        default=3.0, gt=0.0, description="filter whose output is subtracted, so that this noise has no mean, ms"
    )
    noise_down: float = Field(
        default=0.1,
        gt=0.0,
        description="known noise of rates, which alignment learns from where there are no spikes, ms^-1/2",
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
    def _baseline_is_slower(self) -> PlasticityParameters:
        if self.tau_baseline <= self.tau_innovation:
            raise ValueError(
                f"tau_baseline must be longer than tau_innovation = {self.tau_innovation} ms, got {self.tau_baseline} ms: the "
                "difference of both filters is what alignment learns from"
            )
        return self

    @model_validator(mode="after")
    def _range_of_weights(self) -> PlasticityParameters:
        if self.Wmin >= self.Wmax:
            raise ValueError(f"Wmin must lie below Wmax, got {self.Wmin} and {self.Wmax} mV ms")
        return self


class InitialWeights(Settings):
    """Initial weights, drawn uniformly between plus and minus a bound (normalised)."""

    up: Annotated[tuple[float, ...] | Literal["balanced"], _or_word("balanced", PerLayer)] = Field(
        default=(1.0,),
        description='bound of up, one per layer or one for all, mV ms (thesis); "balanced": rates keep their size',
    )
    down: Annotated[tuple[float, ...] | Literal["balanced"], _or_word("balanced", PerLayer)] = Field(
        default=(1.0,),
        description='bound of down, one per hidden layer or one for all, mV ms (thesis); "balanced": errors keep their size',
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
    bias: PerLayer = Field(
        default=(0.0,), description="bound of the weights of the biases, one per layer or one for all, mV ms"
    )
    aligned: bool = Field(
        default=False,
        description="down starts as the transpose of up, scaled to its bound; it does not follow up later",
    )


class ConnectivityParameters(Settings):
    """Which synapses exist, and how reliably they and the cells transmit."""

    up: Probabilities = Field(
        default=(1.0,), description="probability that a synapse of up exists, one per layer or one for all"
    )
    down: Probabilities = Field(
        default=(1.0,), description="probability that a synapse of down exists, one per hidden layer or one for all"
    )
    ip: Annotated[tuple[float, ...] | Literal["up"], _or_word("up", Probabilities)] = Field(
        default="up", description='the same for ip; "up": those exist that do in up of the next layer'
    )
    pi: Annotated[tuple[float, ...] | Literal["down"], _or_word("down", Probabilities)] = Field(
        default="down", description='the same for pi; "down": those exist that do in down'
    )
    release: Probability = Field(default=1.0, description="probability that a synapse transmits a spike")
    dropconnect: Probability = Field(
        default=1.0,
        description="probability that a synapse of up, and the same one of ip, is there in a training sample (Wan et al. 2013)",
    )
    dropout: float = Field(
        default=0.0,
        ge=0.0,
        lt=1.0,
        description="probability that a hidden cell, with its interneuron, is silent in a training sample (Srivastava et al. 2014)",
    )


class TrialParameters(Settings):
    """Course of one presented sample, and what happens between two."""

    t_pres: float = Field(default=50.0, gt=0.0, description="presentation of a sample, ms (thesis)")
    t_target_on: float = Field(
        default=0.0, ge=0.0, description="the teacher acts from here to t_pres; before is a free phase, ms"
    )
    t_target_ramp: float = Field(
        default=0.0, ge=0.0, description="time in which the conductance of the teacher rises to its full value, ms"
    )
    t_learn_on: float = Field(default=10.0, ge=0.0, description="learning acts from here to t_pres, ms")
    free_learning: Annotated[tuple[Literal["ip", "pi"], ...], BeforeValidator(as_tuple)] = Field(
        default=(),
        description="what learns in the free phase: ip (in both then), pi (only there: taught, it would learn to cancel)",
    )
    t_free_learn_on: float = Field(default=0.0, ge=0.0, description="free_learning acts from here to t_target_on, ms")
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
        windows = {
            "t_learn_on": "t_pres",
            "t_target_on": "t_pres",
            "t_readout_on": "t_pres",
            "t_readout_on_test": "t_pres_test",
        }
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

    @model_validator(mode="after")
    def _free_phase(self) -> TrialParameters:
        if self.t_target_on > 0.0 and self.t_learn_on < self.t_target_on:
            raise ValueError(
                f"t_learn_on must not lie before t_target_on = {self.t_target_on} ms, got {self.t_learn_on} ms: without a "
                "teacher there is nothing for up to learn; what learns in the free phase is named by free_learning"
            )
        if self.free_learning and self.t_free_learn_on >= self.t_target_on:
            raise ValueError(
                f"free_learning needs a free phase: t_free_learn_on must lie before t_target_on = {self.t_target_on} ms, "
                f"got {self.t_free_learn_on} ms; set t_target_on later, or free_learning = []"
            )
        return self


class SimulationParameters(Settings):
    """Numerical parameters."""

    h: float = Field(default=0.1, gt=0.0, description="time step, ms (thesis)")
    delay: float = Field(default=0.1, gt=0.0, description="delay of every synapse, ms (thesis)")
    threads: int = Field(
        default=1, ge=1, le=MOST_THREADS, description="threads of the simulator; results with spikes depend on it"
    )
