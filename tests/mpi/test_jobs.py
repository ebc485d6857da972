# SPDX-License-Identifier: GPL-2.0-or-later
"""The same results however a network is split, and jobs that end when a process fails."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import (
    ENVIRONMENT,
    HERE,
    SHORT,
    TIMEOUT_S,
    WITHOUT_FIGURE,
    assert_close,
    assert_identical,
    command,
    launch,
    read,
    reference,
    train,
)

ODD = {
    "more processes than cells in a layer": ("--set", "network.sizes=[9, 2, 3]"),
    "layers of one cell": ("--set", "network.sizes=[9, 1, 3]"),
    "two hidden layers": (
        "--set", "network.sizes=[9, 4, 3, 3]", "--set", "network.plasticity.eta_up=[0.01, 0.01, 0.003]",
    ),
    "processes without a plastic synapse": (  # only those onto the two hidden cells are plastic
        "--set", "network.sizes=[9, 2, 3]", "--set", "network.plasticity.eta_up=[0.01, 0.0]",
        "--set", "network.plasticity.eta_ip=0.0", "--set", "network.plasticity.eta_pi=0.0",
    ),
    "one by one": ("--set", "network.transmission=spikes"),
}  # fmt: skip

SETTINGS = {
    "missing synapses, biases, unreliable release": [
        "connectivity.up=0.6", "connectivity.down=0.6", "connectivity.release=0.5", "bias_rate=1.0", "weights.bias=0.2",
    ],
    "Dale's law, dropout, noise": ["dale=true", "connectivity.dropout=0.3", "neuron.sigma_noise=0.02"],
    "a tuft that learns, DropConnect": [
        "neuron.g_tuft=0.06", "plasticity.down=prediction", "plasticity.eta_down=0.01", "connectivity.dropconnect=0.5",
    ],
    "feedback that aligns": ["plasticity.down=alignment", "plasticity.eta_down=0.01", "plasticity.decay_down=0.005"],
}  # fmt: skip


@pytest.mark.parametrize("n", [2, 3, 4])
def test_processes_are_as_good_as_threads(n):
    """Bit-identical for the same number of virtual processes: random numbers and sums are theirs."""
    assert_identical(reference(processes=n), reference(processes=0, threads=n))


def test_one_process_is_as_good_as_none():
    assert_identical(reference(processes=1), reference(processes=0))


def test_hybrids_agree():
    # NEST sums the inputs of a cell in another order
    assert_close(reference(processes=2, threads=2), reference(processes=0, threads=4))


@pytest.mark.parametrize(("name", "n"), [*((name, 3) for name in ODD), *((name, 4) for name in list(ODD)[:2])])
def test_odd_splits(name, n):
    processes = reference(processes=n, epochs=1, arguments=ODD[name])
    assert_identical(processes, reference(processes=0, threads=n, epochs=1, arguments=ODD[name]))


@pytest.mark.parametrize("name", list(SETTINGS))
def test_options_of_the_circuit_do_not_depend_on_the_split(name):
    arguments = tuple(part for entry in SETTINGS[name] for part in ("--set", f"network.{entry}"))
    processes = reference(processes=2, epochs=1, arguments=arguments)
    assert_identical(processes, reference(processes=0, threads=2, epochs=1, arguments=arguments))


@pytest.mark.parametrize("n", [2, 3, 4])
def test_rates_do_not_depend_on_the_number_of_processes(n):
    """Nothing is drawn, so that every split is the same network: partner cells nudge each other across processes as on one."""
    rate = ("--backend", "rate")
    alone = reference(processes=0, arguments=rate)
    assert_close(reference(processes=n, arguments=rate), alone)  # sums in another order


def test_the_wheel_with_threads_is_the_source_build_with_processes(tmp_path):
    wheel = Path(__file__).parents[2] / ".venv" / "bin" / "python"
    if not wheel.exists():
        pytest.skip("make setup installs NEST's wheel")
    options = [*SHORT, "--epochs", "2", "--set", "training.test_interval=1", "--threads", "2", "--output"]
    arguments = [wheel, "-m", "pynest_tools", "train", "bars", *options, str(tmp_path / "wheel")]
    subprocess.run(arguments, check=True, capture_output=True, timeout=TIMEOUT_S)
    assert_identical(reference(processes=2), read(tmp_path / "wheel"))


@pytest.mark.parametrize(("before", "after"), [((2, 1), (1, 2)), ((1, 3), (3, 1))])  # 1 x 2 to 2 x 1: the test below
def test_a_run_goes_on_with_another_split(tmp_path, before, after):
    train(tmp_path / "run", processes=before[0], threads=before[1], epochs=1)
    resumed = launch(after[0], *WITHOUT_FIGURE, "resume", tmp_path / "run", "--epochs", 2, "--threads", after[1])
    assert resumed.returncode == 0, resumed.stderr
    assert_identical(read(tmp_path / "run"), reference(processes=0, threads=after[0] * after[1]))


def test_training_bars_is_the_same_on_processes_and_with_threads(tmp_path):
    """Samples of their usual length; one of the runs in two halves, with both splits."""
    usual = [*WITHOUT_FIGURE, "train", "bars"]
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    for folder, processes, epochs in ((whole, 2, 20), (halves, 1, 10)):
        done = launch(processes, *usual, "--epochs", epochs, "--threads", 2 // processes, "--output", folder)
        assert done.returncode == 0, done.stderr
    resumed = launch(2, *WITHOUT_FIGURE, "resume", halves, "--epochs", 20, "--threads", 1)
    assert resumed.returncode == 0, resumed.stderr
    assert_identical(read(halves), read(whole))
    metrics = read(whole)[0]
    assert metrics[-1]["validation_loss"] < 0.5 * metrics[0]["validation_loss"]


def test_processes_may_be_late(tmp_path):
    """One reads the run's specification while the first is writing it anew."""
    train(tmp_path / "run", processes=2, epochs=1)
    script = tmp_path / "late.py"
    script.write_text(
        "import time\n"
        "from pathlib import Path\n"
        "from pynest_tools import cli\n"
        "from pynest_tools.runs import folder\n"
        "from pynest_tools.kernel import parallel\n"
        "def slowly(path, text, **options):\n"
        "    with path.open('w', **options) as file:\n"
        "        file.write(text[:10])\n"
        "        file.flush()\n"
        "        time.sleep(2.0)\n"
        "        file.write(text[10:])\n"
        "Path.write_text = slowly\n"
        "if parallel.rank() == 1:\n"
        "    read = folder.RunFolder.read_specification\n"
        "    def late(self, *arguments):\n"
        "        time.sleep(0.5)\n"
        "        return read(self, *arguments)\n"
        "    folder.RunFolder.read_specification = late\n"
        "cli.main()\n"
    )
    resumed = launch(2, script, "resume", tmp_path / "run", "--epochs", 2)
    assert resumed.returncode == 0, resumed.stderr
    assert_identical(read(tmp_path / "run"), reference(processes=0, threads=2))


def test_only_the_first_process_prints(tmp_path):
    options = ["--epochs", 1, "--output", tmp_path / "run"]
    done = launch(3, "-m", "pynest_tools", "train", "bars", *SHORT, *options, mpirun=["--tag-output"])
    assert done.returncode == 0, done.stderr
    writers = re.findall(r"\[1,(\d)\]<stdout>", done.stdout)  # tags of Open MPI: job and process
    assert set(writers) == {"0"}
    assert "epoch 1/1" in done.stdout
    assert done.stdout.count("Kept in") == 1
    assert (tmp_path / "run" / "figures" / "training.png").stat().st_size > 10_000


# ---- failures -----------------------------------------------------------------------------------------------------------


def assert_job_ends(message, *arguments):
    """Two processes end within a minute, start included, with a failure and this message; a hang would take until TIMEOUT_S."""
    started = time.monotonic()
    done = launch(2, *arguments)
    assert done.returncode != 0
    assert message in done.stderr
    assert time.monotonic() - started < 60


def test_bad_input_ends_the_job(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    assert_job_ends("is not empty", "-m", "pynest_tools", "train", "bars", "--output", tmp_path)


def test_divergence_ends_the_job(tmp_path):
    """NEST notices it on the process that has the cell; the other one is in the middle of the simulation."""
    unbounded = {"eta_up": 1e6, "Wmax": 1e9, "Wmin": -1e9}
    options = [part for name, value in unbounded.items() for part in ("--set", f"network.plasticity.{name}={value}")]
    options += ["--output", tmp_path / "run"]
    assert_job_ends("the network diverged", "-m", "pynest_tools", "train", "bars", *SHORT, *options)


def test_an_exception_on_one_process_ends_the_job(tmp_path):
    """With its traceback; the other process waits for it in the middle of the simulation."""
    script = tmp_path / "job.py"
    script.write_text(
        "from pynest_tools import cli\n"
        "from pynest_tools.runs import loop\n"
        "from pynest_tools.kernel import parallel\n"
        "report = loop.Loop._report\n"
        "def fail(self):\n"
        "    if parallel.rank() == 1 and self._stream.epoch >= 1:\n"
        "        raise MemoryError('no room on process 1')\n"
        "    report(self)\n"
        "loop.Loop._report = fail\n"
        "cli.main()\n"
    )
    options = ["--epochs", 100, "--output", tmp_path / "run"]
    assert_job_ends("MemoryError: no room on process 1", script, "train", "bars", *SHORT, *options)


def test_an_exception_in_a_script_ends_the_job(tmp_path):
    """Without it the other process would wait in Simulate for ever."""
    script = tmp_path / "script.py"
    script.write_text(
        "import nest, pynest_tools\n"
        "pynest_tools.install()\n"
        "cells = nest.Create('pyramidal_neuron', 4)\n"
        "receptors = nest.GetDefaults('pyramidal_neuron', 'receptor_types')\n"
        "nest.Connect(cells, cells, syn_spec={'receptor_type': receptors['basal']})\n"
        "if nest.Rank() == 1:\n"
        "    raise ValueError('a bad file on process 1')\n"
        "nest.Simulate(100.0)\n"
    )
    assert_job_ends("ValueError: a bad file on process 1", script)


def test_a_killed_process_ends_the_job_and_the_run_goes_on(tmp_path):
    folder = tmp_path / "run"
    options = ["--set", "training.test_interval=1", "--output", folder]
    arguments = command(2, "-m", "pynest_tools", "train", "bars", *SHORT, "--epochs", 100_000, *options)
    job = subprocess.Popen(
        arguments, cwd=HERE, env=os.environ | ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        deadline = time.monotonic() + TIMEOUT_S
        while not list(folder.glob("checkpoint/epoch-*3-*[0-9]")):
            assert job.poll() is None, job.communicate()[1]
            assert time.monotonic() < deadline
            time.sleep(0.05)
        second = launch(2, "-m", "pynest_tools", "resume", folder)  # of the same run, while it is going on
        assert second.returncode != 0
        assert "is in use: process" in second.stderr
        assert job.poll() is None
        workers = subprocess.run(
            ["pgrep", "-f", f"{sys.executable} -m pynest_tools.*{folder}"], capture_output=True, text=True, check=True
        )
        victims = [int(pid) for pid in workers.stdout.split() if int(pid) != job.pid]
        os.kill(victims[-1], signal.SIGKILL)
        started = time.monotonic()
        _, errors = job.communicate(timeout=60)
    finally:
        job.kill()
    assert time.monotonic() - started < 30
    assert job.returncode != 0
    assert "signal 9" in errors
    done = len((folder / "metrics.jsonl").read_text().splitlines()) - 1
    resumed = launch(2, "-m", "pynest_tools", "resume", folder, "--epochs", done + 1)
    assert resumed.returncode == 0, resumed.stderr
    assert_identical(read(folder), reference(processes=0, threads=2, epochs=done + 1))


def test_a_refusal_reaches_every_process_of_a_script(tmp_path):
    """Nobody waits for the first process, which alone looks at the folder."""
    (tmp_path / "run").mkdir()
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\n"
        "from pathlib import Path\n"
        "import pynest_tools as pt\n"
        "from pynest_tools.errors import UserError\n"
        "from pynest_tools.kernel.parallel import rank\n"
        "from pynest_tools.runs.lock import FolderLock\n"
        "def say():\n"
        "    try:\n"
        "        pt.train(output=sys.argv[1])\n"
        "    except UserError as error:\n"
        "        Path(f'{sys.argv[1]}-{rank()}').write_text(str(error))\n"
        "with FolderLock(Path(sys.argv[1])):\n"
        "    say()\n"
    )
    done = launch(2, script, tmp_path / "run")
    assert done.returncode == 0, done.stderr
    first, second = ((tmp_path / f"run-{rank}").read_text() for rank in range(2))
    assert first == second
    assert "is in use: process" in first


def test_comparison_is_refused(tmp_path):
    done = launch(2, "-m", "pynest_tools", "compare", "bars", "--output", tmp_path / "runs")
    assert done.returncode != 0
    assert "start it without mpirun" in done.stderr
