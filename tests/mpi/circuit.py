# SPDX-License-Identifier: GPL-2.0-or-later
"""A PyNEST script: a circuit that learns, built twice; every process writes what it has seen of the second one.

Usage: circuit.py FOLDER THREADS MODEL, where MODEL is neuron, population, rate, options: populations with synapses that release
and align, or partners: rates, and nothing but nudging.
"""

import sys
from pathlib import Path

import nest
import numpy as np

import pynest_tools

N_PRE, N_POST = 2, 3  # so that a process of three has more sources than the others
RECORDED = ["V_soma", "V_basal", "V_apical", "V_nudge", "error_basal", "error_apical"]


def simulate(threads, model):
    """What the circuit does; the kernel may hold a former one."""
    nest.ResetKernel()
    nest.verbosity = nest.VerbosityLevel.ERROR
    nest.resolution = 0.1
    pynest_tools.install()
    nest.local_num_threads = threads
    nest.rng_seed = 7
    cells, static, rule, eta = f"pyramidal_{model}", "static_synapse", "dendritic_error_synapse", 1e-8
    if model in ("rate", "partners"):
        cells, static, rule, eta = "pyramidal_rate_neuron", "sic_connection", "dendritic_error_rate_synapse", 1e-2
    options = {}
    if model == "options":
        cells, static, rule = "pyramidal_population", "aligning", "releasing_dendritic_error_synapse"
        options = {"release_probability": 0.6}
        nest.CopyModel("alignment_synapse", static, {"eta": 1e-5, "alpha": 1e-6, "tau_innovation": 2.0})
    hidden = nest.Create(cells, N_PRE)
    output = nest.Create(cells, N_POST, {"g_apical": 0.0})
    interneurons = nest.Create(cells, N_POST, {"g_apical": 0.0})
    for i, cell in enumerate(hidden):
        cell.I_e = 0.02 * (i + 1)
    for i, cell in enumerate(output):
        cell.I_e = 0.05 - 0.03 * i
    unit = 1.0 / nest.GetDefaults(cells).get("psi", 1.0)
    nest.CopyModel(rule, "learning", {"eta": eta, **options})
    plastic, fixed = {"synapse_model": "learning"}, {"synapse_model": static}
    rng = np.random.default_rng(1)
    projections = [
        (hidden, output, "basal", plastic),
        (hidden, interneurons, "basal", plastic),
        (interneurons, hidden, "apical", plastic),
        (output, hidden, "apical", fixed),
    ]
    receptors = nest.GetDefaults(cells, "receptor_types")
    for pre, post, receptor, kind in [] if model == "partners" else projections:
        weights = unit * rng.uniform(-1.0, 1.0, (len(post), len(pre)))
        synapse = {"receptor_type": receptors[receptor], "weight": weights, "delay": 0.2}
        nest.Connect(pre, post, "all_to_all", kind | synapse)
    nudge = {"synapse_model": "rate_connection_delayed", "receptor_type": receptors["nudge"], "delay": 0.1}
    nest.Connect(output, interneurons, "one_to_one", nudge)
    nest.Connect(interneurons, output, "one_to_one", nudge | {"delay": 0.3})
    multimeter = nest.Create("multimeter", {"record_from": RECORDED, "interval": 0.1})
    nest.Connect(multimeter, hidden + output + interneurons)
    spikes = nest.Create("spike_recorder")
    if model in ("neuron", "population", "options"):
        nest.Connect(hidden + output + interneurons, spikes)
    for duration in (20.0, 0.1, 30.0):
        nest.Simulate(duration)
    found = {f"potentials_{key}": value for key, value in multimeter.events.items()}
    found |= {f"spikes_{key}": value for key, value in spikes.events.items()}
    connections = nest.GetConnections(synapse_model="learning")
    status = connections.get(["source", "target", "weight"]) if len(connections) else {}
    found |= {f"weights_{key}": np.atleast_1d(status.get(key, [])) for key in ("source", "target", "weight")}
    return found


if __name__ == "__main__":
    simulate(int(sys.argv[2]), sys.argv[3])
    np.savez(Path(sys.argv[1]) / f"{nest.Rank()}.npz", **simulate(int(sys.argv[2]), sys.argv[3]))
