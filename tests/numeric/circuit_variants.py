# SPDX-License-Identifier: GPL-2.0-or-later
"""Circuits with options, each of which the rate network of NEST shares with that of numpy and with that of spikes."""

LEARNING = {"eta_up": 0.1, "eta_ip": 0.04, "eta_pi": 0.1}
BOUNDS = {**dict.fromkeys(("up", "down", "ip", "pi"), 0.5), "self_predicting": False}
SHORT = {"t_pres": 5.0, "t_learn_on": 1.0, "t_readout_on": 3.0}
RELAXING = {**SHORT, "between": "relax", "t_relax": 2.0}
BIASES = {"bias_rate": 0.7, "weights": {**BOUNDS, "bias": 0.3}}
TUFT = {"g_tuft": 0.05}
PREDICTION = {**LEARNING, "down": "prediction", "eta_down": 0.1}
ALIGNMENT = {**LEARNING, "down": "alignment", "eta_down": 0.05, "decay_down": 0.05}
LAYERS = {  # of P_1, P_2, P_3
    "C_m": [1.0, 2.0, 1.5],
    "g_L": [0.03, 0.04, 0.05],
    "g_basal": [0.1, 0.12, 0.09],
    "g_apical": [0.05, 0.07, 0.01],
    "g_nudge": [0.05, 0.06, 0.07],
    "gamma": [1.0, 0.8, 1.2],
    "beta": [1.0, 1.3, 0.8],
    "theta": [0.0, 0.2, -0.1],
}
VARIANTS = {
    "biases": BIASES,
    "dale": {"dale": True},
    "dale, biases, delay": {"dale": True, **BIASES, "simulation": {"delay": 0.3}},
    "dale, biases, relax": {"dale": True, **BIASES, "trial": RELAXING},
    "dale, momentary": {"dale": True, "neuron": {"latent_equilibrium": False}},
    "dale, alignment": {"dale": True, "plasticity": ALIGNMENT},
    "missing": {"connectivity": {"up": 0.6, "down": 0.7, "ip": 0.5, "pi": 0.8}},
    "tuft": {"neuron": TUFT},
    "prediction": {"neuron": TUFT, "plasticity": PREDICTION},
    "alignment": {"plasticity": ALIGNMENT},
    "alignment, tuft, delay": {"neuron": TUFT, "plasticity": ALIGNMENT, "simulation": {"delay": 0.3}},
    "alignment, dropout, keep": {
        "plasticity": ALIGNMENT,
        "connectivity": {"dropout": 0.3},
        "trial": {**SHORT, "between": "keep"},
    },
    "dropout": {"connectivity": {"dropout": 0.3}},
    "dropout, dale": {"connectivity": {"dropout": 0.3}, "dale": True},
    "dropout, tuft, prediction": {"connectivity": {"dropout": 0.3}, "neuron": TUFT, "plasticity": PREDICTION},
    "release": {"connectivity": {"release": 0.6}},
    "release, dale, biases": {"connectivity": {"release": 0.6}, "dale": True, **BIASES},
    "h": {"neuron": {"error_with_h": True}},
    "logistic": {"neuron": {"transfer": "logistic", "theta": 0.3}},
    "threshold-linear, h": {"neuron": {"transfer": "threshold-linear", "theta": -0.3, "error_with_h": True}},
    "layers": {"layer": LAYERS},
    "synaptic filter": {"neuron": {"tau_syn": 2.0}},
    "synaptic filter, tuft": {"neuron": {"tau_syn": 2.0, **TUFT}},
    "ramp": {"trial": {**SHORT, "t_target_ramp": 2.0}},
    "ramp, keep, delay": {
        "trial": {**SHORT, "between": "keep", "t_target_on": 0.5, "t_target_ramp": 2.0},
        "simulation": {"delay": 0.3},
    },
    "ramp, relax, dale": {"trial": {**RELAXING, "t_target_ramp": 2.0}, "dale": True, **BIASES},
}
