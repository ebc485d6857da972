# SPDX-License-Identifier: GPL-2.0-or-later
"""The training loop, with a network that needs no simulator."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from conftest import flat
from conftest import result_with as trial_result

from pynest_tools.networks.backend import DivergenceError
from pynest_tools.runs import loop
from pynest_tools.runs.checkpoint import load_checkpoint
from pynest_tools.runs.folder import RunFolder
from pynest_tools.runs.metrics import of_set
from pynest_tools.runs.specification import RunSpecification
from pynest_tools.runs.summary import TrainingResult, summarise
from pynest_tools.runs.training import evaluate, resume, train, train_seeds
from pynest_tools.tasks import Bars, Samples

TRAINING_TESTED = 24  # all samples of an epoch of bars are presented as in a test


def bars(epochs=7, test_interval=3, stop_after=0, training=None, **entries):
    training = {"epochs": epochs, "test_interval": test_interval, "stop_after": stop_after, **(training or {})}
    return RunSpecification.for_task("bars", {"training": training, **entries})


def result_with(accuracies, interval=10):
    records = [
        {"epoch": interval * n, "validation_accuracy": value, "validation_loss": 0.1}
        for n, value in enumerate(accuracies)
    ]
    return TrainingResult(None, records=records)


def without_wall(records):
    clock = {"wall_s", "samples_per_s"}
    return [{key: value for key, value in record.items() if key not in clock} for record in records]


def test_tests_before_between_and_at_the_end(networks):
    result = train(bars())
    assert [record["epoch"] for record in result.records] == [0, 3, 6, 7]
    assert [record["samples"] for record in result.records] == [0, 72, 144, 168]
    wanted = {"train_loss", "train_accuracy", "validation_loss", "validation_accuracy", "validation_confusion"}
    assert all(set(record) >= wanted for record in result.records)
    assert all(set(record) >= {"apical_error", "eta_up", "samples_per_s"} for record in result.records[1:])
    assert result.epochs == 7


def test_no_epochs_means_one_test_during_training_and_one_of_the_test_set(networks):
    result = train(bars(epochs=0))
    assert len(result.records) == 1
    assert "apical_error" not in result.records[0]
    assert result.test["loss"] == result.last["loss"]  # of bars, both sets are the same


def test_tests_between_epochs_when_samples_count(networks):
    result = train(bars(epochs=2, training={"test_every": 20}))
    assert [record["samples"] for record in result.records] == [0, 20, 40, 48]
    assert [record["epoch"] for record in result.records] == [0, 20 / 24, 1 + 16 / 24, 2]


@pytest.mark.parametrize(
    ("per_decade", "wanted"),
    [
        (1, [0, 1, 10, 100, 230]),
        (3, [0, 1, 2, 5, 10, 22, 46, 100, 215, 230]),  # 10^(1/3) = 2.15, 10^(2/3) = 4.64
        (10, [0, 1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 20, 25, 32, 40, 50, 63, 79, 100, 126, 158, 200, 230]),
    ],
)
def test_tests_at_epochs_that_are_evenly_spaced_by_their_logarithm(networks, per_decade, wanted):
    result = train(bars(epochs=230, test_interval=7, training={"tests_per_decade": per_decade}))
    assert [record["epoch"] for record in result.records] == wanted


def test_a_test_each_epoch_when_a_decade_has_more_tests_than_epochs(networks):
    result = train(bars(epochs=20, training={"tests_per_decade": 1000}))
    assert [record["epoch"] for record in result.records] == list(range(21))


def test_only_one_entry_says_when_to_test():
    with pytest.raises(
        ValueError, match="test_every = 20 samples and tests_per_decade = 10 both say when there is a test"
    ):
        bars(training={"test_every": 20, "tests_per_decade": 10})


def test_errors_of_the_circuits_own_predictions_are_means_over_the_samples_of_each_set(networks):
    """Each sample has errors of its own, and comes in pieces."""

    def run(stimuli, targets, *, learn):
        output = np.zeros((len(stimuli), 3))
        result = trial_result(networks[-1].circuit, output, output)
        return result._replace(apical_error=stimuli[:, 0], interneuron_error=stimuli[:, 1] ** 2)

    networks.prepare.update(run=run, chunk_samples=5)
    spec = bars(epochs=1)
    result = train(spec)
    subset = spec.task.epoch(np.random.default_rng(0))  # of bars every epoch has the same samples
    for metrics, stimuli in (
        (of_set(result.records[-1], "train"), subset.stimuli),
        (result.last, spec.task.validation_set().stimuli),
        (result.test, spec.task.test_set().stimuli),
    ):
        assert metrics["apical_error"] == pytest.approx(np.mean(stimuli[:, 0]), rel=1e-12)
        assert metrics["interneuron_error"] == pytest.approx(np.mean(stimuli[:, 1] ** 2), rel=1e-12)


def test_backprop_has_neither_these_errors_nor_a_distance():
    spec = bars(epochs=1, backend="backprop")
    for record in train(spec).records:
        assert not any("apical" in key or "interneuron" in key or key == "distance" for key in record)


def test_a_run_begins_with_the_weights_and_samples_that_its_specification_draws(networks):
    shown = []

    def run(stimuli, targets, *, learn):
        if learn:
            shown.append(stimuli)
        output = np.zeros((len(stimuli), 3))
        return trial_result(networks[-1].circuit, output, output)

    networks.prepare["run"] = run
    spec = bars(epochs=3, seed=5)
    train(spec)
    for (name, got), (_, wanted) in zip(networks[0].weights.named(), spec.initial_weights().named(), strict=True):
        np.testing.assert_array_equal(got, wanted, err_msg=name)
    order = spec.order()
    np.testing.assert_array_equal(
        np.concatenate(shown), np.concatenate([spec.task.epoch(order).stimuli for _ in range(3)])
    )


def test_a_part_of_the_validation_set_is_always_the_same(networks):
    train(bars(epochs=3, test_interval=1, training={"test_samples": 3}))
    tests = [[n for n, _, learn in network.calls if not learn] for network in networks]
    assert tests == [[3, TRAINING_TESTED]] * 4 + [[8]]  # the test set is presented whole, once


@pytest.mark.parametrize(
    ("chunk_samples", "trained"),
    [
        (1000, [72, 72, 24]),  # all samples up to the next test at once
        (50, [50, 22, 50, 22, 24]),
        (20, [20, 20, 20, 12] * 2 + [20, 4]),
    ],
)
def test_pieces_are_bounded_and_end_at_tests(networks, chunk_samples, trained):
    networks.prepare["chunk_samples"] = chunk_samples
    train(bars())
    calls = [call for network in networks for call in network.calls]
    assert [n for n, _, learn in calls if learn] == trained
    assert all(teacher == learn for _, teacher, learn in calls)
    assert sum(n for n, _, learn in calls if not learn) == (8 + TRAINING_TESTED) * 4 + 8


def test_results_do_not_depend_on_pieces(networks):
    runs = []
    for chunk_samples in (1000, 24, 7):
        networks.prepare["chunk_samples"] = chunk_samples
        runs.append(without_wall(train(bars()).records))
    for other in runs[1:]:
        for one, two in zip(runs[0], other, strict=True):
            assert flat(one) == pytest.approx(flat(two), rel=1e-12)  # means over pieces are summed in another order


def test_seeds_make_runs_reproducible_and_different(networks):
    first, again, other = (train(bars(seed=seed)) for seed in (1, 1, 2))
    assert without_wall(first.records) == without_wall(again.records)
    assert without_wall(first.records) != without_wall(other.records)
    np.testing.assert_array_equal(first.weights.up[0], again.weights.up[0])
    assert np.any(first.weights.up[0] != other.weights.up[0])
    seeds = [network.seed for network in networks]
    n_chunks = len(seeds) // 3  # each with random numbers of its own, the last one for the test set
    assert len(set(seeds[1:n_chunks])) == n_chunks - 1
    assert seeds[:n_chunks] == seeds[n_chunks : 2 * n_chunks]
    assert not set(seeds[:n_chunks]) & set(seeds[2 * n_chunks :])


def test_it_learns_and_tells_progress(networks):
    seen = []
    result = train(bars(epochs=100), on_progress=lambda epochs, record: seen.append((epochs, record)))
    assert result.test["accuracy"] == result.last["accuracy"] == 1.0
    assert result.last["loss"] < 0.05 < result.records[0]["validation_loss"]
    assert [epochs for epochs, _ in seen] == sorted(epochs for epochs, _ in seen)
    assert seen[0][0] == 0
    assert seen[-1][0] == 100
    assert seen[-1][1]["validation_accuracy"] == 1.0


def test_metrics_are_of_the_output_without_a_teacher(networks):
    """While a sample is learned its prediction and output say what was just taught: nothing of that is told."""

    def run(stimuli, targets, *, learn):
        output = np.full((len(stimuli), 3), 9.0 if learn else 2.0)
        return trial_result(networks[-1].circuit, output, output + 1.0, 0.25, 0.5)

    networks.prepare["run"] = run
    _, record = train(bars(epochs=1)).records
    assert record["validation_loss"] == record["train_loss"] == pytest.approx((1 + 2 * 4) / 3)
    assert (record["apical_error"], record["interneuron_error"]) == (0.25, 0.5)


class Unlearnable(Bars):
    """Bars whose labels are drawn at random each time: nobody can do better than chance."""

    def epoch(self, rng):
        samples = super().epoch(rng)
        return Samples(samples.stimuli, np.eye(3)[rng.integers(3, size=len(samples))])


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["steady", "backprop"])
def test_random_labels_are_learned_no_better_than_by_chance(backend):
    """Metrics of samples that were just taught would show 58 % here, and more in deeper networks."""
    trial = {"t_pres": 20.0, "t_learn_on": 5.0, "t_readout_on": 15.0, "t_pres_test": 20.0, "t_readout_on_test": 15.0}
    changes = {"backend": backend, "training": {"epochs": 20, "test_interval": 20}, "network": {"trial": trial}}
    spec = RunSpecification.for_task(Unlearnable(), changes)
    seeds = range(1, 41)
    accuracies = [result.records[-1]["train_accuracy"] for result in train_seeds(spec, seeds)]
    # answers to the 8 patterns are the same in all their presentations, but the labels of the 24 are independent
    standard_error = np.sqrt(1 / 3 * 2 / 3 / (TRAINING_TESTED * len(seeds)))
    assert abs(np.mean(accuracies) - 1 / 3) < 3.0 * standard_error


@pytest.mark.parametrize(
    ("accuracies", "stable"),
    [([0.5, 1.0, 1.0], 10), ([1.0, 0.9, 1.0], 20), ([1.0, 1.0], 0), ([1.0, 0.9], None), ([], None)],
)
def test_stable_from_epoch(accuracies, stable):
    assert result_with(accuracies).stable_from_epoch == stable


def test_python_share_is_what_the_simulator_did_not_take():
    assert TrainingResult(None, wall_s=4.0, simulation_s=3.0).python_share == 0.25


def test_the_folder_keeps_everything(networks, tmp_path):
    spec = bars()
    folder = RunFolder.create(tmp_path, spec)
    result = train(spec, folder)
    summary = json.loads(folder.summary.read_text())
    assert folder.read_metrics() == result.records
    assert summary == summarise(spec, result)
    assert set(summary) >= {
        "task", "backend", "seed", "epochs", "test", "tested_weights", "validation", "best", "stable_from_epoch", "wall_s",
        "python_share", "versions", "baselines",
    }  # fmt: skip
    assert (summary["task"], summary["backend"], summary["epochs"]) == ("bars", "spiking", 7)
    assert (summary["interrupted"], summary["diverged"]) == (False, None)
    kept = load_checkpoint(folder.checkpoint, spec.network)
    assert kept.state["epoch"] == 7
    np.testing.assert_array_equal(kept.weights.up[0], result.weights.up[0])


def test_ctrl_c_keeps_what_was_reached(networks, failing, tmp_path):
    failing(at=5 * 24 + 7, by="ctrl-c")
    folder = RunFolder.create(tmp_path, bars())
    result = train(bars(), folder)
    summary = json.loads(folder.summary.read_text())
    assert result.interrupted
    assert (summary["interrupted"], summary["epochs"], summary["test"]) == (True, 3, None)
    assert [record["epoch"] for record in folder.read_metrics()] == [0, 3]
    assert load_checkpoint(folder.checkpoint, bars().network).state["epoch"] == 3


@pytest.mark.parametrize("chunk_samples", [1000, 10])
def test_divergence_names_epoch_sample_and_cell(networks, failing, tmp_path, chunk_samples):
    failing(at=4 * 24 + 16, by="divergence")
    networks.prepare["chunk_samples"] = chunk_samples
    folder = RunFolder.create(tmp_path, bars())
    result = train(bars(), folder)
    assert result.diverged == "epoch 5, sample 17 of 24: cell 3 of P_1: a somatic potential became 1e9 mV"
    assert json.loads(folder.summary.read_text())["diverged"] == result.diverged
    assert result.epochs == 3
    assert load_checkpoint(folder.checkpoint, bars().network).state["epoch"] == 3


@pytest.mark.parametrize("absurd", [np.nan, 1e4])
def test_what_no_membrane_reaches_is_a_divergence(networks, absurd):
    train(bars(epochs=0))
    network = networks[0]
    network.map[1, 0] = absurd
    with pytest.raises(DivergenceError, match="P_2") as caught:
        evaluate(network, bars().task, bars().task.test_set())
    assert caught.value.trial == 0


def test_a_run_ends_early_when_it_has_learned(networks):
    full = train(bars(epochs=100, test_interval=10))
    assert full.epochs == 100
    assert full.stable_from_epoch is not None
    early = train(bars(epochs=100, test_interval=10, stop_after=3))
    assert early.epochs == full.stable_from_epoch + 2 * 10
    assert early.tests_at_100 == 3
    assert without_wall(early.records) == without_wall(full.records)[: len(early.records)]


class Recording:
    """Accuracies of a network that is as good as the list says."""

    def __init__(self, networks, accuracies):
        self.wanted, self.networks = iter(accuracies), networks

    def __call__(self, stimuli, targets, *, learn):
        circuit = self.networks[-1].circuit
        n = len(stimuli)
        right = np.zeros((n, 3))
        if not learn and n == 8:  # the validation set, or at the end the test set
            labels = Bars().test_set().labels
            k = next(self.wanted)
            right = np.eye(3)[np.where(np.arange(8) < k, labels, (labels + 1) % 3)]
        return trial_result(circuit, right, right)


def test_patience_ends_a_run_and_keeps_the_best(networks, tmp_path):
    networks.prepare["run"] = Recording(networks, [1, 5, 6, 4, 6, 6, 2])
    spec = bars(epochs=100, test_interval=1, training={"patience": 3})
    folder = RunFolder.create(tmp_path, spec)
    result = train(spec, folder)
    assert result.epochs == 5
    assert (result.best, result.tested_weights) == (2, "best")
    assert load_checkpoint(folder.best, spec.network).state["epoch"] == 2
    summary = json.loads(folder.summary.read_text())
    assert (summary["best"]["epoch"], summary["best"]["accuracy"]) == (2, 6 / 8)
    assert (summary["tested_weights"], summary["test"]["accuracy"]) == ("best", 2 / 8)


@pytest.mark.parametrize(("correct", "tested"), [([1, 5, 6, 4, 6, 6, 2], "best"), ([1, 2, 3, 4, 5, 6, 2], "last")])
def test_the_test_set_is_read_with_the_weights_that_are_named(networks, correct, tested):
    networks.prepare["run"] = Recording(networks, correct)

    def others():  # after every test
        return networks[0].weights.copy()

    networks.prepare["get_weights"] = others
    result = train(bars(epochs=5, test_interval=1, training={"patience": 3}))
    assert result.tested_weights == tested
    assert result.weights is not networks[0].weights
    assert (result.best_weights is result.weights) == (tested == "last")  # the last one was the best
    assert networks[-1].weights is (result.best_weights if tested == "best" else result.weights)


def test_a_run_that_was_killed_before_it_had_kept_its_best_keeps_it_on_resume(networks, tmp_path):
    networks.prepare["run"] = Recording(networks, [1, 5, 6, 6, 4, 4])
    spec = bars(epochs=2, test_interval=1)
    folder = RunFolder.create(tmp_path, spec)
    train(spec, folder)
    shutil.rmtree(folder.best)
    resumed = resume(folder, spec.changed({"training": {"epochs": 3}}))
    assert resumed.best == 2
    assert load_checkpoint(folder.best, spec.network).state["epoch"] == 2


class NoValidation:
    """A task with the five members that it must have."""

    name, n_inputs, n_outputs = "own", 9, 3

    def epoch(self, rng):
        return Bars().epoch(rng)

    def test_set(self):
        return Bars().test_set()


def test_without_a_validation_set_nothing_is_chosen(networks):
    result = train(RunSpecification.for_task(NoValidation(), {"training": {"epochs": 2, "test_interval": 1}}))
    assert result.tested_on == "test"
    assert result.best_weights is None
    assert result.test["accuracy"] == result.records[-1]["test_accuracy"]
    for entry in ("patience", "stop_after"):
        with pytest.raises(ValueError, match=f"{entry} needs a validation set, which task own lacks"):
            RunSpecification.for_task(NoValidation(), {"training": {entry: 3}})


@pytest.mark.parametrize("backend", ["ode", "steady", "backprop"])
def test_seeds_side_by_side_are_as_each_alone(backend):
    trial = {"t_pres": 4.0, "t_learn_on": 2.0, "t_readout_on": 3.0, "t_pres_test": 4.0, "t_readout_on_test": 3.0}
    changes = {"backend": backend, "training": {"epochs": 3, "test_interval": 2}, "network": {"trial": trial}}
    spec = RunSpecification.for_task("bars", changes)
    together = train_seeds(spec, [4, 7])
    for seed, result in zip([4, 7], together, strict=True):
        alone = train(spec.model_copy(update={"seed": seed}))
        for one, other in zip(without_wall(result.records), without_wall(alone.records)):
            # steady stops when all networks have settled to 1e-11 mV; else only sums in another order
            assert flat(one) == pytest.approx(flat(other), rel=1e-7, abs=1e-12)
        for (name, got), (_, wanted) in zip(result.weights.named(), alone.weights.named()):
            np.testing.assert_allclose(got, wanted, rtol=1e-8, atol=1e-10, err_msg=name)


def test_nest_holds_one_network():
    with pytest.raises(ValueError, match="backend spiking holds one network: call train for each seed"):
        train_seeds(bars(epochs=1), [1, 2])


SHORT_TRIAL = {"t_pres": 4.0, "t_learn_on": 2.0, "t_readout_on": 3.0, "t_pres_test": 4.0, "t_readout_on_test": 3.0}


@pytest.mark.parametrize("backend", ["spiking", "rate", "ode", "steady", "backprop"])
@pytest.mark.parametrize(
    "every",
    [{"test_interval": 5}, {"test_every": 100}, pytest.param({"tests_per_decade": 3}, marks=pytest.mark.slow)],
)
def test_a_resumed_run_is_the_one_that_was_not_interrupted(backend, every, tmp_path):
    """Bit by bit, whether it stopped at a test or between two, at the end of an epoch or within one."""
    schedule = {"up": {"kind": "cosine", "warmup": [3.0, 0.0]}}
    training = {"epochs": 12, "schedule": schedule, "decay": {"up": 1e-5}, **every}
    spec = RunSpecification.for_task(
        "bars", {"backend": backend, "training": training, "network": {"trial": SHORT_TRIAL}}
    )
    whole = train(spec)

    def stop(epochs, record):
        if epochs > 9:
            raise KeyboardInterrupt

    folder = RunFolder.create(tmp_path / "run", spec)
    stopped = train(spec, folder, stop)
    assert stopped.interrupted
    assert 5 <= stopped.epochs < 10
    checkpoint = load_checkpoint(folder.checkpoint, spec.network)
    assert checkpoint.state["samples"] == stopped.records[-1]["samples"]
    resumed = resume(folder, spec)
    assert without_wall(resumed.records) == without_wall(whole.records)
    assert without_wall(folder.read_metrics()) == without_wall(whole.records)
    assert resumed.test == whole.test
    for (name, got), (_, wanted) in zip(resumed.weights.named(), whole.weights.named()):
        np.testing.assert_array_equal(got, wanted, err_msg=name)
    times = [record["wall_s"] for record in resumed.records]
    assert times == sorted(times)
    # added to that of the checkpoint; what stopped spent beyond the checkpoint is not part of the resumed run
    assert 0.0 < checkpoint.simulation_s < resumed.simulation_s < resumed.wall_s
    assert json.loads(folder.summary.read_text())["interrupted"] is False


def test_a_run_can_go_on_for_longer(tmp_path):
    spec = RunSpecification.for_task("bars", {"backend": "backprop", "training": {"epochs": 3, "test_interval": 3}})
    folder = RunFolder.create(tmp_path / "run", spec)
    train(spec, folder)
    longer = spec.changed({"training": {"epochs": 9}})
    resumed = resume(folder, longer)
    assert resumed.epochs == 9
    assert RunSpecification.from_toml(folder.config).training.epochs == 9
    assert without_wall(resumed.records) == without_wall(train(longer).records)


def test_learning_rates_follow_their_schedules_from_epoch_to_epoch(monkeypatch):
    seen = []
    build = loop.build_network
    monkeypatch.setattr(
        loop,
        "build_network",
        lambda backend, circuit, *rest: (seen.append(circuit.eta_up), build(backend, circuit, *rest))[1],
    )
    schedule = {"up": {"kind": "exponential", "final": 0.25, "warmup": [2.0, 0.0]}}
    training = {"epochs": 4, "test_interval": 2, "schedule": schedule}
    result = train(RunSpecification.for_task("bars", {"backend": "backprop", "training": training}))
    wanted = [0.25 ** (n / 4) for n in (0.5, 1.5, 2.5, 3.5)]  # at the middle of each epoch
    np.testing.assert_allclose([eta[1] for eta in seen[1:5]], 0.003 * np.array(wanted), rtol=1e-12)
    np.testing.assert_allclose([eta[0] for eta in seen[1:5]], 0.01 * np.array(wanted) * [0.25, 0.75, 1, 1], rtol=1e-12)
    assert result.records[1]["eta_up"] == list(seen[2])


def test_weights_decay_as_the_differential_equation_says():
    """dW/dt = -rate W beside learning: from test to test it is split off, which is exact without learning and else of first order."""
    trial = {"t_pres": 20.0, "t_learn_on": 5.0, "t_readout_on": 15.0, "t_pres_test": 20.0, "t_readout_on_test": 15.0}
    rate = 1e-4  # 1/ms: of weights that do not learn e^(-0.0001 * 240 * 20) = 0.62 are left after 10 epochs
    still = {"plasticity": {"eta_up": 0.0, "eta_ip": 0.0, "eta_pi": 0.0}, "trial": trial}
    training = {"epochs": 10, "test_interval": 5, "decay": {"up": rate, "pi": 2 * rate}}
    result = train(RunSpecification.for_task("bars", {"backend": "steady", "network": still, "training": training}))
    start = train(RunSpecification.for_task("bars", {"backend": "steady", "network": still, "training": {"epochs": 0}}))
    left = np.exp(-rate * 240 * 20.0)
    np.testing.assert_allclose(result.weights.up[1], left * start.weights.up[1], rtol=1e-12)
    np.testing.assert_allclose(result.weights.pi[0], left**2 * start.weights.pi[0], rtol=1e-12)
    np.testing.assert_array_equal(result.weights.ip[0], start.weights.ip[0])

    def learned(samples_between_tests):
        entries = {"epochs": 4, "test_every": samples_between_tests, "decay": {"up": rate}}
        spec = RunSpecification.for_task(
            "bars", {"backend": "steady", "network": {"trial": trial}, "training": entries}
        )
        return train(spec).weights.up[0]

    fine = learned(1)  # after every sample, as in the synapse
    far, near = (np.linalg.norm(learned(n) - fine) for n in (16, 8))
    assert 1.5 < far / near < 3.0  # of first order in the time between two tests: 15/7 without the order of samples
    assert far < 0.05 * np.linalg.norm(fine)
