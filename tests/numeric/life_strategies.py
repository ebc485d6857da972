# SPDX-License-Identifier: GPL-2.0-or-later
"""Random settings for the life of a kernel."""

import math

from hypothesis import strategies as st
from kernel_life import ms
from life_oracle import DENDRITES
from plasticity_oracle import Rule

TAUS = st.sampled_from([0.02, 0.1, 1.0, 3.0, 30.0, 1e4])  # ms; shorter than a step to longer than a life
WEIGHTS = st.sampled_from([0.0, 0.3, -0.2, 1.0, -1.0, 0.05])  # mV ms, of an order that moves the potentials
# with what cells are made: few spikes, so that there are times without any on their way
KINDS = {
    "pyramidal_neuron": {"psi": 0.3, "I_e": 0.1},
    "pyramidal_population": {"psi": 0.3, "I_e": 0.1},
    "pyramidal_rate_neuron": {"I_e": 0.1},
    "stimulus_neuron": {"psi": 0.5},
    "stimulus_population": {"psi": 0.5},
    "parrot_neuron": {},
}
CONN_RULES = {
    "all_to_all": {"allow_multapses": False},
    "one_to_one": {},
    "fixed_indegree": {"indegree": 1, "allow_multapses": False},
    "fixed_outdegree": {"outdegree": 1, "allow_multapses": False},
    "fixed_total_number": {"N": 1},
    "pairwise_bernoulli": {"p": 0.5, "allow_multapses": False},
}
SMALL = st.integers(0, 7)
SUBSET = st.integers(1, 255)  # cells of a list, as bits


def chosen(items, bits):
    """Items of a list by the bits of a number, one at least if there is one."""
    return [item for i, item in enumerate(items) if bits >> i % 8 & 1] or items[:1]


@st.composite
def rules(draw):
    """Time constants of all plastic synapses onto one kind of dendrite."""
    tau_s = draw(TAUS)
    tau_m = draw(st.none() | TAUS.filter(lambda tau: tau != tau_s))
    return Rule(0.0, tau_s, draw(st.just(0.0) | TAUS), tau_m=tau_m)


@st.composite
def clocks(draw, now):
    """Trials that begin about now, and windows within them."""
    duration = draw(st.sampled_from([0, 0, 1, 3, 17, 40, 90]))
    start = max(0, now + draw(st.sampled_from([0, 0, -9, 5, 30])))
    values = {"trial_start": ms(start), "trial_duration": ms(duration), "trial_reset": draw(st.booleans())}
    stop = draw(st.sampled_from([0, 1, 10, 35]))
    stop = min(stop, duration) if duration else stop
    values |= {"readout_start": ms(draw(st.integers(0, stop))), "readout_stop": ms(stop)}
    if draw(st.booleans()):
        del values["trial_start"]  # read-outs are counted on
    return values


@st.composite
def windows(draw):
    """When the dendrites learn."""
    values = {"learning": draw(st.sampled_from([True, True, False]))}
    for name in ("learning", "free_learning"):
        start = draw(st.sampled_from([0, 0, 4, 12]))
        values[f"{name}_start"] = ms(start)
        values[f"{name}_stop"] = draw(st.sampled_from([math.inf, ms(start), ms(start + 5), ms(start + 20)]))
    for dendrite in DENDRITES:
        values[f"learning_{dendrite}"] = draw(st.sampled_from(["taught", "taught", "free", "both"]))
    return values


@st.composite
def stimuli(draw):
    """What a stimulus cell shows (steps become ms)."""
    values = st.lists(st.sampled_from([0.0, math.nan, 0.2, 1.0, 8.0]), max_size=6)
    return {
        "stimulus_values": draw(values),
        "stimulus_start": ms(draw(st.sampled_from([0, 0, 3]))),
        "stimulus_duration": draw(st.sampled_from([math.inf, 0.5, 2.0])),
    }


@st.composite
def dynamics(draw):
    """Parameters that all pyramidal cells have, and potentials."""
    one_of = {
        "I_e": st.sampled_from([0.0, 0.1, -0.2]),
        "tau_basal": st.sampled_from([0.0, 0.5, 1.0]),
        "tau_apical": st.sampled_from([0.0, 0.5, 1.0]),
        "tau_syn_basal": st.sampled_from([0.0, 0.4]),
        "tau_syn_apical": st.sampled_from([0.0, 0.4]),
        "g_apical": st.sampled_from([0.0, 0.06]),
        "latent_equilibrium": st.booleans(),
        "error_with_h": st.booleans(),
        "V_soma": st.sampled_from([0.0, 0.5]),
        "V_basal": st.sampled_from([0.0, -0.5]),
        "V_apical": st.sampled_from([0.0, 0.7]),
    }
    names = draw(st.lists(st.sampled_from(sorted(one_of)), min_size=1, max_size=3, unique=True))
    return {name: draw(one_of[name]) for name in names}
