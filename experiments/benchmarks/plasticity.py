# SPDX-License-Identifier: GPL-2.0-or-later
"""Cost of a plastic synapse: none, static, ours, and NEST's own Urbanczik synapse, over presynaptic rates.

1000 Poisson sources (stimulus_neuron) are connected all to all with 100 neurons, h = delay = 0.1 ms. What is timed is
one Simulate after a warm-up. Times are wall times per second of biological time, the update of all neurons included;
the table also shows what remains when the same network without these synapses is subtracted.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import click
from matplotlib.axes import Axes
from measuring import BLUE, GREY, ORANGE, VERMILLION, medians, print_json, print_table, save_figure

KINDS = ("none", "static", "ours", "builtin none", "builtin")
# biological time measured (ms): long enough to wait for the spikes of slow sources, short enough to wait for the built-in
DURATION = {1: 1000.0, 10: 1000.0, 100: 500.0, 1000: 200.0, 10_000: 50.0, 30_000: 20.0}
DURATION_BUILTIN = {1: 1000.0, 10: 500.0, 100: 200.0, 1000: 100.0, 10_000: 50.0, 30_000: 20.0}
N_PRE, N_POST = 1000, 100


def measure(kind: str, rate: float, duration: float) -> dict[str, float]:
    """Wall seconds per biological second, and bytes of a synapse, of one kind of synapse at a rate (Hz)."""
    import nest

    from pynest_tools import install

    nest.ResetKernel()
    nest.verbosity = nest.VerbosityLevel.ERROR
    nest.resolution = 0.1
    install()
    nest.rng_seed = 1
    pre = nest.Create("stimulus_neuron", N_PRE, {"psi": rate / 1000.0, "stimulus_values": [1.0]})
    synapse: dict[str, Any] = {"delay": 0.1, "weight": 1e-6}
    if kind.startswith("builtin"):
        post = nest.Create("pp_cond_exp_mc_urbanczik", N_POST)
        synapse |= {"synapse_model": "urbanczik_synapse"}
        synapse |= {"receptor_type": nest.GetDefaults("pp_cond_exp_mc_urbanczik")["receptor_types"]["dendritic_exc"]}
    else:
        # learning rates and weights that leave the neurons at rest: the same spikes and cost in every case
        post = nest.Create("pyramidal_neuron", N_POST, {"psi": 1.0, "theta": 3.0})
        nest.CopyModel("dendritic_error_synapse", "ours", {"eta": 1e-12})
        synapse |= {"synapse_model": "static_synapse" if kind == "static" else "ours", "receptor_type": 2}
    if not kind.endswith("none"):
        nest.Connect(pre, post, "all_to_all", synapse)
    nest.Simulate(
        min(300.0, 3000.0 / rate)
    )  # until most synapses have had a spike: the built-in pays for the time between two
    started = time.perf_counter()
    nest.Simulate(duration)
    result = {"time": (time.perf_counter() - started) / (duration * 1e-3)}
    if kind == "ours":
        result["bytes"] = float(nest.GetConnections(pre[0], post[0]).get("sizeof"))
    return result


def draw_times(times: dict[str, dict[int, float]]) -> list[Any]:
    """Panels: wall time over the rate, and time per spike and synapse."""
    styles = {
        "builtin": (ORANGE, "NEST's urbanczik_synapse", "s"),
        "ours": (BLUE, "dendritic_error_synapse", "o"),
        "static": (VERMILLION, "static_synapse: the limit", "^"),
        "none": (GREY, "no synapses", None),
    }

    def total(axes: Axes) -> None:
        for kind, (color, label, marker) in styles.items():
            axes.loglog(list(times[kind]), list(times[kind].values()), color=color, label=label, marker=marker)
        axes.set(title="100 000 synapses", xlabel="presynaptic rate (Hz)", ylabel="wall time per biological time")
        axes.legend(frameon=False, fontsize=9)

    def per_spike(axes: Axes) -> None:
        for kind, (color, label, marker) in styles.items():
            if kind == "none":
                continue
            base = times["builtin none" if kind == "builtin" else "none"]
            rates = [rate for rate in times[kind] if rate >= 100]  # below, the difference is noise
            cost = [(times[kind][r] - base[r]) / (r * N_PRE * N_POST) * 1e9 for r in rates]
            axes.loglog(rates, cost, color=color, label=label, marker=marker)
        axes.set(title="The same per spike and synapse", xlabel="presynaptic rate (Hz)", ylabel="time (ns)")

    return [total, per_spike]


@click.command(help=__doc__)
@click.option("--quick", is_flag=True, help="Two rates, one repeat.")
@click.option("--repeats", default=5, show_default=True, help="Runs of every case; medians are reported.")
@click.option("--output", type=click.Path(path_type=Path), default=Path(__file__).parent, help="Folder of the figure.")
@click.option("--measure", "case", hidden=True)
def main(quick: bool, repeats: int, output: Path, case: str | None) -> None:
    """Run the benchmark, or a single case of it."""
    if case is not None:
        print(json.dumps(measure(**json.loads(case))))
        return
    rates = [10, 1000] if quick else list(DURATION)
    times: dict[str, dict[int, float]] = {kind: {} for kind in KINDS}
    size = 0.0
    for rate in rates:
        cases = [
            {"kind": kind, "rate": rate, "duration": (DURATION_BUILTIN if "builtin" in kind else DURATION)[rate]}
            for kind in KINDS
        ]
        for kind, result in zip(KINDS, medians(__file__, cases, 1 if quick else repeats), strict=True):
            times[kind][rate] = result["time"]
            size = result.get("bytes", size)

    def net(kind: str, rate: int) -> float:
        return times[kind][rate] - times["builtin none" if kind == "builtin" else "none"][rate]

    rows = [
        [
            f"{rate} Hz",
            *(f"{times[kind][rate]:.3g}" for kind in KINDS),
            f"{times['ours'][rate] / times['static'][rate]:.2f}",
            f"{times['builtin'][rate] / times['ours'][rate]:.3g}",
            *(f"{net(kind, rate) / (rate * N_PRE * N_POST) * 1e9:.3g}" for kind in ("static", "ours", "builtin")),
        ]
        for rate in rates
    ]
    header = ["rate", *KINDS, "ours / static", "builtin / ours", "static (ns)", "ours (ns)", "builtin (ns)"]
    print_table(
        f"Wall time per biological time, 1000 -> 100 all to all; (ns): per spike and synapse, neurons subtracted; "
        f"{size:.0f} bytes per synapse",
        header,
        rows,
    )
    if not quick:
        save_figure(output / "plasticity.png", draw_times(times))
    figures: dict[str, float] = {"bytes_per_synapse": size}
    for rate in rates:
        figures[f"ours_over_static_{rate}"] = times["ours"][rate] / times["static"][rate]
        figures[f"builtin_over_ours_{rate}"] = times["builtin"][rate] / times["ours"][rate]
        figures[f"ours_ns_{rate}"] = net("ours", rate) / (rate * N_PRE * N_POST) * 1e9
        figures[f"static_ns_{rate}"] = net("static", rate) / (rate * N_PRE * N_POST) * 1e9
    print_json(figures)


if __name__ == "__main__":
    main()
