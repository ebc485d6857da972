# SPDX-License-Identifier: GPL-2.0-or-later
"""The circuit alone: no targets, and what counts is how well it predicts its own feedback."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from pynest_tools.cli import main
from pynest_tools.errors import SpecificationError
from pynest_tools.runs.folder import RunFolder
from pynest_tools.runs.specification import RunSpecification
from pynest_tools.runs.summary import TrainingResult
from pynest_tools.runs.training import train
from pynest_tools.tasks import SelfPrediction
from pynest_tools.tasks.protocol import kind_of

#: An eighth of the time to learn and eight times the samples: 40 ms of learning in one step overshoot.
GENTLE = {"task": {"n_samples": 80}, "network": {"trial": {"t_pres": 15.0, "t_readout_on": 10.0}}}


def steady(epochs, **changes):
    entries = {"backend": "steady", "training": {"epochs": epochs}, **GENTLE, **changes}
    return RunSpecification.for_task("self_prediction", entries)


def test_inputs_are_uniform_and_outputs_free():
    task = SelfPrediction(n_inputs=4, n_outputs=2, n_samples=5000, lo=0.2, hi=0.6)
    samples = task.epoch(np.random.default_rng(1))
    assert (samples.stimuli.shape, samples.targets.shape) == ((5000, 4), (5000, 2))
    assert np.all(np.isnan(samples.targets))
    assert kind_of(task) == "free"
    assert (samples.stimuli.min(), samples.stimuli.max()) == pytest.approx((0.2, 0.6), abs=1e-3)
    # mean and standard deviation of a uniform variable; 20 000 of them are within 5 standard errors of 0.4 / sqrt(12 n)
    assert np.mean(samples.stimuli) == pytest.approx(0.4, abs=5 * 0.4 / np.sqrt(12 * samples.stimuli.size))


def test_every_epoch_is_new_and_two_sets_are_held_out():
    task, rng = SelfPrediction(), np.random.default_rng(1)
    epochs = [task.epoch(rng).stimuli for _ in range(3)]
    held_out = [task.validation_set().stimuli, task.test_set().stimuli]
    assert [len(part) for part in held_out] == [20, 20]
    rows = [tuple(row) for part in (*epochs, *held_out) for row in part]
    assert len(set(rows)) == len(rows) == 70
    np.testing.assert_array_equal(task.validation_set().stimuli, held_out[0])
    np.testing.assert_array_equal(task.test_set().stimuli, held_out[1])
    of_seeds = [RunSpecification.for_task(task, {"seed": seed}).order() for seed in range(5)]
    learned = {tuple(row) for order in of_seeds for row in task.epoch(order).stimuli}
    assert not learned & {tuple(row) for part in held_out for row in part}


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({"lo": 0.7, "hi": 0.5}, "lo = 0.7 1/ms is above hi = 0.5 1/ms; exchange them"),
        ({"n_samples": 0}, "task.n_samples must be greater than or equal to 1"),
        ({"n_outputs": 0}, "task.n_outputs must be greater than or equal to 1"),
        ({"lo": -0.1}, "task.lo must be greater than or equal to 0"),
    ],
)
def test_bad_settings_are_said(entries, words):
    with pytest.raises(SpecificationError, match=words):
        RunSpecification.for_task("self_prediction", {"task": entries})


def test_gradient_descent_has_nothing_to_descend():
    with pytest.raises(
        SpecificationError, match=r'backprop .* self_prediction have no targets; use backend = "steady"'
    ):
        RunSpecification.for_task("self_prediction", {"backend": "backprop"})


def test_exactly_self_predicting_weights_leave_nothing():
    """Interneurons are then at their partners' potentials, and what comes down is cancelled, whatever the input."""
    result = train(steady(0, network={**GENTLE["network"], "weights": {"self_predicting": True}}))
    (record,) = result.records
    assert record["distance"] == {"pi_1": 0.0, "ip_1": 0.0}
    for metrics in (result.last, result.test):
        assert set(metrics) == {"loss", "apical_error", "interneuron_error"}
        # sweeps end when potentials change by less than 1e-11 mV; 3 of them with weights up to 1 mV ms, at slopes up to 1
        assert metrics["apical_error"] < 1e-10
        assert metrics["interneuron_error"] < 1e-20
        assert metrics["loss"] < 1e-20


def test_a_circuit_learns_to_predict_itself():
    result = train(steady(30))
    first, last = result.records[0], result.records[-1]
    for name in ("train", "validation"):
        assert last[f"{name}_loss"] < 0.1 * first[f"{name}_loss"]
        assert last[f"{name}_apical_error"] < 0.2 * first[f"{name}_apical_error"]
        assert last[f"{name}_interneuron_error"] < 0.1 * first[f"{name}_interneuron_error"]
    distances = {name: [record["distance"][name] for record in result.records] for name in ("pi_1", "ip_1")}
    assert distances["ip_1"] == sorted(distances["ip_1"], reverse=True)  # what it has to become stays the same
    assert distances["pi_1"][-1] < 0.5 * distances["pi_1"][0]  # on the way it cancels what wrong interneurons say


def test_the_best_test_is_that_of_the_lowest_loss():
    records = [
        {"epoch": i, "validation_loss": loss, "validation_apical_error": 0.1}
        for i, loss in enumerate([3.0, 1.0, 2.0, 1.0])
    ]
    result = TrainingResult(None, records=records)
    assert (result.best, result.tests_since_best) == (1, 2)
    assert (result.tests_at_100, result.stable_from_epoch) == (0, None)


def test_patience_ends_a_run_with_its_best_weights():
    """With nothing that learns, no test is better than the first."""
    still = {**GENTLE["network"], "plasticity": {"eta_ip": 0.0, "eta_pi": 0.0}}
    result = train(steady(50, network=still, training={"epochs": 50, "patience": 3}))
    assert (result.epochs, result.best, result.tested_weights) == (3, 0, "best")


def test_its_folder_is_that_of_any_run(tmp_path):
    spec = steady(3)
    folder = RunFolder.create(tmp_path / "run", spec)
    result = train(spec, folder)
    assert folder.read_specification() == spec
    assert folder.read_metrics() == result.records
    summary = folder.read_summary()
    assert summary["test"] == result.test
    assert set(summary["best"]) == {"epoch", "loss", "apical_error", "interneuron_error"}
    assert summary["baselines"] == {}


@pytest.mark.slow
def test_tables_and_figures_leave_out_what_is_not_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def pyramidal(*arguments):
        done = CliRunner().invoke(main, arguments)
        assert done.exit_code == 0, done.output
        assert not {"accuracy", "R²", "chance"} & set(done.stdout.split())
        return " ".join(done.stdout.split())

    for seed in ("1", "2"):
        (tmp_path / "run.toml").write_text(steady(3).to_toml())
        said = pyramidal("train", "--config", "run.toml", "--seed", seed, "--output", f"run{seed}")
    metrics = json.loads((tmp_path / "run2" / "summary.json").read_text())["test"]
    assert f"test apical error {metrics['apical_error']:.3g} mV" in said
    assert f"test interneuron error {metrics['interneuron_error']:.3g} /ms²" in said
    assert {path.name for path in (tmp_path / "run1" / "figures").iterdir()} == {"training.png"}
    assert f"apical error {metrics['apical_error']:.3g} mV" in pyramidal("evaluate", "run2")
    assert f"{metrics['apical_error']:.3g} mV" in pyramidal("compare", "run1", "run2", "--output", "both.png")
    assert (tmp_path / "both.png").stat().st_size > 10_000
