# SPDX-License-Identifier: GPL-2.0-or-later
"""Figures and tables of a study show means over seeds, how sure they are, and what is left out."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import same_color
from matplotlib.text import Text

from pynest_tools.errors import UserError
from pynest_tools.view.figures import BLUE, GREY, VERMILLION
from pynest_tools.view.studies import interval, search_figure, study_figure
from pynest_tools.view.study_tables import markdown_overview, markdown_table
from pynest_tools.view.study_values import part_of

CONDITIONS = ("with, 50 ms", "20 ms", "without")


def study(axes, seeds=(1, 2, 3), seed=0, **reports):
    """Table of a study of all combinations with random results; reports as functions of a generator."""
    generator = np.random.default_rng(seed)
    reports = reports or {"accuracy": lambda g: g.uniform(0.5, 1.0), "loss": lambda g: g.uniform(0.1, 0.2)}
    return pd.DataFrame(
        {**dict(zip(axes, point)), "seed": number, "status": "done", "reason": "",
         **{name: draw(generator) for name, draw in reports.items()}, "run": "folder"}
        for point in product(*axes.values()) for number in seeds
    )  # fmt: skip


def drawn(axes, color):
    """Data of the solid lines of a colour."""
    return [line.get_xydata() for line in axes.lines if same_color(line.get_color(), color)]


def note(figure):
    return " ".join(figure.texts[-1].get_text().split())


# ------------------------------------------------------------------------------------------------------------ lines


def test_lines_are_means_over_seeds_in_panels():
    table = study({"delay": [5.0, 0.1, 1.0], "condition": CONDITIONS, "panel": ["Rates", "Spikes"]})
    figure = study_figure(table, x="delay", y="accuracy", lines="condition", panels="panel", title="Delays")
    assert [axes.get_title("left") for axes in figure.axes] == ["Rates", "Spikes"]
    for axes in figure.axes:
        for condition, line in zip(CONDITIONS, axes.lines):
            here = table[(table["panel"] == axes.get_title("left")) & (table["condition"] == condition)]
            expected = [(x, np.mean([r.accuracy for r in here.itertuples() if r.delay == x])) for x in (0.1, 1.0, 5.0)]
            np.testing.assert_allclose(line.get_xydata(), expected, rtol=1e-12)  # sums in another order
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(CONDITIONS)
    assert figure.legends[0].get_title().get_text() == ""  # words speak for themselves
    assert [axes.get_ylabel() for axes in figure.axes] == ["accuracy (%)", ""]
    assert figure.texts[0].get_text() == "Delays"


def test_the_interval_is_that_of_a_bootstrap():
    values = [0.2, 0.5, 0.55, 0.9, 0.6]
    low, high = interval(values)
    generator = np.random.default_rng(7)
    means = [np.mean([values[i] for i in generator.integers(5, size=5)]) for _ in range(20000)]
    # standard error of a percentile: sqrt(0.025 * 0.975 / n) / density, with means that scatter by 0.1 about 0.003 for n = 9999, and
    # 0.0033 for the difference from 20000; 4 of these, and a step between the few possible means of five values (below 0.01)
    np.testing.assert_allclose((low, high), np.percentile(means, [2.5, 97.5]), rtol=0, atol=0.023)
    assert low < np.mean(values) < high
    assert interval(values) == (low, high)


def test_of_two_seeds_the_interval_ends_at_their_values_and_of_one_there_is_none():
    assert interval([0.5, 0.75]) == (0.5, 0.75)
    table = study({"delay": [1.0, 2.0]}, seeds=(1, 2))
    axes = study_figure(table, x="delay", y="loss").axes[0]
    ends = [segment[:, 1] for segment in axes.collections[0].get_segments()]
    np.testing.assert_allclose(ends, [sorted(table[table["delay"] == x]["loss"]) for x in (1.0, 2.0)])
    assert not study_figure(table[table["seed"] == 1], x="delay", y="loss").axes[0].collections


@pytest.mark.parametrize(
    ("values", "scale"),
    [([0.1, 0.2, 0.5, 1, 2, 5], "log"), ([1, 10], "linear"), ([1, 11, 21, 31], "linear"), ([0, 1, 10, 100], "linear")],
)
def test_x_is_logarithmic_where_numbers_are_evener_so(values, scale):
    axes = study_figure(study({"delay": values}), x="delay", y="accuracy").axes[0]
    assert axes.get_xscale() == scale
    np.testing.assert_array_equal(axes.get_xticks(), values)


def test_y_is_logarithmic_where_values_span_much_but_not_for_accuracies():
    axes = {"delay": [1.0, 2.0, 3.0]}
    values = iter([1e-4, 1e-3, 1e-2] * 2)
    table = study(axes, seeds=(1,), loss=lambda _: next(values), accuracy=lambda _: next(values))
    assert study_figure(table, x="delay", y="loss").axes[0].get_yscale() == "log"
    accuracy = study_figure(table, x="delay", y="accuracy").axes[0]
    assert (accuracy.get_yscale(), accuracy.get_ylim()) == ("linear", (0.0, 1.03))
    named = study_figure(table, x="delay", y="loss", metrics={"loss": "validation_accuracy"}).axes[0]
    assert named.get_ylim() == (0.0, 1.03)
    assert named.yaxis.get_major_formatter()(0.75, 3) == "75"


def test_r_squared_below_minus_one_is_told():
    values = iter([-7.0, 0.5])
    figure = study_figure(study({"delay": [1, 2]}, seeds=(1,), r2=lambda _: next(values)), x="delay", y="r2")
    assert figure.axes[0].get_ylim() == (-1.0, 1.03)
    assert "1 point lies below the axis." in note(figure)


def test_text_is_categories_in_the_order_of_the_study():
    table = study({"net": ["[60]", "[30]"], "latent": [True, False]})
    figure = study_figure(table, x="net", y="accuracy", lines="latent", labels={"net": "hidden cells"})
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["[60]", "[30]"]
    assert axes.get_xlabel() == "hidden cells"
    first, second = (line.get_xdata() for line in axes.lines)
    assert all(first < second)  # beside each other
    assert all(np.round(first) == np.round(second))  # but at their category
    assert all(line.get_linestyle() == "None" for line in axes.lines)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["true", "false"]
    assert figure.legends[0].get_title().get_text() == "latent"


def test_many_lines_of_numbers_have_colours_of_a_scale():
    table = study({"delay": [1, 2], "psi": [1000, 1, 2, 5, 10, 20]}, seeds=(1,))
    figure = study_figure(table, x="delay", y="accuracy", lines="psi", labels={"psi": "spikes (Hz)"})
    colors = [line.get_color() for line in figure.axes[0].lines]
    assert len(set(colors)) == 6
    brightness = [sum(int(color[i : i + 2], 16) for i in (1, 3, 5)) for color in colors]
    assert brightness[0] == min(brightness)
    assert brightness[-1] == max(brightness)
    assert [text.get_text() for text in figure.legends[0].get_texts()][::5] == ["1 Hz", "1000 Hz"]


def test_the_reference_is_grey_with_the_markers_of_its_lines_and_where_it_lacks_an_axis_everywhere():
    table = study({"delay": [1.0, 2.0], "condition": CONDITIONS, "panel": ["Rates", "Spikes"]})
    reference = pd.DataFrame(
        [{"delay": x, "condition": c, "accuracy": v} for x, c, v in ((4.0, "20 ms", 0.5), (1.0, "20 ms", 0.75))]
    )
    figure = study_figure(
        table, x="delay", y="accuracy", lines="condition", panels="panel", reference=reference, reference_label="thesis"
    )
    for axes in figure.axes:
        assert [data.tolist() for data in drawn(axes, GREY)] == [[[1.0, 0.75], [4.0, 0.5]]]
        grey, own = (next(line for line in axes.lines if same_color(line.get_color(), c)) for c in (GREY, "#009E73"))
        assert grey.get_marker() == own.get_marker()
        assert grey.get_markerfacecolor() == "white"
    assert figure.legends[0].get_texts()[-1].get_text() == "thesis"
    assert figure.axes[0].get_xticks().tolist() == [1.0, 2.0]  # of the study
    assert figure.axes[0].get_xlim()[1] > 4.0
    for_all = study_figure(
        table, x="delay", y="accuracy", lines="condition", panels="panel", reference=reference[["accuracy"]][:1]
    )
    assert [drawn(axes, GREY)[0][:, 1].tolist() for axes in for_all.axes] == [[0.5, 0.5]] * 2


def test_a_part_is_compared_with_that_part_of_the_reference():
    """And records without a column hold for all of its values; a reference without y is none."""
    table = study({"delay": [1.0, 2.0], "psi": [5, 100]})
    reference = pd.DataFrame(
        [{"delay": 1.0, "psi": 5, "accuracy": 0.5}, {"delay": 1.0, "psi": 100, "accuracy": 0.75}, {"delay": 2.0, "accuracy": 1.0}]
    )  # fmt: skip
    part = part_of(table, {"psi": 5})
    (axes,) = study_figure(part, x="delay", y="accuracy", reference=reference).axes
    assert drawn(axes, GREY)[0].tolist() == [[1.0, 0.5], [2.0, 1.0]]
    (axes,) = study_figure(part, x="delay", y="loss", reference=reference).axes
    assert drawn(axes, GREY) == []


def test_baselines_are_named_once_and_not_on_each_other():
    table = study({"delay": [1.0, 2.0], "panel": list("abcde")})
    figure = study_figure(
        table, x="delay", y="accuracy", panels="panel", baselines={"chance": 0.375, "linear readout": 0.38}
    )
    assert all([data[0, 1] for data in drawn(axes, GREY)] == [0.375, 0.38] for axes in figure.axes)
    names = [(text, axes) for axes in figure.axes for text in axes.texts]
    assert [text.get_text() for text, _ in names] == ["chance", "linear readout"]
    assert all(axes is figure.axes[2] for _, axes in names)  # five panels stand in rows of three and two


@pytest.mark.parametrize(
    ("status", "text"),
    [
        ({}, "Mean over 3 seeds with its 95 % interval (bootstrap)."),
        ({0: "failed"}, "1 of 6 runs failed; means are over the others."),
        ({0: "diverged", 1: "diverged", 2: "failed"}, "2 of 6 runs diverged, 1 failed; means are over the others."),
        ({0: "running", 4: "waiting"}, "2 of 6 runs are not done yet; means are over the others."),
        ({0: "done"}, "1 of 6 runs is without a value; means are over the others."),
        (dict.fromkeys(range(6), "failed"), "6 of 6 runs failed."),
    ],
)
def test_what_is_left_out_is_told(status, text):
    table = study({"delay": [1.0, 2.0]})
    for row, name in status.items():
        table.loc[row, ["status", "loss"]] = [name, np.nan]
    figure = study_figure(table, x="delay", y="loss")
    assert text in note(figure)
    for x, mean in figure.axes[0].lines[0].get_xydata() if len(status) < 6 else []:
        kept = [r.loss for r in table.itertuples() if r.delay == x and np.isfinite(r.loss)]
        assert mean == pytest.approx(np.mean(kept))


def test_a_diverged_run_with_a_value_counts_and_is_told():
    table = study({"delay": [1.0]})
    table.loc[1, "status"] = "diverged"
    figure = study_figure(table, x="delay", y="loss")
    assert figure.axes[0].lines[0].get_ydata()[0] == pytest.approx(table["loss"].mean())
    assert "1 of 3 runs diverged, and counts with the value it had." in note(figure)


def test_an_axis_that_is_not_drawn_is_refused_but_not_one_that_moves_with_another():
    table = study({"delay": [1, 2], "psi": [5, 10], "tau": [1.5, 2.5]})
    with pytest.raises(UserError, match=r"differ in tau, too.*--only tau=1\.5"):
        study_figure(table, x="delay", y="accuracy", lines="psi")
    table["tau"] = 2.0 * table["psi"]
    assert study_figure(table, x="delay", y="accuracy", lines="psi")
    with pytest.raises(UserError, match="no column dely; did you mean delay"):
        study_figure(table, x="dely", y="accuracy")


def overlaps(figure):
    """Texts that lie on one another or beyond the edge."""
    figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer()
    texts = [t for t in figure.findobj(Text) if t.get_text().strip() and t.get_visible()]
    hidden = set()  # ticks beyond the ends of an axis, and those that only the first panel of a row names
    for axis in [axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)]:
        low, high = sorted(axis.get_view_interval())
        ticks = axis.get_major_ticks()
        hidden |= {tick.label1 for tick in ticks if not low <= tick.get_loc() <= high or not tick.label1.get_visible()}
    boxes = [(t.get_text(), t.get_window_extent(renderer), t.get_rotation()) for t in texts if t not in hidden]
    outside = [
        name for name, box, _ in boxes
        if box.x0 < -1 or box.y0 < -1 or box.x1 > figure.bbox.width + 1 or box.y1 > figure.bbox.height + 1
    ]  # fmt: skip
    # boxes of slanted texts overlap where the texts do not
    straight = [(name, box) for name, box, angle in boxes if angle in (0.0, 90.0)]
    return outside, [
        (a, b) for (a, one), (b, other) in combinations(straight, 2) if one.padded(-1).overlaps(other.padded(-1))
    ]


@pytest.mark.slow
@pytest.mark.parametrize("n_panels", [1, 2, 3, 5])
@pytest.mark.parametrize("long", [False, True])
def test_no_text_lies_on_another_or_beyond_the_edge(n_panels, long):
    more = " that has a name which goes on for longer than its place is wide" if long else ""
    panels = [f"panel {i}{more}" for i in range(n_panels)]
    axes = {"delay": np.linspace(0.1, 7.0, 15).tolist(), "condition": [c + more for c in CONDITIONS], "panel": panels}
    figure = study_figure(
        study(axes, seeds=(1,)), x="delay", y="accuracy", lines="condition", panels="panel", title="A study" + 3 * more,
        labels={"delay": f"delay{more} (ms)", "accuracy": f"accuracy{more}"}, baselines={"chance": 0.3, "a linear readout": 0.32},
    )  # fmt: skip
    assert overlaps(figure) == ([], [])
    assert len(figure.axes) == n_panels
    columns = {round(a.get_position().x0, 3) for a in figure.axes}
    assert len(columns) == {1: 1, 2: 2, 3: 3, 5: 3}[n_panels]


def test_long_categories_are_slanted_and_stay_within_the_figure():
    table = study(
        {"rule": ["dendritic_error_of_the_apical_tree", "backpropagation for comparison", "none", "x"], "p": [1, 2]}
    )
    figure = study_figure(table, x="rule", y="accuracy", panels="p")
    assert overlaps(figure) == ([], [])
    assert figure.axes[0].get_xticklabels()[0].get_rotation() == 35
    whole = study_figure(study({"rule": ["a b", "c"]}), x="rule", y="accuracy")
    assert whole.axes[0].get_xticklabels()[0].get_rotation() == 0


# -------------------------------------------------------------------------------------------------------- heat maps


def test_a_map_says_the_mean_in_each_field_and_why_there_is_none():
    table = study({"psi": [5, 100], "tau": [1, 10, 50]}, seeds=(1, 2))
    table.loc[[0, 1], "accuracy"] = np.nan
    table.loc[[0, 1], "status"] = "failed"
    reference = pd.DataFrame([{"psi": 100, "tau": 1, "accuracy": 0.8125}])
    figure = study_figure(
        table, x="tau", y="accuracy", lines="psi", heat=True, reference=reference, reference_label="thesis"
    )
    ours, thesis = figure.axes
    means = table.groupby(["psi", "tau"])["accuracy"].mean().to_numpy().reshape(2, 3)
    np.testing.assert_allclose(np.ma.filled(ours.images[0].get_array(), np.nan), means)
    assert [text.get_text() for text in ours.texts] == ["failed", *(f"{100 * m:.3g} %" for m in np.ravel(means)[1:])]
    assert [text.get_text() for text in thesis.texts] == ["–", "–", "–", "81.2 %", "–", "–"]
    assert [axes.get_title("left") for axes in figure.axes] == ["this study", "thesis"]
    assert [label.get_text() for label in ours.get_yticklabels()] == ["5", "100"]
    assert overlaps(figure) == ([], [])
    with pytest.raises(UserError, match="second axis"):
        study_figure(table[table["psi"] == 5], x="tau", y="accuracy", heat=True)


def test_a_map_of_categories_reads_from_above():
    table = study({"rule": ["first", "second"], "psi": [1, 2], "panel": ["a", "b"]})
    figure = study_figure(table, x="psi", y="loss", lines="rule", panels="panel", heat=True)
    assert [axes.get_title("left") for axes in figure.axes] == ["a", "b"]
    low, high = figure.axes[0].get_ylim()
    assert low > high


# ----------------------------------------------------------------------------------------------- choice of what to draw


def test_axes_that_move_together_are_one():
    table = study({"condition": CONDITIONS, "delay": [1, 2]})
    table.insert(1, "t_pres", table["condition"].map({"with, 50 ms": 50, "20 ms": 20, "without": 100}))
    table.insert(2, "latent", table["condition"] != "without")
    study_figure(table, x="delay", y="loss", lines="condition")


def test_a_study_of_seeds_alone_is_drawn_by_seed():
    table = study({})
    (axes,) = study_figure(table, x="seed", y="accuracy").axes
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), table["accuracy"])


@pytest.mark.parametrize(
    ("only", "n"),
    [
        ({"psi": "100"}, 4), ({"psi": 100.0}, 4), ({"psi": "1e2"}, 4), ({"psi": "3.16"}, 4), ({"psi": "3.16227766017"}, 4),
        ({"latent": "true"}, 4), ({"latent": True}, 4), ({"latent": "False", "psi": 100}, 2), ({"seed": 2}, 4), ({}, 8),
    ],
)  # fmt: skip
def test_a_part_is_chosen_by_numbers_and_by_text(only, n):
    table = study({"psi": [3.16227766017, 100.0], "latent": [True, False]}, seeds=(1, 2))
    assert len(part_of(table, only)) == n


def test_a_part_that_is_not_there_is_refused():
    table = study({"psi": [5, 100]})
    with pytest.raises(UserError, match="no run has psi = 7; give one of its values: 5, 100"):
        part_of(table, {"psi": 7})
    with pytest.raises(UserError, match="no column pis; did you mean psi"):
        part_of(table, {"pis": 7})


# ------------------------------------------------------------------------------------------------------------- tables


def test_a_table_says_mean_and_deviation():
    table = study({"delay": [0.1, 5.0], "condition": ["a|b", "c"]}, seeds=(1, 2))
    table["accuracy"] = [0.97, 0.98, 1.0, 1.0, 0.5, 0.75, 0.25, 0.25]
    text = markdown_table(table, "accuracy", rows="delay", columns="condition", labels={"delay": "delay (ms)"})
    # sd of two values: their difference / sqrt(2)
    assert text.splitlines() == [
        r"| delay (ms) |        a\|b |           c |",
        "| ---------: | ----------: | ----------: |",
        "|        0.1 |  97.5 ± 0.7 | 100.0 ± 0.0 |",
        "|          5 | 62.5 ± 17.7 |  25.0 ± 0.0 |",
        "",
        "Accuracy (%): mean ± standard deviation over 2 seeds.",
    ]


def test_a_table_says_how_many_seeds_where_they_differ_and_what_is_left_out():
    table = study({"psi": [5, 10, 100]}, seeds=(1, 2))
    table["loss"] = [0.0123, 0.0127, 0.5, np.nan, np.nan, np.nan]
    table.loc[[3, 4, 5], "status"] = ["diverged", "failed", "failed"]
    lines = markdown_table(table, "loss", rows="psi").splitlines()
    assert [line.split("|")[2].strip() for line in lines[2:5]] == ["0.0125 ± 0.0003 (2)", "0.500 (1)", "–"]
    assert [line.split("|")[3].strip() for line in lines[2:5]] == ["2 done", "1 done, 1 diverged", "2 failed"]
    assert lines[-1].endswith("2 of 6 runs failed, 1 diverged; means are over the others.")


def test_epochs_from_which_all_is_right_are_told_as_median():
    table = study({"psi": [5, 10, 100]})
    table["stable"] = [100, 300, np.nan, 20, 30, 40, np.nan, np.nan, np.nan]
    table.loc[8, "status"] = "failed"
    text = markdown_table(table, "stable", rows="psi", metrics={"stable": "stable_from_epoch"})
    cells = [line.split("|")[2].strip() for line in text.splitlines()[2:5]]
    assert cells == ["200 (2 of 3)", "30 (3 of 3)", "– (0 of 2)"]
    told = "Median over the seeds that have one (how many of all). 3 of 9 runs are without a value, 1 failed."
    assert text.splitlines()[-1] == told
    table["stable"] = np.tile([10.0, 20.0, 30.0], 3)
    all_of_them = markdown_table(table, "stable", rows="psi", metrics={"stable": "stable_from_epoch"})
    assert "20 ± 10.0" in all_of_them


def test_the_overview_has_all_results_of_all_points():
    table = study({"psi": [5, 10], "condition": CONDITIONS})
    text = markdown_overview(table, ["psi", "condition"], ["accuracy", "loss"])
    lines = text.splitlines()
    assert [cell.strip() for cell in lines[0].strip("|").split("|")] == ["psi", "condition", "accuracy (%)", "loss"]
    assert len({len(line) for line in lines[:8]}) == 1
    for line, (psi, condition) in zip(lines[2:8], product([5, 10], CONDITIONS)):
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        values = [r.accuracy for r in table.itertuples() if (r.psi, r.condition) == (psi, condition)]
        assert cells[:3] == [str(psi), condition, f"{100 * np.mean(values):.1f} ± {100 * np.std(values, ddof=1):.1f}"]
    with pytest.raises(UserError, match="differ in condition"):
        markdown_table(table, "loss", rows="psi")


# ------------------------------------------------------------------------------------------------------------- search


def trials():
    table = study({"eta": [0.001, 0.1, 0.01], "rule": ["a", "b"]}, seeds=(1,))
    table["accuracy"] = [0.5, 0.7, 0.6, 0.2, 0.9, np.nan]
    table["status"] = ["done", "done", "done", "pruned", "done", "failed"]
    return table


def test_a_search_shows_its_course_and_the_objective_over_each_parameter():
    figure = search_figure(trials(), ["eta", "rule"], "accuracy", title="Search", logarithmic=["eta"])
    course, eta, rule = figure.axes
    assert drawn(course, VERMILLION)[0].tolist() == [[0, 0.5], [1, 0.7], [2, 0.7], [4, 0.9], [5, 0.9]]
    assert drawn(course, BLUE)[0].tolist() == [[0, 0.5], [1, 0.7], [2, 0.6], [4, 0.9]]
    assert drawn(course, GREY)[0].tolist() == [[3, 0.2]]
    assert drawn(eta, BLUE)[0].tolist() == [[0.001, 0.5], [0.001, 0.7], [0.1, 0.6], [0.01, 0.9]]
    assert drawn(eta, VERMILLION)[0].tolist() == [[0.01, 0.9]]  # the best is ringed
    assert (eta.get_xscale(), course.get_xscale()) == ("log", "linear")
    assert [label.get_text() for label in rule.get_xticklabels()] == ["a", "b"]
    assert note(figure) == "1 of 6 runs failed."
    assert overlaps(figure) == ([], [])


def test_a_search_for_the_smallest_rings_the_smallest():
    table = trials().rename(columns={"accuracy": "error"})
    course = search_figure(table, ["eta", "rule"], "error", maximize=False).axes[0]
    steps, ring = drawn(course, VERMILLION)
    assert steps[:, 1].tolist() == [0.5] * 5
    assert ring.tolist() == [[0, 0.5]]
