# SPDX-License-Identifier: GPL-2.0-or-later
"""Studies: what a file says becomes cells, and what cannot be is said before anything runs."""

from __future__ import annotations

import json
import re
import time
from contextlib import suppress
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pynest_tools import tasks
from pynest_tools.errors import SpecificationError, UserError
from pynest_tools.runs.specification import RunSpecification
from pynest_tools.settings import nested
from pynest_tools.studies.axes import Choices, Range
from pynest_tools.studies.formula import FUNCTIONS, Formula
from pynest_tools.studies.specification import LONGEST_NAME, StudySpecification

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
BARS = {"task": {"name": "bars"}}
PSI, DELAY, T_PRES = "network.neuron.psi", "network.simulation.delay", "network.trial.t_pres"


unhurried = settings(deadline=None)  # machines may be busy


def study(directory=".", **entries):
    return StudySpecification.from_entries({"base": BARS, **entries}, directory)


def refused(words, **entries):
    """Refuses the study with one sentence, in which these words are."""
    with pytest.raises(SpecificationError, match=words) as caught:
        study(**entries)
    assert "\n" not in str(caught.value)


def read(tmp_path, text):
    path = tmp_path / "study.toml"
    path.write_text(text, encoding="utf-8")
    return StudySpecification.from_toml(path)


def run(changes, seed=1):
    return RunSpecification.for_task("bars", {**changes, "seed": seed})


# --- points ---


def test_a_grid_is_every_combination(tmp_path):
    found = read(
        tmp_path,
        """
        seeds = 2
        [base]
        task.name = "bars"
        training.epochs = 7
        [grid]
        network.simulation.delay = [0.1, 0.5]
        network.neuron.psi = [10.0, 100.0, 1000.0]
        """,
    )
    assert found.columns == ("delay", "psi")
    wanted = list(product((0.1, 0.5), (10.0, 100.0, 1000.0)))
    assert [(cell.point["delay"], cell.point["psi"]) for cell in found.cells()] == wanted
    for cell, (delay, psi) in zip(found.cells(), wanted):
        assert cell.seeds == (1, 2)
        for seed in cell.seeds:
            network = {"simulation": {"delay": delay}, "neuron": {"psi": psi}}
            assert cell.specification(seed) == run({"training": {"epochs": 7}, "network": network}, seed)


def test_lists_of_a_zip_move_together_and_are_one_axis_more():
    found = study(
        grid=nested(DELAY, [0.1, 0.5]),
        zip=[
            {"backend": ["ode", "rate"], "panel": ["numpy", "NEST"]},
            nested("network.neuron.latent_equilibrium", [True, False]),
        ],
    )
    assert found.columns == ("delay", "backend", "panel", "latent_equilibrium")
    assert [len(axis) for axis in found.axes] == [2, 2, 2]
    points = [tuple(cell.point.values()) for cell in found.cells()]
    assert points == [
        (d, *b, le) for d, b, le in product((0.1, 0.5), (("ode", "numpy"), ("rate", "NEST")), (True, False))
    ]
    assert found.cells()[-1].specification(1).backend == "rate"
    assert found.cells()[-1].specification(1).network.neuron.latent_equilibrium is False


def test_without_axes_there_are_only_seeds():
    (cell,) = study(seeds=[3, 5]).cells()
    assert (cell.point, cell.seeds, cell.name) == ({}, (3, 5), "")
    assert [cell.run_name(seed) for seed in cell.seeds] == ["seed3", "seed5"]
    assert study().seeds == (1,)


def values(leaf):
    (axis,) = study(grid=nested(PSI, leaf)).axes
    return axis.values["psi"]


def test_evenly_spaced_values():
    assert values({"linspace": [0.1, 0.4, 4]}) == (0.1, 0.2, 0.3, 0.4)  # 0.1 + 0.2 is 0.30000000000000004
    assert values({"logspace": [1.0, 100.0, 3]}) == (1.0, 10.0, 100.0)
    assert values({"logspace": [100.0, 0.01, 5]}) == (100.0, 10.0, 1.0, 0.1, 0.01)
    whole, not_all = values({"linspace": [1, 5, 3]}), values({"linspace": [1, 2, 3]})
    assert whole == (1, 3, 5)
    assert all(isinstance(value, int) for value in whole)
    assert all(isinstance(value, float) for value in not_all)


@unhurried
@given(st.floats(1e-6, 1e6), st.floats(1e-6, 1e6), st.integers(2, 40), st.sampled_from(["linspace", "logspace"]))
def test_evenly_spaced_values_begin_and_end_as_said_and_have_steps_of_one_size(first, last, number, name):
    if abs(last - first) < 1e-6 * first:  # closer than can be told apart at 12 digits
        last = 2.0 * first
    found = np.array(values({name: [first, last, number]}))
    # a value is rounded by half a unit of its 12th digit, 5e-12 of itself at most, and a step has two of them
    assert len(found) == number
    np.testing.assert_allclose(found[[0, -1]], [first, last], rtol=5.1e-12)
    if name == "linspace":
        np.testing.assert_allclose(
            np.diff(found), (last - first) / (number - 1), rtol=0, atol=1.1e-11 * max(first, last)
        )
    else:
        np.testing.assert_allclose(np.diff(np.log(found)), np.log(last / first) / (number - 1), rtol=0, atol=1.1e-11)


@unhurried
@given(
    st.lists(st.integers(1, 10**6), min_size=1, max_size=4, unique=True),
    st.lists(st.sampled_from([0.1, 0.2, 0.3, 1.0]), min_size=1, unique=True),
    st.integers(1, 3),
)
def test_cells_are_all_points_once_with_the_run_that_they_stand_for(psis, delays, seeds):
    cells = study(
        grid={"network": {"neuron": {"psi": psis}, "simulation": {"delay": delays}}},
        seeds=seeds,
    ).cells()
    assert [(c.point["psi"], c.point["delay"]) for c in cells] == list(product(psis, delays))
    for cell in cells:
        neuron, simulation = {"psi": cell.point["psi"]}, {"delay": cell.point["delay"]}
        assert cell.specification(seeds) == run({"network": {"neuron": neuron, "simulation": simulation}}, seeds)


# --- formulas ---


def test_entries_follow_from_others_in_whatever_order_they_stand():
    found = study(
        grid=nested(T_PRES, [50.0, 20.0]),
        zip=[{"tau": [0.5, 2.0]}],
        set={
            "network": {
                "plasticity": {"eta_up": "[0.01 * scale, 0.003 * scale]", "tau_s": "tau"},
                "trial": {"t_learn_on": "half", "t_readout_on": "t_learn_on"},
            },
            "scale": "40 / (t_pres - t_learn_on)",
            "half": "t_pres / 2",
        },
    )
    for cell, (t_pres, tau) in zip(found.cells(), product((50.0, 20.0), (0.5, 2.0))):
        network = cell.specification(1).network
        assert network.trial.t_learn_on == network.trial.t_readout_on == t_pres / 2
        scale = 40 / (t_pres / 2)
        assert network.plasticity.eta_up == (0.01 * scale, 0.003 * scale)
        assert network.plasticity.tau_s == tau


def test_a_formula_knows_words_conditions_and_lists():
    found = study(
        grid={"backend": ["ode", "rate"], "wide": [True, False]},
        set={
            "training": {"batch_size": "24 if backend in ['ode', 'steady'] else 1"},
            "network": {"hidden": "[60] if wide else [30]"},
        },
    )
    runs = [cell.specification(1) for cell in found.cells()]
    assert [r.training.batch_size for r in runs] == [24, 24, 1, 1]
    assert [r.network.sizes for r in runs] == [(9, 60, 3), (9, 30, 3)] * 2


numbers = st.integers(-20, 20) | st.floats(-20.0, 20.0).map(lambda x: round(x, 3))
expressions = st.recursive(
    numbers.map(lambda x: f"({x})") | st.sampled_from(["x", "y"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "//", "%"]), inner).map(lambda t: f"({' '.join(t)})"),
        st.tuples(inner, st.sampled_from(["<", "<=", "==", "!="]), inner, inner, inner).map(
            lambda t: f"({t[3]} if {t[0]} {t[1]} {t[2]} else {t[4]})"
        ),
        inner.map(lambda t: f"abs({t})"),
        st.tuples(inner, inner).map(lambda t: f"max({t[0]}, {t[1]})"),
        inner.map(lambda t: f"(-{t})"),
    ),
    max_leaves=12,
)


@unhurried
@given(expressions, numbers, numbers)
def test_a_formula_is_what_python_says(text, x, y):
    names = {"x": x, "y": y}
    try:
        wanted = eval(text, {"__builtins__": {"abs": abs, "max": max}}, names)
    except ArithmeticError:
        with pytest.raises(UserError, match="cannot be computed"):
            Formula(text)(names)
    else:
        assert Formula(text)(names) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "(1).real", "x.__class__", "[y for y in [1]]", "x[0]", "lambda: 1", "f'{x}'", "{1: 2}", "(y := 1)", "b'1'", "1j",
        "None", "...", "max(*[1])", "max(1, key=abs)", "1 << 3", "1 is 1", "min(1)(2)",
    ],
)  # fmt: skip
def test_a_formula_is_no_python(text):
    with pytest.raises(UserError, match=r"a formula has only numbers, texts, lists"):
        Formula(text)


@pytest.mark.parametrize("text", ["open('x')", "eval('1')", "print(x)", "list(x)", "dict()", "range(3)"])
def test_a_formula_calls_only_its_functions(text):
    with pytest.raises(UserError, match=r"its function \w+ is unknown"):
        Formula(text)


@pytest.mark.parametrize("text", ["", "1 +", "x = 1", "1; 2", "import os", "(" * 500, "\0", "1) + (1"])
def test_what_is_no_formula_is_said(text):
    with pytest.raises(UserError, match="it is no formula"):
        Formula(text)


@pytest.mark.parametrize(
    "text", ["9 ** 9 ** 9", "((9 ** 99) ** 99) ** 99", "'a' * 10 ** 9", "[1] * 10 ** 9", "round(1, -10 ** 12)"]
)
def test_no_formula_takes_long(text):
    started = time.perf_counter()
    with suppress(UserError):
        Formula(text)({})
    assert time.perf_counter() - started < 1.0  # s; in full each takes minutes, or more than the memory


@pytest.mark.parametrize(
    ("text", "wanted"), [("2 ** 10", 1024), ("2 ** 0.5", 2**0.5), ("2 ** -1", 0.5), ("10.0 ** 300", 1e300)]
)
def test_powers_are_exact_where_they_can_be(text, wanted):
    assert Formula(text)({}) == wanted


def test_long_formulas_are_refused_and_told_in_short():
    refused(r'set.network.neuron.psi = "\[...\]": a formula has at most 1000 characters', set=nested(PSI, "1" * 1001))


def test_every_function_can_be_called():
    for name in FUNCTIONS:
        assert isinstance(Formula(f"{name}(2)" if name not in ("min", "max") else f"{name}(2, 3)")({}), int | float)


# --- where ---


def test_where_leaves_runs_out_by_point_and_seed():
    found = study(
        seeds=3,
        grid={"backend": ["ode", "rate"], **nested(T_PRES, [50.0, 100.0])},
        where="backend == 'ode' or seed == 1 and t_pres < 60",
    )
    kept = {(c.point["backend"], c.point["t_pres"]): c.seeds for c in found.cells()}
    assert kept == {("ode", 50.0): (1, 2, 3), ("ode", 100.0): (1, 2, 3), ("rate", 50.0): (1,)}


def test_a_point_that_is_left_out_need_not_be_possible():
    delays = nested(DELAY, [0.1, 0.15])
    refused(r"at delay = 0.15: network: simulation.delay must be a multiple of the time step", grid=delays)
    assert len(study(grid=delays, where="delay != 0.15").cells()) == 1


def test_where_may_be_written_in_several_lines(tmp_path):
    found = read(tmp_path, 'seeds = 3\nwhere = """seed == 1\n  or seed == 3"""\n[base]\ntask.name = "bars"\n')
    assert found.cells()[0].seeds == (1, 3)


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("seed == 4", 'where = "seed == 4" leaves no run'),
        ("seed", 'where = "seed" must be true or false, got 1 at psi = 10, seed = 1'),
        ("seed < 'a'", "at psi = 10, seed = 1: where .* cannot be computed"),
        ("psy > 3", r'where = "psy > 3": its name psy is unknown; did you mean psi\?'),
    ],
)
def test_a_bad_where_is_said(where, words):
    refused(words, grid=nested(PSI, [10, 20]), where=where)


# --- names ---


@unhurried
@given(
    st.lists(st.text(min_size=1), min_size=1, max_size=6, unique=True),
    st.lists(st.integers(1, 10**20) | st.floats(1e-300, 1e300), min_size=1, max_size=3, unique=True),
)
def test_names_of_cells_are_safe_unique_and_their_own(words, psis):
    entries = {"zip": [{"word": words, "backend": ["ode"] * len(words)}], "grid": nested(PSI, psis)}
    found = {cell.name: cell.point for cell in study(**entries).cells()}
    assert len({name.casefold() for name in found}) == len(words) * len(psis)
    for name in found:
        assert re.fullmatch(r"[A-Za-z0-9.,_=+-]+", name)
        assert len(name) <= LONGEST_NAME
        assert name.startswith("psi=")
    backwards = study(zip=[{"word": words[::-1], "backend": ["ode"] * len(words)}], grid=nested(PSI, psis[::-1]))
    assert {cell.name: cell.point for cell in backwards.cells()} == found


def names(**entries):
    return [cell.name for cell in study(**entries).cells()]


def test_names_of_cells_say_what_is_varied():
    assert names(grid=nested(DELAY, [0.1]), zip=[{"condition": ["20 ms"], **nested(PSI, [50.0])}]) == [
        "delay=0.1,condition=20-ms"
    ]
    assert names(
        base={**BARS, **nested("network.plasticity.eta_up", 0.01)}, grid=nested("network.hidden", [[30], [60, 20]])
    ) == ["hidden=30", "hidden=60+20"]
    assert names(grid=nested("network.neuron.latent_equilibrium", [True, False])) == [
        "latent_equilibrium=true",
        "latent_equilibrium=false",
    ]


def test_names_of_cells_do_not_depend_on_how_numbers_are_written_or_what_else_is_varied():
    assert names(grid=nested(PSI, [50, 7])) == ["psi=50", "psi=7"]
    assert names(grid=nested(PSI, [1.0, 50.0])) == ["psi=1", "psi=50"]


def test_points_whose_names_would_be_the_same_keep_apart():
    first, second = names(zip=[{"word": ["20 ms", "20_ms", "20-ms"], "backend": ["ode", "rate", "steady"]}])[::2]
    assert first != second
    assert re.fullmatch(r"word=20-ms-[0-9a-f]{8}", first)
    by_all = names(zip=[{"backend": ["ode", "ode"], **nested(PSI, [1, 2])}])
    assert by_all == ["psi=1", "psi=2"]  # the first column that tells them apart


# --- what cannot be ---


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({"base": {}}, r"base.task.name is missing: state the task, such as task.name = \"bars\" in \[base\]"),
        ({"base": {"task": {"name": "barz"}}}, r"task 'barz' is unknown; did you mean bars\?"),
        ({"base": {**BARS, "seed": 3}}, r"base.seed is for seeds"),
        ({"base": {**BARS, "trainig": {}}}, r"trainig is not a known key; did you mean training\?"),
        ({"grids": {}}, r"grids is not a known key; did you mean grid\?"),
        ({"grid": nested(PSI, 3)}, r"grid.network.neuron.psi must be a list of values, such as \[10, 100\], .* got 3"),
        ({"grid": nested(PSI, [])}, "grid.network.neuron.psi must be a list of values"),
        ({"grid": nested(PSI, "10")}, "grid.network.neuron.psi must be a list of values"),
        ({"grid": nested(PSI, {})}, "grid.network.neuron.psi is empty: leave it out"),
        ({"grid": nested(PSI, [1, 2, 1.0])}, "grid has psi = 1.0 twice: leave one out"),
        (
            {"grid": nested(PSI, [10, -2])},
            r"at psi = -2: network.neuron.psi must be greater than 0, got -2 \(spikes per",
        ),
        (
            {"grid": nested("network.neuron.psy", [10])},
            r"at psy = 10: network.neuron.psy is not a known key; did you mean psi\?",
        ),
        (
            {"grid": {"psi": [1, 2]}},
            r"psi is a name of your own, and changes nothing: write network.neuron.psi, or use it in a form",
        ),
        ({"grid": {"hidden": [[3], [4]]}}, r"changes nothing: write network.hidden, or"),
        (
            {"grid": {"word": [1, 2]}},
            r"word is a name of your own, and changes nothing: use it in a formula of \[set\]",
        ),
        (
            {"grid": {"bakend": ["ode"]}},
            r"bakend is no key of a run; did you mean backend\? A name of your own must differ more",
        ),
        ({"grid": {"two words": [1]}}, r"'two words' cannot be a name in formulas: use one word"),
        ({"grid": {"if": [1]}}, r"'if' cannot be a name in formulas"),
        ({"grid": {"seed": [1, 2]}}, r"seed is no axis: say which seeds every point has with seeds = \[1, 2\]"),
        ({"grid": {"status": [1, 2]}}, r"status is the name of a column that every table has: use another one"),
        (
            {"grid": nested("training.epochs", [1, 2])},
            r'training.epochs would have the column epochs, .* \[set\] that training.epochs = "',
        ),
        (
            {"grid": {"network": {"weights": {"up": [1.0]}}, "training": {"decay": {"up": [0.0]}}}},
            r"network.weights.up and training.decay.up would both have the column up: use a name of your own, .* and say in \[set\]",
        ),
        ({"grid": nested(PSI, [1]), "zip": [nested(PSI, [2])]}, r"network.neuron.psi is varied twice: leave one out"),
        ({"grid": {"network.neuron.psi": [1], **nested(PSI, [2])}}, r"grid.network.neuron.psi is there twice"),
        ({"zip": {"backend": ["ode"]}}, r"zip: lists that move together are written below \[\[zip\]\]"),
        ({"zip": [{}]}, r"zip\[0\] is empty"),
        ({"zip": [{"a": [1, 2], "backend": ["ode"]}]}, r"must be equally long, but in zip\[0\] a has 2, backend has 1"),
        (
            {"zip": [{"psi": [1], "backend": ["ode"]}]},
            r"psi is a name of your own, and changes nothing: write network.neuron.psi",
        ),
        ({"zip": [{"a": ["x"], "b": ["y"]}]}, r"a is a name of your own, and changes nothing"),
        ({"zip": [{"a": ["x", "x"], "backend": ["ode", "ode"]}]}, r"zip\[0\] has a = x, backend = ode twice"),
        (
            {"set": nested(PSI, 3)},
            r"set.network.neuron.psi must be a formula in quotes, got 3; or put it into \[base\]",
        ),
        (
            {"set": nested(PSI, "tpres")},
            r'set.network.neuron.psi = "tpres": its name tpres is unknown; there are no names here',
        ),
        ({"set": nested(PSI, "1 / 0")}, r'set.network.neuron.psi = "1 / 0": it cannot be computed: division by zero'),
        (
            {"grid": nested(PSI, [0]), "set": nested(DELAY, "1 / psi")},
            r'at psi = 0: set.network.simulation.delay = "1 / psi": it cannot',
        ),
        (
            {"grid": nested(PSI, [1]), "set": nested(PSI, "3")},
            r"set.network.neuron.psi is given by the axes: leave one out",
        ),
        ({"grid": nested(PSI, [1]), "set": {"psi": "3", **nested(DELAY, "psi")}}, r"set.psi is a column of the axes"),
        ({"set": {"seed": "3"}}, r"set.seed is given by"),
        ({"set": {"word": "3"}}, r"word is a name of your own, and changes nothing"),
        ({"set": {"nettwork": "3"}}, r"nettwork is no key of a run; did you mean network\?"),
        ({"grid": {"a": [1]}, "set": {"a": "3", **nested(DELAY, "a")}}, r"set.a is given by the axes: leave one out"),
        ({"set": {"a": "b", "b": "c", "c": "a"}}, r"formulas of \[set\] need each other in a circle: "),
        ({"set": {"a": "a", **nested(PSI, "a")}}, r'set.a = "a": its name a is unknown'),
        ({"set": nested(PSI, "sqr(2)")}, r"its function sqr is unknown; did you mean sqrt\?"),
        (
            {
                "grid": nested(PSI, {"linspace": [1, 200, 200]}),
                "zip": [{"a": list(range(100)), "backend": ["ode"] * 100}],
            },
            "20000 combinations",
        ),
        ({"seeds": 200, "grid": nested(PSI, {"linspace": [1, 100, 100]})}, "the study has 20000 runs, more than 10000"),
    ],
)
def test_what_cannot_be_is_said_in_one_sentence(entries, words):
    refused(words, **entries)


@pytest.mark.parametrize(
    "leaf", [[1], [1, 2], [1, 2, 1], [1, 2, 2.0], [1, 2, True], ["a", 2, 3], [1, float("inf"), 3], [1, 10**400, 3], 3]
)
@pytest.mark.parametrize("name", ["linspace", "logspace"])
def test_bad_spaces_are_said(leaf, name):
    refused(
        rf"write first value, last value, and how many, at least 2: grid.{PSI} = {{ {name} = ",
        grid=nested(PSI, {name: leaf}),
    )


def test_a_space_stands_alone_and_has_a_logarithm():
    refused("write first value", grid=nested(PSI, {"linspace": [1, 2, 3], "logspace": [1, 2, 3]}))
    refused("values of logspace must be positive, got 0 and 3", grid=nested(PSI, {"logspace": [0, 3, 3]}))


@pytest.mark.parametrize("seeds", [0, -1, True, 2.0, "2", [], [1, 1], [-1], [1.0], [True], 10**9])
def test_bad_seeds_are_said(seeds):
    refused(r"seeds: must be a list such as \[1, 2\], none twice, or how many, 1 to 10000; got", seeds=seeds)


def test_faults_of_a_file_name_the_file(tmp_path):
    with pytest.raises(SpecificationError, match=r"study.toml: at psi = -1: network.neuron.psi must be"):
        read(tmp_path, '[base]\ntask.name = "bars"\n[grid]\nnetwork.neuron.psi = [-1]')
    with pytest.raises(SpecificationError, match=r"study.toml is not valid TOML"):
        read(tmp_path, "[base")
    with pytest.raises(SpecificationError, match=r"cannot read .*none.toml"):
        StudySpecification.from_toml(tmp_path / "none.toml")


def test_a_name_of_ones_own_is_the_way_around_columns_that_are_taken():
    found = study(grid={"length": [1, 2]}, set=nested("training.epochs", "length"))
    assert [cell.specification(1).training.epochs for cell in found.cells()] == [1, 2]
    assert found.columns == ("length",)


# --- tasks ---


class Plain:
    """A task without a validation set; counts how often it is made."""

    name, n_inputs, n_outputs, made = "plain", 2, 2, 0

    def __init__(self, noise=0.0):
        self.noise = noise
        type(self).made += 1

    def epoch(self, rng):
        raise NotImplementedError

    test_set = epoch


@pytest.fixture
def plain(monkeypatch):
    monkeypatch.setitem(tasks.BUILT_IN, "plain", Plain)
    monkeypatch.setattr(Plain, "made", 0)
    return {"base": {"task": {"name": "plain"}}}


def test_a_task_is_made_once_for_all_runs_that_share_it(plain):
    found = study(**plain, grid={**nested("task.noise", [0.1, 0.2]), **nested(PSI, [1, 2, 3])})
    assert Plain.made == 2  # a task may read files
    assert [cell.specification(1).task.noise for cell in found.cells()] == [0.1] * 3 + [0.2] * 3


# --- reports ---


def metrics(found):
    return {name: (report.metric, report.tests, report.at) for name, report in found.reports.items()}


def test_reports_by_kind_of_task(plain):
    stable = {"stable_from_epoch": ("stable_from_epoch", 1, "last")}
    course = {"accuracy": ("validation_accuracy", 1, "last"), "loss": ("validation_loss", 1, "last")}
    assert metrics(study()) == course | stable
    regression = {"r2": ("validation_r2", 1, "last"), "loss": ("validation_loss", 1, "last")}
    assert metrics(study(base={"task": {"name": "teacher_student"}})) == regression
    untested = {"accuracy": ("test_accuracy", 1, "last"), "loss": ("test_loss", 1, "last")}
    assert metrics(study(**plain)) == untested | stable


def test_reports_of_ones_own():
    found = study(
        report={
            "accuracy": {"metric": "validation_accuracy", "tests": 5},
            "rate": {"metric": "rate_mean.P_1"},
            "loss": {"metric": "validation_loss", "at": "best"},
            "tested": {"metric": "test_loss"},
            "stable": {"metric": "stable_from_epoch", "tests": 8},
            "time": {"metric": "wall_s"},
        }
    )
    assert metrics(found)["accuracy"] == ("validation_accuracy", 5, "last")
    assert metrics(found)["loss"] == ("validation_loss", 1, "best")
    assert list(found.reports) == ["accuracy", "rate", "loss", "tested", "stable", "time"]


@pytest.mark.parametrize(
    ("report", "words"),
    [
        (
            {"metric": "validation_acuracy"},
            r"report.a.metric = validation_acuracy is nothing that runs of bars measure; did you mean val",
        ),
        ({"metric": "validation_r2"}, r"nothing that runs of bars measure"),
        ({"metric": "rate_mean"}, r"report.a.metric = rate_mean has several numbers: name one, such as rate_mean.P_1"),
        ({"metric": "validation_loss.x"}, r"validation_loss is one number, with nothing in it; write validation_loss"),
        (
            {"metric": "test_loss", "tests": 3},
            r"report.a.tests: test_loss is known once, at the end of a run; leave tests out",
        ),
        ({"metric": "epochs", "tests": 3}, r"report.a.tests: epochs is known once"),
        (
            {"metric": "test_loss", "at": "best"},
            r"report.a.at: test_loss is known once, at the end of a run; leave at out",
        ),
        (
            {"metric": "validation_loss", "at": "best", "tests": 2},
            r'report.a has at = "best", which is one test, and tests = 2',
        ),
        ({"metric": "validation_loss", "at": "first"}, r"report.a.at must be 'last' or 'best', got 'first'"),
        ({"metric": "validation_loss", "tests": 0}, r"report.a.tests must be greater than or equal to 1"),
        ({"tests": 2}, r"report.a.metric is missing"),
        ({"metric": "validation_loss", "test": 2}, r"report.a.test is not a known key; did you mean tests"),
    ],
)
def test_bad_reports_are_said(report, words):
    refused(words, report={"a": report})


def test_reports_that_a_task_cannot_have_are_said(plain):
    loss = {"metric": "test_loss", "at": "best"}
    refused(r'report.a.at = "best" needs a validation set, which task plain lacks', **plain, report={"a": loss})
    regression = {"task": {"name": "teacher_student"}}
    refused(
        r"counts tests at 100 %, but teacher_student has no classes",
        base=regression,
        report={"a": {"metric": "stable_from_epoch"}},
    )


def test_runs_without_targets_report_how_well_they_predict_themselves():
    base = {"task": {"name": "self_prediction"}}
    reports = {name: report.metric for name, report in study(base=base).reports.items()}
    assert reports == {"apical_error": "validation_apical_error", "loss": "validation_loss"}
    known = study(base=base, report={"a": {"metric": "distance.pi_1"}, "b": {"metric": "train_interneuron_error"}})
    assert list(known.reports) == ["a", "b"]
    refused(
        "validation_accuracy is nothing that runs of self_prediction measure",
        base=base,
        report={"a": {"metric": "validation_accuracy"}},
    )
    refused("distance has several numbers: name one, such as distance.pi_1", report={"a": {"metric": "distance"}})


def test_columns_of_reports_are_their_own():
    loss = {"metric": "validation_loss"}
    refused(
        "the table has a column psi already: give report.psi another name", grid=nested(PSI, [1]), report={"psi": loss}
    )
    refused("the table has a column status already", report={"status": loss})


# --- figures ---


AXES = {
    "zip": [{"backend": ["ode", "rate"], "panel": ["numpy", "NEST"]}, {"condition": ["a", "b"], **nested(PSI, [1, 2])}],
    "grid": nested("network.hidden", [[3], [4]]),
}


def plots(**entries):
    return [(plot.x, plot.y, plot.lines, plot.panels) for plot in study(**entries).plots]


def test_what_a_figure_leaves_open_follows_from_the_axes():
    """The first axis with numbers, which is that of psi, then the others in their order."""
    assert plots(**AXES) == [("psi", "accuracy", "hidden", "backend")]
    assert plots(**AXES, plot={"lines": "condition"}) == [("hidden", "accuracy", "condition", "backend")]
    assert plots(**AXES, plot=[{"panels": "panel"}, {"y": "loss"}]) == [
        ("psi", "accuracy", "hidden", "panel"),
        ("psi", "loss", "hidden", "backend"),
    ]
    assert plots(grid=nested(DELAY, [0.1])) == [("delay", "accuracy", None, None)]
    assert plots() == [("seed", "accuracy", None, None)]


@pytest.mark.parametrize(
    ("plot", "words"),
    [
        ({"x": "ps"}, r"plot.x = ps is no column; did you mean psi\?"),
        ({"y": "acuracy"}, r"plot.y = acuracy is no report; did you mean accuracy\?"),
        ({"y": "psi"}, r"plot.y = psi is no report"),
        ([{}, {"lines": "loss"}], r"plot\[1\].lines = loss is no column"),
        ({"x": "psi", "lines": "psi"}, r"plot has a column twice in x, lines and panels"),
        ({"color": "red"}, r"plot\[0\].color is not a known key"),
        ({"heat": 1}, r"plot\[0\].heat must be a valid boolean"),
    ],
)
def test_bad_figures_are_said(plot, words):
    refused(words, **AXES, plot=plot)


def test_a_heat_map_needs_two_axes():
    refused("plot.heat = true needs two axes", grid=nested(PSI, [1, 2]), plot={"heat": True})


def test_labels_are_of_columns():
    refused(r"labels.ps is no column; did you mean psi\?", **AXES, labels={"ps": "x"})
    assert study(**AXES, labels={"psi": "ψ", "loss": "loss (mV²)", "wall_s": "s"}).labels["psi"] == "ψ"


# --- reference ---


def reference(directory, content, **entries):
    (directory / "others.json").write_text(content, encoding="utf-8")
    return study(directory, **AXES, **entries, reference={"file": "others.json", "label": "others"})


def test_a_reference_gets_the_columns_that_move_with_its_own(tmp_path):
    found = reference(
        tmp_path, '[{"backend": "rate", "psi": 7, "accuracy": 0.5}, {"condition": "b", "loss": 2, "accuracy": null}]'
    )
    assert found.reference_records == [
        {
            "backend": "rate",
            "panel": "NEST",
            "psi": 7,
            "accuracy": 0.5,
        },  # psi is 7 nowhere, so that no condition goes with it
        {"condition": "b", "psi": 2, "loss": 2, "accuracy": None},
    ]
    assert found.reference.label == "others"
    assert study().reference_records == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", r"reference.file: cannot read .*others.json"),
        ('{"a": 1}', r"others.json must hold a list of records"),
        ("[1]", r"others.json must hold a list of records"),
        ('[{"accuracy": 1, "ps": 1}]', r"record 1 of .*others.json has ps, which is no column; did you mean psi\?"),
        ('[{"accuracy": "much"}]', r"accuracy must be a number or null, got 'much'"),
        ('[{"psi": 1}]', r"record 1 of .*others.json has no report to compare; known are accuracy, loss, stable"),
        (
            '[{"accuracy": 1}, {"accuracy": 1, "backend": "od"}]',
            r"record 2 .* backend is never 'od' in this study; did you mean ode\?",
        ),
    ],
)
def test_a_bad_reference_is_said(tmp_path, content, words):
    with pytest.raises(SpecificationError, match=words):
        reference(tmp_path, content)


def test_a_reference_that_is_not_there_is_said(tmp_path):
    with pytest.raises(SpecificationError, match=r"reference.file: cannot read .*others.json"):
        study(tmp_path, reference={"file": "others.json"})


# --- search ---


def search(space=None, **entries):
    return {
        "search": {
            "trials": 3,
            "space": nested(PSI, {"low": 1.0, "high": 100.0}) if space is None else space,
            **entries,
        }
    }


def test_a_search_makes_its_cells_from_parameters(tmp_path):
    found = read(
        tmp_path,
        """
        seeds = 2
        [base]
        task.name = "bars"
        [search]
        trials = 20
        [search.space]
        network.neuron.psi = { low = 1.0, high = 100.0, log = true }
        network.trial.t_pres = { low = 20, high = 60, step = 10 }
        wide = { choices = [false, true] }
        [set]
        network.hidden = "[60] if wide else [30]"
        network.trial.t_learn_on = "t_pres / 2"
        network.trial.t_readout_on = "t_pres / 2"
        """,
    )
    assert found.variables == {
        "psi": Range(low=1.0, high=100.0, log=True),
        "t_pres": Range(low=20, high=60, step=10),
        "wide": Choices(choices=[False, True]),
    }
    assert [found.variables[column].is_int for column in ("psi", "t_pres")] == [False, True]
    assert (found.columns, found.axes, found.cells()) == (("psi", "t_pres", "wide"), (), [])
    cell = found.cell_of({"wide": True, "t_pres": 30, "psi": 2.5}, 7)
    assert (cell.name, cell.seeds, list(cell.point.items())) == (
        "trial-0007",
        (1, 2),
        [("psi", 2.5), ("t_pres", 30), ("wide", True)],
    )
    trial = {"t_pres": 30, "t_learn_on": 15.0, "t_readout_on": 15.0}
    network = {"neuron": {"psi": 2.5}, "hidden": [60], "trial": trial}
    blind = {"final_test": False}  # what is chosen must not depend on the test set
    assert cell.specification(2) == run({"network": network, "training": blind}, 2)
    with pytest.raises(SpecificationError, match=r"at psi = -1, t_pres = 30, wide = true: network.neuron.psi must be"):
        found.cell_of({"wide": True, "t_pres": 30, "psi": -1}, 8)


def test_what_decides_a_search():
    found = study(**search())
    assert (found.objective, found.direction) == ("validation_accuracy", "maximize")
    assert (found.search.sampler, found.search.prune, found.search.seed) == ("tpe", True, 1)
    assert (study(**search(objective="rate_max.P_1")).direction) == "minimize"
    assert (study(**search(objective="rate_max.P_1", direction="maximize")).direction) == "maximize"
    regression = study(base={"task": {"name": "teacher_student"}}, **search())
    assert (regression.objective, regression.direction) == ("validation_r2", "maximize")


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        (search({}), r"search.space is empty: say what is searched"),
        (search(nested(PSI, [1, 2])), r"search.space.network.neuron.psi must be a range, such as .* got \[1, 2\]"),
        (
            search(nested(PSI, {"low": 3, "high": 1})),
            r"search.space.network.neuron.psi: low must lie below high, got 3 and 1",
        ),
        (search(nested(PSI, {"low": 3})), r"search.space.network.neuron.psi: high is missing"),
        (search(nested(PSI, {"low": 0, "high": 1, "log": True})), r"low must be positive with log = true, got 0"),
        (search(nested(PSI, {"low": 1, "high": 9, "log": True, "step": 1})), r"a range with log = true has no steps"),
        (search(nested(PSI, {"low": 1, "high": 9, "step": 0})), r"psi: step must be greater than 0"),
        (search(nested(PSI, {"choices": []})), r"psi: choices .*at least 1 item"),
        (search(nested(PSI, {"low": 1, "high": 9, "setp": 2})), r"psi: setp is not a known key; did you mean step"),
        (
            search({"psi": {"low": 1, "high": 2}}),
            r"psi is a name of your own, and changes nothing: write network.neuron.psi",
        ),
        (search({"seed": {"low": 1, "high": 2}}), r"seed is no axis"),
        (search(nested(PSI, {"low": -1.0, "high": 2.0})), r"at psi = -1.0: network.neuron.psi must be greater than 0"),
        (
            search(nested("network.neuron.psy", {"low": 1.0, "high": 2.0})),
            r"network.neuron.psy is not a known key; did you mean psi",
        ),
        (search(trials=0), r"search.trials must be greater than or equal to 1"),
        (search(sampler="grid"), r"search.sampler must be 'tpe' or 'random', got 'grid'"),
        (
            search(objective="test_accuracy"),
            r"search.objective must not be test_accuracy: the test set decides nothing; use validation_acc",
        ),
        (
            search(objective="accuracy"),
            r"search.objective = accuracy is nothing that runs of bars measure; did you mean",
        ),
        (search(objective="stable_from_epoch"), r"search.objective = stable_from_epoch is nothing"),
        (search() | {"grid": nested(DELAY, [1.0])}, r"grid and search exclude each other"),
        (search() | {"zip": [nested(DELAY, [1.0])]}, r"zip and search exclude each other"),
        (search() | {"where": "seed == 1"}, r"where and search exclude each other"),
    ],
)
def test_a_bad_search_is_said(entries, words):
    refused(words, **entries)


def test_fields_of_a_task_may_be_called_low_and_high(tmp_path):
    """As in a search of [task] low of data: a table is a range only if its own low or high is a number."""
    assert study(**search(nested("task", {"lo": {"low": 0.1, "high": 0.2}}))).columns == ("lo",)
    path = tmp_path / "own.csv"
    path.write_text("a,b,class\n" + "".join(f"{i},{i % 3},{i % 2}\n" for i in range(40)))
    base = {"task": {"name": "data", "data": str(path)}}
    found = study(base=base, **search({"task": {"low": {"low": 0.0, "high": 0.5}, "high": {"low": 1.0, "high": 2.0}}}))
    assert found.cell_of({"low": 0.25, "high": 1.5}, 0).specification(1).task.low == 0.25


def test_a_search_needs_something_to_choose_by(plain):
    refused(
        r"a search needs a validation set, which task plain lacks: the test set decides nothing", **plain, **search()
    )


# --- as a whole ---


@pytest.mark.parametrize("path", sorted(EXPERIMENTS.rglob("study.toml")), ids=lambda path: path.parent.name)
def test_studies_of_the_experiments_are_possible(path):
    found = StudySpecification.from_toml(path)
    runs = [cell.run_name(seed) for cell in found.cells() for seed in cell.seeds]
    assert len(set(runs)) == len(runs) > 1
    assert path.read_text(encoding="utf-8").startswith("# ")
    if found.reference is not None:
        plot = found.plots[0]  # a reference may be a line of its own
        assert all({plot.x, plot.y} <= set(record) for record in found.reference_records)


def test_experiments_have_studies():
    assert {"psi", "delays", "latent_equilibrium", "self_prediction"} <= {
        path.parent.name for path in EXPERIMENTS.glob("*/study.toml")
    }


def test_seeds_of_the_study_of_latent_equilibrium_are_where_networks_are_at_their_limit():
    found = StudySpecification.from_toml(EXPERIMENTS / "latent_equilibrium" / "study.toml")
    many = {(c.point["backend"], c.point["t_pres"]) for c in found.cells() if len(c.seeds) == 5}
    nest = {("rate", 1.0), ("rate", 2.0), ("rate", 5.0), ("spiking", 5.0)}
    assert many == nest | {("ode", t_pres) for t_pres in (0.5, 1.0, 2.0, 5.0, 10.0, 50.0, 100.0, 500.0)}
    assert {c.point["backend"] for c in found.cells() if c.point["onset"]} == {"ode"}
    assert {c.seeds for c in found.cells()} == {(1,), (1, 2, 3, 4, 5)}


def test_five_hundred_cells_are_built_in_two_seconds():
    """Measured: 0.3 s; nobody waits for what is checked before a study starts."""
    started = time.perf_counter()
    grid = {
        "network": {"neuron": {"psi": {"linspace": [1, 100, 100]}}, "simulation": {"delay": [0.1, 0.2, 0.3, 0.4, 0.5]}}
    }
    found = study(
        seeds=5, grid=grid, set=nested("network.neuron.tau_apical", "psi / 2 if delay > 0.2 else 1"), where="psi > 0"
    )
    assert len(found.cells()) == 500
    assert time.perf_counter() - started < 2.0


def test_json_can_hold_the_points():
    for cell in study(**AXES).cells():
        assert json.loads(json.dumps(cell.point)) == cell.point
