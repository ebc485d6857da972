# SPDX-License-Identifier: GPL-2.0-or-later
"""What the experiments' READMEs claim, where it is quick to see; and that their studies can be drawn."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from pynest_tools.studies.execution import run_study
from pynest_tools.studies.study import open_study

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
STUDIES = sorted(path.parent.name for path in EXPERIMENTS.glob("*/study.toml"))


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
@pytest.mark.parametrize(("backend", "t_pres"), [("ode", 1.0), ("rate", 2.0), ("spiking", 5.0)])
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
