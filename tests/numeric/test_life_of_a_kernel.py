# SPDX-License-Identifier: GPL-2.0-or-later
"""The life of a kernel, at random: whatever a user does between Simulates, in any order, and what must hold.

- Every weight, at any time, is that of the rule (plasticity_oracle.py, life_oracle.RateSynapse) for the errors that the dendrite has
  archived, and the spikes and rates that have reached the synapse. What is set is set exactly, what the filter holds comes on top.
- A frozen cell has no dynamics: its potentials stand still, it sends neither spikes nor signals, what arrives is lost, and it
  archives errors of 0, so that the weights go on without it. Its trials go on: an onset with reset brings it to rest.
- The potential of a dendrite is that of what arrived, each spike and rate with the weight that its synapse had on delivery;
  the nudging potential is the sum of the potentials that arrived, and none if none did.
- Read-outs are the means of the potentials over their windows.
- The memory of the archive is bounded by the number of synapses.
- What is refused is refused in a sentence, and changes nothing.

What is random in a cell, its spikes and with them its errors, the oracle takes from recorders; it shares no code with the module.
Weights are read after every Simulate, all is compared when the kernel is reset and when a life ends.

LIFE_EXAMPLES=1000 in the environment makes a random search of so many lives; without it they are always the same.
"""

import itertools
import os
import re
import sys
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from kernel_life import Life, ms
from life_book import RATE_PLASTIC, SIGNALS, STEPPING
from life_check import check, check_settings
from life_oracle import DENDRITES
from life_strategies import CONN_RULES, KINDS, SMALL, SUBSET, WEIGHTS, chosen, clocks, dynamics, rules, stimuli, windows

from pynest_tools.kernel.module import import_nest

N_LIVES = int(os.environ.get("LIFE_EXAMPLES", "0"))
STEPS = 50  # rules in a life
MOST_CELLS, MOST_SYNAPSES, MOST_MODELS = 12, 60, 18
LONGEST = 800  # steps, after which a life only ends

CONSTANTS = st.fixed_dictionaries(dict.fromkeys(DENDRITES, rules()))  # of the plastic synapses onto each dendrite
PLASTIC = "plastic"  # the model that goes with the constants of the life


class LifeOfAKernel(RuleBasedStateMachine):
    """Anything that a user may do, in any order."""

    life = None

    @initialize(
        threads=st.sampled_from([1, 1, 2, 3, 4]),
        seed=st.integers(0, 9999),
        min_delay=st.sampled_from([1, 2, 5]),
        more=st.sampled_from([0, 1, 17]),
        constants=CONSTANTS,
    )
    def begin(self, threads, seed, min_delay, more, constants):
        self.life = Life(
            import_nest(),
            threads=threads,
            seed=seed,
            min_delay=min_delay,
            max_delay=min_delay + more,
            constants=constants,
        )
        sources = self.life.create("parrot_neuron", 2)
        targets = self.life.create("pyramidal_neuron", 2, **KINDS["pyramidal_neuron"])
        for dendrite in DENDRITES:
            model = self.make_model(dendrite, PLASTIC, 1.0, (-1.0, 1.0), False)
            self.life.connect(sources, targets, model, "all_to_all", min_delay + more, 0.1)
        # NEST 3.10 crashes if signals are sent and models of them have been copied since
        for dendrite, kind in itertools.product(
            DENDRITES, (RATE_PLASTIC, "sic_connection", STEPPING, "static_synapse")
        ):
            self.make_model(dendrite, kind, 0.1, (-0.5, 0.5), False)
        self.life.copy_model("rate_connection_delayed", "nudge")

    def teardown(self):
        if self.life and sys.exc_info()[0] is None:  # else it has already failed
            check(self.life)

    @property
    def goes_on(self):
        """Whether the life is not over."""
        return self.life is not None and self.life.now < LONGEST

    # ---- time -----------------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.goes_on)
    @rule(n=st.integers(1, 7) | st.integers(1, 60))
    def simulate(self, n):
        self.life.run(n)
        self.life.read()

    @precondition(lambda self: self.goes_on)
    @rule(n=st.integers(1, 60), bits=SUBSET, thaws=st.booleans())
    def simulate_frozen(self, n, bits, thaws):
        self.freeze(bits, True)
        self.simulate(n)
        if thaws:
            self.freeze(bits, False)

    @precondition(lambda self: self.goes_on)
    @rule(pieces=st.lists(st.integers(1, 20), max_size=4), data=st.data())
    def run_in_pieces(self, pieces, data):
        self.life.prepare()
        for n in pieces:
            self.simulate(n)
            self.set_weight(data.draw(WEIGHTS), data.draw(SMALL))
            self.set_cells(data.draw(SUBSET), data.draw(clocks(self.life.now) | windows() | dynamics()))
        self.refused("frozen can be set only before Prepare", self.life.pyramidal()[0].node.set, frozen=True)
        self.life.cleanup()

    @precondition(lambda self: self.life is not None and self.life.now > 150)
    @rule(threads=st.sampled_from([1, 2, 4]), seed=SMALL, constants=CONSTANTS, back=st.booleans())
    def reset_kernel(self, threads, seed, constants, back):
        life = self.life
        check(life)
        if back:
            self.set_time_back()
        self.begin(threads, seed, 1 + seed % 3, 9 * (seed % 2), constants)

    def set_time_back(self):
        """What has been kept for plastic synapses cannot follow; static networks go on.

        Nor can what is kept for those of rates, which stays when they are gone.
        """
        self.life.nest.biological_time = 0.0
        learning = any(synapse.rule for synapse in self.life.present())
        kept_for_rates = any(is_rate for cell in self.life.cells for _, _, is_rate in cell.kept_since)
        if learning or kept_for_rates:
            self.refused("biological_time was set back", self.life.nest.Simulate, 1.0)
        else:
            self.life.nest.Simulate(1.0)

    # ---- structure ------------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.goes_on and len(self.life.cells) < MOST_CELLS)
    @rule(kind=st.sampled_from(sorted(KINDS)), n=st.integers(1, 2), data=st.data())
    def create(self, kind, n, data):
        if self.life.come_to_rest():
            own = stimuli() if "stimulus" in kind else dynamics() if "pyramidal" in kind else st.just({})
            self.life.create(kind, n, **KINDS[kind] | data.draw(own))

    @precondition(lambda self: self.goes_on and len(self.life.models) < MOST_MODELS)
    @rule(
        dendrite=st.sampled_from(sorted(DENDRITES)),
        kind=st.sampled_from([PLASTIC, PLASTIC + "_lbl", STEPPING, "static_synapse"]),
        eta=st.sampled_from([1.0, -1.0, 0.1, 1e-3]),
        bounds=st.sampled_from([(-1.0, 1.0), (-0.3, 0.5), (0.0, 0.5)]),
        recorded=st.booleans(),
    )
    def copy_model(self, dendrite, kind, eta, bounds, recorded):
        if self.life.come_to_rest():  # a recorder may be created
            self.make_model(dendrite, kind, eta, bounds, recorded)

    def make_model(self, dendrite, kind, eta, bounds, recorded):
        """Make a synapse model with the time constants that plastic synapses onto a dendrite have in this life."""
        if kind in ("static_synapse", "sic_connection"):
            return self.life.copy_model(kind, dendrite)
        learning = replace(self.life.constants[dendrite], eta=eta, Wmin=bounds[0], Wmax=bounds[1])
        if kind in (STEPPING, RATE_PLASTIC):
            learning = replace(learning, tau_m=None)
        name = "dendritic_error_synapse" if learning.tau_m is None else "dendritic_error_psp_synapse"
        return self.life.copy_model(kind.replace(PLASTIC, name), dendrite, learning, recorded)

    @precondition(lambda self: self.goes_on and len(self.life.present()) < MOST_SYNAPSES)
    @rule(
        pre=SUBSET,
        post=SUBSET,
        which=st.integers(0, MOST_MODELS - 1),
        how=st.sampled_from(sorted(CONN_RULES)),
        longer=st.sampled_from([0, 0, 1, 5, 17]),
        weight=WEIGHTS,
    )
    def connect(self, pre, post, which, how, longer, weight):
        life = self.life
        model = life.models[which % len(life.models)]
        sources = chosen([cell for cell in life.cells if model.takes(cell)], pre)
        targets = chosen(life.pyramidal(), post)
        if how == "one_to_one":
            sources, targets = sources[: len(targets)], targets[: len(sources)]
        taken = {synapse.key for synapse in life.present()}
        if not sources or any((s.id, t.id, model.name) in taken for s in sources for t in targets):
            return
        if life.come_to_rest():
            delay = min(life.min_delay + longer, life.max_delay)
            life.connect(sources, targets, model, {"rule": how, **CONN_RULES[how]}, delay, allowed(model, weight))

    @precondition(lambda self: self.goes_on and self.life.present())
    @rule(which=SMALL, n=st.integers(1, 3))
    def disconnect(self, which, n):
        if self.life.come_to_rest():
            present = self.life.present()
            self.life.disconnect(present[which % len(present) :][:n])

    # ---- settings -------------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.goes_on)
    @rule(bits=SUBSET, frozen=st.booleans())
    def freeze(self, bits, frozen):
        self.life.set(self.with_clock(bits), frozen=frozen)

    @precondition(lambda self: self.goes_on and self.life.present())
    @rule(weight=WEIGHTS, which=SMALL)
    def set_weight(self, weight, which):
        present = self.life.present()
        if present:
            synapse = present[which % len(present)]
            self.life.set_weight(synapse, allowed(synapse.model, weight))

    @precondition(lambda self: self.goes_on)
    @rule(bits=SUBSET, data=st.data())
    def set_trials(self, bits, data):
        changes = data.draw(clocks(self.life.now))
        self.life.set(self.with_clock(bits), **changes)

    @precondition(lambda self: self.goes_on)
    @rule(bits=SUBSET, changes=windows() | dynamics())
    def set_cells(self, bits, changes):
        self.life.set(chosen(self.life.pyramidal(), bits), **changes)

    @precondition(lambda self: self.goes_on)
    @rule(bits=SUBSET, changes=stimuli())
    def set_stimuli(self, bits, changes):
        self.life.set(chosen([cell for cell in self.life.cells if cell.kind.startswith("stimulus")], bits), **changes)

    @precondition(lambda self: self.goes_on)
    @rule(
        kind=st.sampled_from(["pyramidal_neuron", "pyramidal_population", "pyramidal_rate_neuron"]), changes=windows()
    )
    def set_defaults(self, kind, changes):
        self.life.set_defaults(kind, **changes)

    @precondition(lambda self: self.goes_on)
    @rule(which=SMALL, bounds=st.sampled_from([(-1.0, 1.0), (-1.5, 2.0)]))
    def set_bounds(self, which, bounds):
        plastic = [model for model in self.life.models if model.rule and not model.steps]
        self.life.set_bounds(plastic[which % len(plastic)], *bounds)

    @precondition(lambda self: self.goes_on)
    @rule(which=SMALL)
    def look_at_cell(self, which):
        cells = self.life.pyramidal()
        check_settings(self.life, [cells[which % len(cells)]])

    def with_clock(self, bits):
        """Some cells of the module."""
        return chosen([cell for cell in self.life.cells if cell.kind != "parrot_neuron"], bits)

    # ---- refusals -------------------------------------------------------------------------------------------------------

    def refused(self, sentence, action, *args, **kwargs):
        """What is tried is refused in these words."""
        with pytest.raises(self.life.nest.NESTError, match=re.escape(sentence)):
            action(*args, **kwargs)

    @precondition(lambda self: self.goes_on)
    @rule(bits=SUBSET)
    def try_bad_settings(self, bits):
        for cell in chosen(self.life.pyramidal(), bits):
            self.refused("multiple of the resolution", cell.node.set, trial_duration=0.05)
            self.refused("and not negative", cell.node.set, trial_start=-1.0, trial_reset=True)
            self.refused("must be 'taught', 'free' or 'both'", cell.node.set, learning_basal="never")
            self.refused("must not exceed", cell.node.set, readout_start=3.0, readout_stop=2.0)
            self.refused("tau_basal", cell.node.set, tau_basal=-1.0)

    @precondition(lambda self: self.goes_on and self.life.present())
    @rule(which=SMALL)
    def try_bad_weights(self, which):
        plastic = [synapse for synapse in self.life.present() if synapse.rule and not synapse.model.steps]
        if plastic:
            synapse = plastic[which % len(plastic)]
            self.refused("the weight must lie in", setattr, self.life.connection(synapse), "weight", 1e6)
            self.refused(
                "cannot change while there are connections",
                self.life.nest.SetDefaults,
                synapse.model.name,
                {"eta": 7.0},
            )

    @precondition(lambda self: self.goes_on)
    @rule(bits=SUBSET, which=SMALL)
    def try_bad_connections(self, bits, which):
        """Even a Connect that is refused makes NEST set up its tables anew."""
        life = self.life
        models = [model for model in life.models if model.rule and model.kind not in SIGNALS]
        model = models[which % len(models)]
        if life.come_to_rest():
            life.growths.append(life.now)
            spec = {
                "synapse_model": model.name,
                "receptor_type": DENDRITES[model.receptor],
                "delay": ms(life.min_delay),
            }
            sources, targets = life.nodes(chosen(life.cells[:2], bits)), life.nodes(chosen(life.pyramidal(), bits))
            self.refused(
                "dendritic error", life.nest.Connect, sources, targets, "all_to_all", spec | {"receptor_type": 1}
            )
            self.refused("delay", life.nest.Connect, sources, targets, "all_to_all", spec | {"delay": 1000.0})


def allowed(model, weight):
    """The weight, or a smaller one where bounds are, or where loops of signals would diverge."""
    if model.rule:
        return model.rule.clip(weight)
    return 0.2 * weight if model.kind in SIGNALS else weight


def lives(n, *, at_random):
    """Settings for n lives, or as many as the environment asks for."""
    return settings(
        max_examples=N_LIVES or n,
        stateful_step_count=STEPS,
        derandomize=not (N_LIVES or at_random),
        database=None,
        print_blob=True,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


@pytest.mark.slow
class TestLife(LifeOfAKernel.TestCase):
    """10^4 steps of kernels, always the same: some 5 10^3 actions."""

    settings = lives(110, at_random=False)


@pytest.mark.nightly
class TestManyLives(LifeOfAKernel.TestCase):
    """10^6 actions, other ones every night."""

    settings = lives(22_000, at_random=True)
