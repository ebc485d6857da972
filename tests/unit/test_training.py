# SPDX-License-Identifier: GPL-2.0-or-later
"""The training loop, with a network that needs no simulator."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pynest_tools.networks.backend import DivergenceError, TrialResult
from pynest_tools.runs.checkpoint import load_checkpoint
from pynest_tools.runs.folder import RunFolder
from pynest_tools.runs.specification import RunSpecification
from pynest_tools.runs.summary import summarise
from pynest_tools.runs.training import TrainingResult, evaluate, resume, train, train_seeds


def bars(epochs=7, test_interval=3, stop_after=0, **entries):
    training = {"epochs": epochs, "test_interval": test_interval, "stop_after": stop_after}
    return RunSpecification.for_task("bars", {"training": training, **entries})


def result_with(accuracies, interval=10):
    records = [{"epoch": interval * n, "test_accuracy": value} for n, value in enumerate(accuracies)]
    return TrainingResult(None, {}, records=records)


def without_wall(records):
    return [{key: value for key, value in record.items() if key != "wall_s"} for record in records]


def test_tests_before_between_and_at_the_end(networks):
    result = train(bars())
    assert [record["epoch"] for record in result.records] == list(range(8))
    assert [record["epoch"] for record in result.records if "test_loss" in record] == [0, 3, 6, 7]
    assert all(set(record) >= {"train_loss", "train_accuracy", "apical_error"} for record in result.records[1:])
    assert result.epochs == 7


def test_no_epochs_means_one_test(networks):
    result = train(bars(epochs=0))
    assert [set(record) for record in result.records] == [{"epoch", "test_loss", "test_accuracy", "wall_s"}]


@pytest.mark.parametrize(
    ("chunk_samples", "trained"),
    [
        (1000, [72, 72, 24]),  # all epochs up to the next test at once
        (50, [48, 24, 48, 24, 24]),  # two epochs of 24 fit
        (20, [20, 4] * 7),  # an epoch does not fit
    ],
)
def test_chunks_are_bounded_and_end_at_tests(networks, chunk_samples, trained):
    networks.prepare["chunk_samples"] = chunk_samples
    train(bars())
    calls = [call for network in networks for call in network.calls]
    assert [n for n, _, learn in calls if learn] == trained
    assert all(teacher == learn for _, teacher, learn in calls)
    assert sum(n for n, _, learn in calls if not learn) == 8 * 4


def test_results_do_not_depend_on_chunks(networks):
    runs = []
    for chunk_samples in (1000, 24, 7):
        networks.prepare["chunk_samples"] = chunk_samples
        runs.append(without_wall(train(bars()).records))
    assert runs[0] == runs[1] == runs[2]


def test_seeds_make_runs_reproducible_and_different(networks):
    first, again, other = (train(bars(seed=seed)) for seed in (1, 1, 2))
    assert without_wall(first.records) == without_wall(again.records)
    assert without_wall(first.records) != without_wall(other.records)
    np.testing.assert_array_equal(first.weights.up[0], again.weights.up[0])
    assert np.any(first.weights.up[0] != other.weights.up[0])
    seeds = [network.seed for network in networks]
    n_chunks = len(seeds) // 3  # each with random numbers of its own
    assert len(set(seeds[1:n_chunks])) == n_chunks - 1
    assert seeds[:n_chunks] == seeds[n_chunks : 2 * n_chunks]
    assert not set(seeds[:n_chunks]) & set(seeds[2 * n_chunks :])


def test_it_learns_and_tells_progress(networks):
    seen = []
    result = train(bars(epochs=100), on_progress=lambda epochs, test: seen.append((epochs, test)))
    assert result.last_test["test_accuracy"] == 1.0
    assert result.last_test["test_loss"] < 0.05 < result.records[0]["test_loss"]
    assert [epochs for epochs, _ in seen] == sorted(epochs for epochs, _ in seen)
    assert seen[0][0] == 0
    assert seen[-1][0] == 100
    assert seen[-1][1]["test_accuracy"] == 1.0


def test_test_loss_is_of_the_output_and_train_loss_of_the_prediction(networks):
    def run(stimuli, targets, *, learn):
        ones = np.ones((len(stimuli), 3))
        return TrialResult(
            V_soma=2.0 * ones,
            prediction=3.0 * ones,
            apical_error=np.full(len(stimuli), 0.25),
            interneuron_error=np.full(len(stimuli), 0.5),
        )

    networks.prepare["run"] = run
    test, epoch = train(bars(epochs=1)).records
    assert test["test_loss"] == pytest.approx((1 + 2 * 4) / 3)
    assert epoch["train_loss"] == pytest.approx((4 + 2 * 9) / 3)
    assert epoch["apical_error"] == 0.25


@pytest.mark.parametrize(
    ("accuracies", "stable"),
    [([0.5, 1.0, 1.0], 10), ([1.0, 0.9, 1.0], 20), ([1.0, 1.0], 0), ([1.0, 0.9], None), ([], None)],
)
def test_stable_from_epoch(accuracies, stable):
    assert result_with(accuracies).stable_from_epoch == stable


def test_python_share_is_what_the_simulator_did_not_take():
    assert TrainingResult(None, {}, wall_s=4.0, simulation_s=3.0).python_share == 0.25


def test_the_folder_keeps_everything(networks, tmp_path):
    spec = bars()
    folder = RunFolder.create(tmp_path, spec)
    result = train(spec, folder)
    summary = json.loads(folder.summary.read_text())
    assert folder.read_metrics() == result.records
    assert summary == summarise(spec, result)
    assert set(summary) >= {
        "task", "backend", "seed", "epochs", "test_accuracy", "test_loss", "stable_from_epoch", "wall_s",
        "python_share", "versions", "baselines",
    }  # fmt: skip
    assert (summary["task"], summary["backend"], summary["epochs"]) == ("bars", "spiking", 7)
    assert set(summary["versions"]) == {"python", "numpy", "nest", "nestml", "pynest_tools"}
    assert (summary["interrupted"], summary["diverged"]) == (False, None)
    kept = load_checkpoint(folder.checkpoint, spec.network.sizes)
    assert kept.epoch == 7
    np.testing.assert_array_equal(kept.weights.up[0], result.weights.up[0])


def test_ctrl_c_keeps_what_was_reached(networks, failing, tmp_path):
    failing(at=5 * 24 + 7, by="ctrl-c")
    networks.prepare["chunk_samples"] = 24
    folder = RunFolder.create(tmp_path, bars())
    result = train(bars(), folder)
    summary = json.loads(folder.summary.read_text())
    assert result.interrupted
    assert (summary["interrupted"], summary["epochs"], summary["tested_after_epoch"]) == (True, 5, 3)
    assert [record["epoch"] for record in folder.read_metrics()] == [0, 1, 2, 3, 4, 5]
    assert load_checkpoint(folder.checkpoint, bars().network.sizes).epoch == 3


@pytest.mark.parametrize("chunk_samples", [1000, 10])
def test_divergence_names_epoch_and_sample(networks, failing, tmp_path, chunk_samples):
    failing(at=4 * 24 + 16, by="divergence")
    networks.prepare["chunk_samples"] = chunk_samples
    folder = RunFolder.create(tmp_path, bars())
    result = train(bars(), folder)
    assert result.diverged == "epoch 5, sample 17 of 24: V_soma of hidden cell 3 is 1e9 mV"
    assert json.loads(folder.summary.read_text())["diverged"] == result.diverged
    assert result.last_test["epoch"] == 3
    assert load_checkpoint(folder.checkpoint, bars().network.sizes).epoch == 3


def test_numbers_that_are_not_finite_are_a_divergence(networks):
    train(bars(epochs=0))
    network = networks[0]
    network.map[1, 0] = np.nan
    with pytest.raises(DivergenceError, match="not a finite number") as caught:
        evaluate(network, bars().task.test_set())
    assert caught.value.trial == 0


def test_a_run_ends_early_when_it_has_learned(networks):
    full = train(bars(epochs=100, test_interval=10))
    assert full.epochs == 100
    assert full.stable_from_epoch is not None
    early = train(bars(epochs=100, test_interval=10, stop_after=3))
    assert early.epochs == full.stable_from_epoch + 2 * 10
    assert early.tests_at_100 == 3
    assert without_wall(early.records) == without_wall(full.records)[: early.epochs + 1]


@pytest.mark.parametrize("backend", ["ode", "steady", "backprop"])
def test_seeds_side_by_side_are_as_each_alone(backend):
    trial = {"t_pres": 4.0, "t_learn_on": 2.0, "t_readout_on": 3.0, "t_pres_test": 4.0, "t_readout_on_test": 3.0}
    changes = {"backend": backend, "training": {"epochs": 3, "test_interval": 2}, "network": {"trial": trial}}
    spec = RunSpecification.for_task("bars", changes)
    together = train_seeds(spec, [4, 7])
    for seed, result in zip([4, 7], together):
        alone = train(spec.model_copy(update={"seed": seed}))
        for one, other in zip(without_wall(result.records), without_wall(alone.records)):
            # steady stops when all networks have settled to 1e-11 mV; else only sums in another order
            assert one == pytest.approx(other, rel=1e-7, abs=1e-12)
        for (name, got), (_, wanted) in zip(result.weights.named(), alone.weights.named()):
            np.testing.assert_allclose(got, wanted, rtol=1e-8, atol=1e-10, err_msg=name)


def test_nest_holds_one_network():
    with pytest.raises(ValueError, match="backend spiking holds one network: call train for each seed"):
        train_seeds(bars(epochs=1), [1, 2])


SHORT_TRIAL = {"t_pres": 4.0, "t_learn_on": 2.0, "t_readout_on": 3.0, "t_pres_test": 4.0, "t_readout_on_test": 3.0}


@pytest.mark.parametrize("backend", ["spiking", "rate", "ode", "steady", "backprop"])
def test_a_resumed_run_is_the_one_that_was_not_interrupted(backend, tmp_path):
    """Bit by bit, whether it stopped at a test or between two."""
    training = {"epochs": 12, "test_interval": 5}
    spec = RunSpecification.for_task(
        "bars", {"backend": backend, "training": training, "network": {"trial": SHORT_TRIAL}}
    )
    whole = train(spec)

    def stop(epochs, test):
        if epochs > 9:  # NEST trains 4 epochs at a time, and has kept the metrics of 4 beyond the checkpoint
            raise KeyboardInterrupt

    folder = RunFolder.create(tmp_path / "run", spec)
    stopped = train(spec, folder, stop)
    assert stopped.interrupted
    assert 5 <= stopped.epochs < 10
    checkpoint = load_checkpoint(folder.checkpoint, spec.network.sizes)
    assert checkpoint.epoch == 5
    resumed = resume(folder)
    assert without_wall(resumed.records) == without_wall(whole.records)
    assert without_wall(folder.read_metrics()) == without_wall(whole.records)
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
    longer = resume(folder, epochs=9)
    assert longer.epochs == 9
    assert RunSpecification.from_toml(folder.config).training.epochs == 9
    longer_from_the_start = spec.model_copy(update={"training": spec.training.model_copy(update={"epochs": 9})})
    assert without_wall(longer.records) == without_wall(train(longer_from_the_start).records)
