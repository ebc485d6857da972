# SPDX-License-Identifier: GPL-2.0-or-later
"""What the experiments' READMEs claim, where it is quick to see; and that their studies can be drawn."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import pynest_tools as pt
from pynest_tools.runs.folder import RunFolder
from pynest_tools.runs.specification import RunSpecification
from pynest_tools.runs.training import train
from pynest_tools.studies.execution import run_study
from pynest_tools.studies.study import open_study

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
STUDIES = sorted(str(path.parent.relative_to(EXPERIMENTS)) for path in EXPERIMENTS.rglob("study.toml"))


def script(name):
    """The run.py of an experiment as a module."""
    spec = importlib.util.spec_from_file_location(f"{name}_run", EXPERIMENTS / name / "run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def part_of_study(name, where, folder):
    """The runs of an experiment for which a formula is true."""
    source = EXPERIMENTS / name
    text = re.sub(r'where = "{3}.*?"{3}\n', "", (source / "study.toml").read_text(encoding="utf-8"), flags=re.DOTALL)
    file = folder / "study.toml"
    file.write_text(f'where = "{where}"\n{text}', encoding="utf-8")
    for reference in source.glob("thesis.json"):
        (folder / reference.name).write_bytes(reference.read_bytes())
    return run_study(file).table


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backend", "t_pres"), [("ode", 1.0), pytest.param("rate", 2.0, marks=pytest.mark.nightly), ("spiking", 5.0)]
)
def test_latent_equilibrium_learns_in_milliseconds(backend, t_pres, tmp_path, monkeypatch):
    """All of five seeds, while without it none learns from such short presentations."""
    monkeypatch.chdir(tmp_path)
    conditions = "(condition == 'latent equilibrium' or condition == 'without' and seed == 1)"
    table = part_of_study(
        "latent_equilibrium", f"backend == '{backend}' and t_pres == {t_pres} and {conditions}", tmp_path
    )
    learned = table[table["condition"] == "latent equilibrium"]
    other = table[table["condition"] == "without"]
    assert list(learned["seed"]) == [1, 2, 3, 4, 5]
    assert learned["stable_from"].notna().all(), table
    assert len(other) == 1
    assert other["stable_from"].isna().all()
    assert other["accuracy"].item() < 0.9


@pytest.mark.parametrize("name", STUDIES)
def test_the_table_of_an_experiment_is_whole_and_of_its_study(name):
    """No run is missing, and what is varied is what the file says."""
    study = open_study(EXPERIMENTS / name)
    table = study.table
    wanted = {cell.run_name(seed) for cell in study.specification.cells() for seed in cell.seeds}
    assert set(table["run"]) == wanted
    assert set(table["status"]) <= {"done", "diverged"}
    assert list(table.columns) == study.headings


@pytest.mark.slow
def test_the_experiment_on_credit_assignment_runs(tmp_path):
    command = [sys.executable, EXPERIMENTS / "credit_assignment" / "run.py", "--quick", "--output", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "figure.png").stat().st_size > 10_000


@pytest.mark.slow
def test_the_experiment_on_self_prediction_shows_its_runs(tmp_path):
    """Runs of two seeds as a study keeps them, and one that has got less far."""
    run = script("self_prediction")
    for backend, seed, epochs in (("steady", 1, 10), ("steady", 2, 5), ("ode", 1, 1)):
        changes = {"backend": backend, "seed": seed, "training": {"epochs": epochs}}
        if backend == "steady":
            changes["network"] = {"trial": {"t_pres": 15.0, "t_readout_on": 10.0}}
        spec = RunSpecification.for_task("self_prediction", changes)
        train(spec, RunFolder.create(tmp_path / "runs" / f"backend={backend}-seed{seed}", spec))
    done = CliRunner().invoke(run.main, [str(tmp_path), "--output", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "course.png").stat().st_size > 10_000
    courses = run.course([pt.open_run(tmp_path / "runs" / f"backend=steady-seed{seed}") for seed in (1, 2)])
    assert courses["epoch"].tolist() == [[0, 1, 2, 3, 4, 5]] * 2
    means = courses["distance.ip_1"].mean(axis=0)
    assert f"{means[0]:.3g} (" in done.output
    assert f"{means[-1]:.3g} (" in done.output


def test_theory_of_self_prediction_expects_nothing_without_spikes():
    """With very many spikes per unit of rate only what is not learned yet is left: far less than spikes leave over."""
    expectations = script("self_prediction").expectations
    found = [
        expectations(
            RunSpecification.for_task(
                "self_prediction", {"network": {"neuron": {"psi": psi}}, "training": {"epochs": 500}}
            )
        )
        for psi in (250.0, 1e12)
    ]
    for name, with_spikes in found[0].items():
        assert found[1][name] < 0.1 * with_spikes, name
