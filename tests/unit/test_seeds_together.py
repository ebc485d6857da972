# SPDX-License-Identifier: GPL-2.0-or-later
"""Networks side by side whose runs are kept: each ends as it would alone, and all go on after a kill."""

import json
import os
import shutil
import signal
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from pynest_tools.runs import loop
from pynest_tools.runs.checkpoint import load_checkpoint
from pynest_tools.runs.folder import RunFolder
from pynest_tools.runs.specification import RunSpecification
from pynest_tools.runs.training import resume, train, train_seeds
from pynest_tools.studies.jobs import together

SEEDS = [4, 7, 9]
TRIAL = {"t_pres": 4.0, "t_learn_on": 2.0, "t_readout_on": 3.0, "t_pres_test": 4.0, "t_readout_on_test": 3.0}
WALL = ("wall_s", "samples_per_s", "python_share")
#: Steady states are sought until those of all networks have settled to 1e-11 mV, and sums are taken in another order; a few epochs
#: amplify neither.
CLOSE = {"rel": 1e-7, "abs": 1e-10}


def spec_of(backend, **training):
    changes = {"backend": backend, "training": {"epochs": 4, "test_interval": 1} | training}
    if backend != "backprop":
        changes["network"] = {"trial": TRIAL}
    return RunSpecification.for_task("bars", changes)


def begin(path, spec, seeds=SEEDS):
    return [RunFolder.create(path / str(seed), spec.model_copy(update={"seed": seed})) for seed in seeds]


def records(folder):
    return [{key: value for key, value in record.items() if key not in WALL} for record in folder.read_metrics()]


def flat(values):
    """All numbers of nested records."""
    if isinstance(values, dict):
        values = [values[key] for key in sorted(values)]
    if isinstance(values, list):
        return [number for value in values for number in flat(value)]
    return [float(values)]


def assert_as_alone(folder, spec, seed, tmp_path):
    alone = RunFolder.create(tmp_path / f"alone-{seed}", spec.model_copy(update={"seed": seed}))
    train(spec.model_copy(update={"seed": seed}), alone)
    assert {p.name for p in folder.path.iterdir()} == {p.name for p in alone.path.iterdir()}
    assert len(records(folder)) == len(records(alone))
    assert flat(records(folder)) == pytest.approx(flat(records(alone)), **CLOSE)
    for kind in ("checkpoint", "best"):
        one, other = (load_checkpoint(getattr(f, kind), spec.network) for f in (folder, alone))
        assert one.state == other.state
        for (name, got), (_, wanted) in zip(one.weights.named(), other.weights.named()):
            np.testing.assert_allclose(got, wanted, rtol=1e-7, atol=1e-9, err_msg=name)
    mine, wanted = folder.read_summary(), alone.read_summary()
    assert mine["epochs"] == wanted["epochs"]
    assert mine["seed"] == seed
    assert mine["test"]["loss"] == pytest.approx(wanted["test"]["loss"], rel=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["ode", "steady", "backprop"])
def test_runs_are_kept_as_those_of_each_alone(backend, tmp_path):
    spec = spec_of(backend)
    folders = begin(tmp_path, spec)
    train_seeds(spec, SEEDS, folders=folders)
    for seed, folder in zip(SEEDS, folders):
        assert_as_alone(folder, spec, seed, tmp_path)


def test_each_ends_when_it_has_waited_in_vain(tmp_path):
    spec = spec_of("backprop", epochs=60, patience=2)
    folders = begin(tmp_path, spec)
    results = train_seeds(spec, SEEDS, folders=folders)
    assert len({result.epochs for result in results}) > 1  # else this test says nothing
    for seed, folder in zip(SEEDS, folders):
        assert_as_alone(folder, spec, seed, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("at_test", [False, True])
def test_one_that_diverges_leaves_the_others_alone(at_test, tmp_path, monkeypatch):
    """Its weights become absurd in the middle of an epoch, or so that a test finds it."""
    spec = spec_of("ode")
    third = {"build": 0}
    build = loop.build_network

    def sabotage(backend, circuit, weights, *rest):
        network = build(backend, circuit, weights, *rest)
        own, run = next(iter(network.get_weights().up)), network.run
        stacked = own.ndim == 3 and len(own) == len(SEEDS)
        third["build"] += stacked
        if stacked and third["build"] == 3:  # the second epoch

            def broken(stimuli, targets, *, learn):
                if learn != at_test:
                    bad = network.get_weights()
                    bad.up[0][1] = 1e6
                    network.set_weights(bad)
                return run(stimuli, targets, learn=learn)

            network.run = broken
        return network

    monkeypatch.setattr(loop, "build_network", sabotage)
    folders = begin(tmp_path, spec)
    results = train_seeds(spec, SEEDS, folders=folders)
    monkeypatch.undo()
    assert [bool(result.diverged) for result in results] == [False, True, False]
    assert "mV, but no membrane can be 150 mV from rest" in results[1].diverged
    assert results[1].epochs == 1  # its last test
    assert results[1].test is None
    assert folders[1].read_summary()["diverged"] == results[1].diverged
    for seed, folder in ((4, folders[0]), (9, folders[2])):
        assert_as_alone(folder, spec, seed, tmp_path)


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {here!r})
from test_seeds_together import SEEDS, spec_of
from pynest_tools.runs import loop
from pynest_tools.runs.folder import RunFolder
from pynest_tools.runs.training import train_seeds
count = 0
save, remove, append = loop.save_checkpoint, loop.remove_others, RunFolder.append
def counted(work):
    def step(*args, **keys):
        global count
        count += 1
        if count == {instant}:
            os.kill(os.getpid(), signal.SIGKILL)
        return work(*args, **keys)
    return step
loop.save_checkpoint, loop.remove_others = counted(save), counted(remove)
RunFolder.append = counted(append)
train_seeds(spec_of("ode"), SEEDS, folders=[RunFolder(Path({path!r}) / str(seed)) for seed in SEEDS])
"""


@pytest.mark.slow
def test_killed_at_any_moment_all_go_on_from_one_place(tmp_path):
    """Between any two writes of two tests; what comes out is what an undisturbed run gives, bit for bit."""
    spec = spec_of("ode")
    whole = begin(tmp_path / "whole", spec)
    train_seeds(spec, SEEDS, folders=whole)
    first = 6 * len(
        SEEDS
    )  # past the first test; a test writes a record, a checkpoint, perhaps a best one, and removes one, each
    for instant in (1, 2, 3, *range(first, first + 12, 3)):
        path = tmp_path / str(instant)
        folders = begin(path, spec)
        code = KILLED.format(here=os.path.dirname(__file__), instant=instant, path=str(path))
        killed = subprocess.run([sys.executable, "-c", code], check=False)
        assert killed.returncode == -signal.SIGKILL
        train_seeds(spec, SEEDS, folders=folders)
        for folder, wanted in zip(folders, whole):
            assert records(folder) == records(wanted), f"killed before write {instant}"
            for kind in ("checkpoint", "best"):
                one, other = (load_checkpoint(getattr(f, kind), spec.network) for f in (folder, wanted))
                assert one.state == other.state
                for (name, got), (_, right) in zip(one.weights.named(), other.weights.named()):
                    assert np.array_equal(got, right), (instant, kind, name)
            assert sorted(p.name for p in folder.checkpoint.iterdir()) == sorted(
                p.name for p in wanted.checkpoint.iterdir()
            )


def test_those_at_other_places_go_on_as_well(tmp_path):
    """One of them has been trained alone for a while, another one is damaged beyond its first test."""
    spec = spec_of("steady")
    folders = begin(tmp_path, spec)
    short = spec.changed({"training": {"epochs": 2}})
    train(short.model_copy(update={"seed": SEEDS[1]}), folders[1])
    folders[1].summary.unlink()
    results = train_seeds(spec, SEEDS, folders=folders)
    assert [result.epochs for result in results] == [4, 4, 4]
    for seed, folder in zip(SEEDS, folders):
        assert_as_alone(folder, spec, seed, tmp_path)


@pytest.mark.slow
def test_a_run_that_began_with_others_goes_on_alone(tmp_path):
    spec = spec_of("ode", epochs=2)
    folders = begin(tmp_path, spec)
    train_seeds(spec, SEEDS, folders=folders)
    longer = spec.changed({"training": {"epochs": 4}}).model_copy(update={"seed": SEEDS[0]})
    resume(folders[0], longer)
    shutil.rmtree(tmp_path / str(SEEDS[1]))
    assert_as_alone(folders[0], longer, SEEDS[0], tmp_path)


def test_locks_of_all_are_held(tmp_path):
    spec = spec_of("backprop")
    folders = begin(tmp_path, spec)
    held = []

    def look(epochs, record):
        held.append([(folder.path / ".lock").is_file() for folder in folders])

    train_seeds(spec, SEEDS, look, folders=folders)
    assert held
    assert all(map(all, held))
    assert json.loads(folders[2].summary.read_text())["seed"] == SEEDS[2]


@pytest.mark.parametrize(
    "circuit", [{"connectivity": {"dropout": 0.2}}, {"plasticity": {"down": "alignment"}}], ids=str
)
def test_a_study_trains_runs_that_draw_from_sample_to_sample_alone(circuit):
    """Side by side they would share what they draw."""
    spec = spec_of("steady").changed({"network": circuit})
    assert together(SimpleNamespace(specification=spec_of("steady")))
    assert not together(SimpleNamespace(specification=spec))
