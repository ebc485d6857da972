# SPDX-License-Identifier: GPL-2.0-or-later
"""Tasks of users: the page that builds one from nothing, tasks of other packages, what they lack."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import pynest_tools as pt
from pynest_tools import tasks
from pynest_tools.cli import main
from pynest_tools.errors import UserError

PAGE = Path(__file__).parents[2] / "docs" / "tasks.md"
CODE = re.search(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[1]


@pytest.fixture
def page(tmp_path, monkeypatch):
    """The page's module, run in an empty folder, where its run is."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_package.py").write_text(CODE)
    monkeypatch.syspath_prepend(str(tmp_path))
    import my_package

    yield my_package
    del sys.modules["my_package"]


def test_the_page_runs_and_its_task_is_learned(page):
    """The answer is linear in the inputs: a circuit that learns finds it."""
    assert page.result.test["accuracy"] > 0.9
    assert (Path("faster") / "summary.json").is_file()


@pytest.mark.slow
def test_resume_evaluate_and_predict_know_the_task_if_it_is_given(page):
    with pytest.raises(UserError, match=r"task 'faster' is unknown"):
        pt.resume("faster")
    longer = pt.resume("faster", task=page.Faster(), changes={"training": {"epochs": 25}})
    whole = pt.train({"hidden": [10]}, page.Faster(), backend="steady", training={"epochs": 25, "test_interval": 5})
    for (name, got), (_, wanted) in zip(longer.weights.named(), whole.weights.named()):
        np.testing.assert_array_equal(got, wanted, err_msg=name)
    run = pt.open_run("faster", task=page.Faster())
    assert run.specification.task == page.Faster()
    assert run.evaluate()[0]["accuracy"] == longer.test["accuracy"]
    np.testing.assert_array_equal(run.predict([[0.9, 0.1], [0.1, 0.9]]), [0, 1])
    with pytest.raises(UserError, match=r"the run has 2 inputs, x has shape \(1, 3\)"):
        run.predict([[0.1, 0.2, 0.3]])


def test_a_package_makes_its_tasks_known(page, monkeypatch):
    entry = EntryPoint(name="faster", value="my_package:Faster", group=tasks.ENTRY_POINTS)
    broken = EntryPoint(name="lost", value="my_package:Lost", group=tasks.ENTRY_POINTS)
    monkeypatch.setattr(tasks, "entry_points", lambda **wanted: EntryPoints([entry, broken]).select(**wanted))
    assert tasks.task_names()[-2:] == ["faster", "lost"]
    arguments = ["--backend", "backprop", "--epochs", "2", "--set", "task.n_samples=50", "--output", "again"]
    trained = CliRunner().invoke(main, ["train", "faster", *arguments])
    assert trained.exit_code == 0, trained.output
    assert pt.open_run("again").specification.task == page.Faster(n_samples=50)
    resumed = CliRunner().invoke(main, ["resume", "again", "--epochs", "3"])
    assert resumed.exit_code == 0, resumed.output
    for arguments, words in (
        (["faster", "--set", "task.samples=3"], "do not suit task faster"),
        (["lost"], "the task 'lost' cannot be imported from my_package:Lost"),
    ):
        refused = CliRunner().invoke(main, ["train", *arguments])
        assert refused.exit_code == 2
        assert words in refused.stderr


def test_what_is_no_task_is_said():
    with pytest.raises(ValueError, match="n_inputs, n_outputs, epoch and test_set"):
        pt.train(task=object())


@pytest.mark.slow
def test_tasks_are_compared_in_processes_of_their_own(page):
    """They are sent there, as every task of a module can be."""
    code = (
        CODE.partition("result =")[0] + "from pathlib import Path\n"
        "from pynest_tools.runs.comparison import compare\n"
        "from pynest_tools.runs.specification import RunSpecification\n"
        "if __name__ == '__main__':\n"
        "    entries = {'network': {'hidden': [5]}, 'training': {'epochs': 1}}\n"
        "    specs = {b: RunSpecification.for_task(Faster(), {**entries, 'backend': b}) for b in ('steady', 'backprop')}\n"
        "    assert set(compare(specs, Path('both'))) == {'steady', 'backprop'}\n"
    )
    Path("both.py").write_text(code)
    subprocess.run([sys.executable, "both.py"], check=True, env={"PYTHONPATH": ".", "OMP_NUM_THREADS": "1"})


def test_samples_of_arrays():
    classes = pt.Samples.from_arrays([[0.0, 1.0], [1.0, 0.0]], [1, 0], low=-0.5, high=2.0)
    np.testing.assert_array_equal(classes.targets, [[-0.5, 2.0], [2.0, -0.5]])
    np.testing.assert_array_equal(classes.labels, [1, 0])
    values = pt.Samples.from_arrays([[0.0], [1.0]], [0.5, 1.5])
    np.testing.assert_array_equal(values.targets, [[0.5], [1.5]])
    assert len(values) == 2


@pytest.mark.parametrize(
    ("x", "y", "words"),
    [
        ([[0.0], [1.0]], [1], "x has 2 samples and y has 1"),
        ([0.0, 1.0], [0, 1], "one row a sample"),
        ([[0.0], [np.nan]], [0, 1], r"x\[1, 0\] is not a finite number"),
        ([[0.0], [-1.0]], [0, 1], r"x\[1, 0\] is -1: a rate is not negative"),
        ([["a"], ["b"]], [0, 1], "x must hold numbers"),
        ([[0.0], [1.0]], [0, -1], "classes must be one whole number a sample"),
    ],
)
def test_arrays_that_are_no_samples(x, y, words):
    with pytest.raises(UserError, match=words):
        pt.Samples.from_arrays(x, y)
