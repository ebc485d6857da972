# SPDX-License-Identifier: GPL-2.0-or-later
"""The step of a pyramidal cell in numpy, written from docs/models.md; shares no code with the models."""

import numpy as np

#: Parameters as the tests set them; the defaults of the models differ, so that nothing agrees by chance.
PARAMETERS = {
    "C_m": 1.3,
    "g_L": 0.04,
    "g_basal": 0.11,
    "g_apical": 0.07,
    "g_nudge": 0.05,
    "tau_basal": 1.7,
    "tau_apical": 0.6,
    "tau_syn_basal": 0.9,
    "tau_syn_apical": 2.1,
    "gamma": 0.8,
    "beta": 0.9,
    "theta": 0.2,
    "I_e": 0.03,
}
TUFT = {"g_tuft": 0.05, "tau_tuft": 2.3, "tau_syn_tuft": 0.4}
PLATEAU = {"V_plateau": 3.0, "theta_plateau": 0.8, "slope_plateau": 0.3, "tau_plateau": 6.0}
DENDRITES = ("basal", "apical", "tuft")


def phi(u, p):
    """Rate (1/ms) at potential u (mV)."""
    x = p["beta"] * (u - p["theta"])
    form = p.get("transfer_function", 0)
    shape = (np.logaddexp(0.0, x), 1.0 / (1.0 + np.exp(-x)), np.maximum(0.0, x))[form]
    return p["gamma"] * shape


def relative_slope(u, p):
    """H = d ln phi / du (1/mV) at potential u (mV); 0 where there is no rate."""
    x = p["beta"] * (u - p["theta"])
    form = p.get("transfer_function", 0)
    if form == 2:
        return p["beta"] / x if x > 0.0 else 0.0
    share = 1.0 / (1.0 + np.exp(-x))
    return p["beta"] * (1.0 - share if form == 1 else share / np.logaddexp(0.0, x))


def simulate(p, n, h, *, inputs=None, nudge=None, currents=None, gain=1.0, noise=0.0, ramp=1.0, spikes=None):
    """States of one cell at the end of n steps.

    Parameters
    ----------
    p : dict
        Parameters of the model; without psi: a rate neuron; without g_tuft: none.
    inputs : dict
        Weighted rate of each dendrite in every step (mV), shape (n,).
    nudge : ndarray
        Potential of the partner in every step, NaN: none (mV).
    currents : dict
        Current into each dendrite, and "soma", in every step (pA).
    gain, noise, ramp : float or ndarray
        Of every step.
    spikes : ndarray
        Spikes that the cell sent in every step, for the plateau; without them, what is sent is the rate.

    Returns
    -------
    dict of ndarray, shape (n,)
        By names of the model's recordables.
    """
    zeros = np.zeros(n)
    gain, noise, ramp = (np.broadcast_to(np.asarray(x, dtype=float), n) for x in (gain, noise, ramp))
    nudge = np.full(n, np.nan) if nudge is None else nudge
    inputs, currents = inputs or {}, currents or {}
    conductances = {name: p.get(f"g_{name}", 0.0) for name in DENDRITES}
    total = p["g_L"] + sum(conductances.values())
    psi = p.get("psi", 1.0)
    u, plateau, activity = 0.0, 0.0, 0.0
    synaptic, passive = dict.fromkeys(DENDRITES, 0.0), dict.fromkeys(DENDRITES, 0.0)
    found = {}

    def low_pass(value, target, tau):
        return target + (value - target) * (np.exp(-h / tau) if tau > 0.0 else 0.0)

    for k in range(n):
        for name in DENDRITES:
            synaptic[name] = low_pass(synaptic[name], inputs.get(name, zeros)[k], p.get(f"tau_syn_{name}", 0.0))
            driven = synaptic[name] + currents.get(name, zeros)[k] / p["g_L"]
            passive[name] = low_pass(passive[name], driven, p.get(f"tau_{name}", 0.0))
        v = dict(passive)
        if p.get("V_plateau", 0.0) > 0.0:
            open_ = 1.0 / (1.0 + np.exp(-(passive["tuft"] - p["theta_plateau"]) / p["slope_plateau"]))
            driven = p["V_plateau"] * open_ * (1.0 - np.exp(-activity / p["gamma"]))
            plateau = low_pass(plateau, driven, p["tau_plateau"])
            v["tuft"] += plateau
        current = p["I_e"] + currents.get("soma", zeros)[k] + sum(conductances[name] * v[name] for name in DENDRITES)
        g = total
        if not np.isnan(nudge[k]):
            g += ramp[k] * p["g_nudge"]
            current += ramp[k] * p["g_nudge"] * nudge[k]
        u = low_pass(u, current / g, p["C_m"] / g)
        acts = current / g if p.get("latent_equilibrium", True) else u
        predicted = p["g_basal"] * v["basal"] / total
        r = psi * gain[k] * phi(acts, p)
        sent = r + noise[k] * np.sqrt(r)
        error = r - psi * gain[k] * phi(predicted, p)
        if p.get("error_with_h", False):
            error *= relative_slope(predicted, p)
        both = p["g_apical"] + conductances["tuft"]
        V_apical = (p["g_apical"] * v["apical"] + conductances["tuft"] * v["tuft"]) / both if both > 0.0 else 0.0
        states = {
            "V_soma": u,
            "V_basal": v["basal"],
            "V_apical": V_apical,
            "V_prospective": acts,
            "rate": sent,
            "error_basal": error,
            "error_apical": -V_apical,
        }
        if "g_tuft" in p:
            states |= {"V_lateral": v["apical"], "V_tuft": v["tuft"], "plateau": plateau}
            states |= {"error_tuft": r - psi * gain[k] * phi(v["tuft"], p)}
        for name, value in states.items():
            found.setdefault(name, np.empty(n))[k] = value
        if "tau_plateau" in p:
            output = sent if spikes is None else spikes[k] / (h * psi)
            activity = low_pass(activity, output, p["tau_plateau"])
    return found
