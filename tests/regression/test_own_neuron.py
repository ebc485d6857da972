# SPDX-License-Identifier: GPL-2.0-or-later
"""A neuron of one's own: NESTML with two dendrites that no model here has becomes a module that knows them.

Needs what a build needs: nestml, cmake and ninja or make (`make nightly` installs them).
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NEURON = """# SPDX-License-Identifier: GPL-2.0-or-later
#
# branched_neuron - a cell with an oblique dendrite that learns and a perisomatic one that does not
# ##################################################################################################
#
# Description
# +++++++++++
#
# The soma is the sum of all dendrites.
#
model branched_neuron:
    state:
        V_soma mV = 0 mV
        V_basal mV = 0 mV
        V_oblique mV = 0 mV
        V_perisomatic mV = 0 mV
        V_prospective mV = 0 mV
        rate 1/ms = 0 / (1 ms)
        error_oblique mV = 0 mV
        n_spikes integer = 0

    parameters:
        tau ms = 2 ms [[tau > 0 ms]]    # time constant of all dendrites

    internals:
        h ms = resolution()
        decay real = exp(-h / tau)

    input:
        basal <- spike
        perisomatic <- spike
        apical <- spike
        trunk <- spike
        oblique <- spike
        I_stim pA <- continuous

    output:
        spike

    update:
        V_basal = decay * V_basal + (1 - decay) * basal * 1 s * 1 mV * 1 ms / h
        V_oblique = decay * V_oblique + (1 - decay) * oblique * 1 s * 1 mV * 1 ms / h
        V_perisomatic = decay * V_perisomatic + (1 - decay) * perisomatic * 1 s * 1 mV * 1 ms / h
        V_soma = V_basal + V_oblique + V_perisomatic
        V_prospective = V_soma
        rate = V_soma / (1 mV * 1 ms)
        n_spikes = random_poisson(rate * h)
        error_oblique = 3 mV - V_oblique
"""
USE = """
import numpy as np
import nest
from pynest_tools.kernel.module import install

install()
cell = nest.Create("branched_neuron")
assert cell.receptor_types == {"basal": 1, "perisomatic": 2, "apical": 3, "trunk": 4, "oblique": 5, "nudge": 6}
pre = nest.Create("branched_population")
for receptor, synapse in ((2, "dendritic_error_synapse"), (1, "dendritic_error_rate_synapse"), (4, "dendritic_error_synapse")):
    try:
        nest.Connect(pre, cell, syn_spec={"synapse_model": synapse, "receptor_type": receptor})
    except nest.NESTError as error:
        assert "connect it to receptor_type 'oblique' of branched_neuron" in str(error), error
    else:
        raise AssertionError(receptor)
try:
    nest.Connect(pre, cell, syn_spec={"receptor_type": 6})
except nest.NESTError as error:
    assert "basal = 1, perisomatic = 2, apical = 3, trunk = 4 or oblique = 5, potentials" in str(error), error
else:
    raise AssertionError

# One spike train onto all; potentials are impulse responses
times, weights = [1.0, 4.0], {1: 0.5, 2: 0.3, 5: 0.7}
generator, parrot = nest.Create("spike_generator", params={"spike_times": times}), nest.Create("parrot_neuron")
nest.Connect(generator, parrot)
eta, tau_s = 0.1, 2.0
nest.SetDefaults("dendritic_error_synapse", {"eta": eta, "tau_s": tau_s, "tau_Delta": 0.0})
for receptor, weight in weights.items():
    synapse = "dendritic_error_synapse" if receptor == 5 else "static_synapse"
    nest.Connect(parrot, cell, syn_spec={"synapse_model": synapse, "receptor_type": receptor, "weight": weight, "delay": 0.1})
names = ["V_basal", "V_perisomatic", "V_oblique", "error_oblique"]
meter = nest.Create("multimeter", params={"interval": 0.1, "record_from": names})
nest.Connect(meter, cell)
cell.set(readout_start=10.0, readout_stop=11.0, trial_duration=30.0)
nest.Simulate(20.0)
events = meter.events
t = events["times"]


def response(weight, arrival):  # a spike that is sent at a time arrives a delay later and acts on the step that follows
    return np.where(t > arrival + 0.05, weight / 0.1 * (1 - np.exp(-0.1 / 2.0)) * np.exp(-(t - arrival - 0.1) / 2.0), 0.0)


arrivals = [time + 1.0 for time in times]  # at the parrot
for receptor, name in ((1, "V_basal"), (2, "V_perisomatic")):
    expected = sum(response(weights[receptor], arrival + 0.0) for arrival in arrivals)
    assert np.allclose(events[name], expected, rtol=0, atol=1e-12), (name, np.max(np.abs(events[name] - expected)))
# dW = eta h sum over spikes and errors since of e(t) exp(-(t - spike) / tau_s); the synapse sees the errors after it of its delay ago
weight = nest.GetConnections(synapse_model="dendritic_error_synapse").weight
errors = events["error_oblique"]
assert np.allclose(errors, 3.0 - events["V_oblique"], rtol=0, atol=1e-14)
assert np.ptp(events["V_oblique"]) > 0.3
trace = sum(np.where(t > a - 0.1 + 0.05, np.exp(-(t - (a - 0.1)) / tau_s), 0.0) for a in arrivals)
change = eta * 0.1 * np.sum(errors * trace)
assert abs(weight - 0.7 - change) < 0.05 * abs(change), (weight - 0.7, change)  # the last steps, and the recorder's
assert len(cell.readout_V_soma) == 1 and np.isnan(cell.readout_V_apical[0])
print("as declared")
"""


@pytest.mark.nightly
def test_a_neuron_with_other_dendrites(tmp_path):
    models = tmp_path / "nestml_models"
    for name in ("cpp", "nestml_models/codegen", "pynest_tools/kernel"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "CMakeLists.txt", tmp_path)
    (models / "neurons").mkdir()
    (models / "neurons" / "branched_neuron.nestml").write_text(NEURON)
    build = tmp_path / "build"
    configure = [
        "cmake",
        "-S",
        tmp_path,
        "-B",
        build,
        f"-DPython_EXECUTABLE={sys.executable}",
        "-DCMAKE_BUILD_TYPE=Quick",
    ]
    for command in (configure, ["cmake", "--build", build, "--parallel", "2"]):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "population" in (build / "help" / "branched_population.rst").read_text()
    environment = os.environ | {"PYRAMIDAL_MODULE": str(build / "pyramidalmodule.so"), "PYTHONPATH": str(ROOT)}
    used = subprocess.run([sys.executable, "-c", USE], env=environment, capture_output=True, text=True, check=False)
    assert used.returncode == 0, used.stderr
    assert used.stdout.strip().endswith("as declared")
