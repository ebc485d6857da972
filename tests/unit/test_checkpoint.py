# SPDX-License-Identifier: GPL-2.0-or-later
"""Checkpoints: whole or not there, and plain enough for other tools."""

from __future__ import annotations

import json
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from pynest_tools.errors import UserError
from pynest_tools.networks.microcircuit import Microcircuit
from pynest_tools.networks.weights import initial_weights
from pynest_tools.runs import checkpoint as module
from pynest_tools.runs.checkpoint import Checkpoint, load_checkpoint, save_checkpoint

SIZES = (4, 6, 5, 2)


def circuit_of(sizes):
    return Microcircuit(sizes=sizes, plasticity={"eta_up": 0.01})


CIRCUIT = circuit_of(SIZES)


def checkpoint_of(epoch, seed=2):
    rng = np.random.default_rng(seed)
    weights = initial_weights(CIRCUIT, rng)
    state = {"epoch": epoch, "position": 0, "samples": 24 * epoch, "order": dict(rng.bit_generator.state)}
    return Checkpoint(weights, state, 1.5)


def test_everything_comes_back(tmp_path):
    kept = checkpoint_of(7)
    save_checkpoint(tmp_path, kept)
    loaded = load_checkpoint(tmp_path, CIRCUIT)
    assert (loaded.state, loaded.simulation_s) == (kept.state, 1.5)
    for (name, got), (_, wanted) in zip(loaded.weights.named(), kept.weights.named()):
        np.testing.assert_array_equal(got, wanted, err_msg=name)
    generator = np.random.default_rng()
    generator.bit_generator.state = loaded.state["order"]


def test_arrays_are_plain(tmp_path):
    save_checkpoint(tmp_path, checkpoint_of(7))
    with np.load(tmp_path / "epoch-00000007-00000000" / "rank-0.npz", allow_pickle=False) as archive:
        assert archive["up_1"].shape == (6, 4)
        state = json.loads(str(archive["state"]))
        assert (state["epoch"], state["order"]["bit_generator"]) == (7, "PCG64")


@pytest.mark.parametrize("n", [2, 3, 9])  # 9: some have no row to write
def test_processes_write_their_share_and_one_reads_all(tmp_path, monkeypatch, n):
    """Threads stand for processes here; tests/mpi has the real ones."""
    ranks = threading.local()
    monkeypatch.setattr(module, "rank", lambda: ranks.own)
    monkeypatch.setattr(module, "n_processes", lambda: n)
    monkeypatch.setattr(module, "wait_for_all", threading.Barrier(n, timeout=60).wait)
    kept = checkpoint_of(7)

    def save(own):
        ranks.own = own
        save_checkpoint(tmp_path, kept)

    with ThreadPoolExecutor(n) as pool:
        list(pool.map(save, range(n)))
    (folder,) = tmp_path.iterdir()
    assert {path.name for path in folder.iterdir()} == {f"rank-{own}.npz" for own in range(n)}
    with np.load(folder / "rank-1.npz") as archive:
        np.testing.assert_array_equal(archive["up_1"], kept.weights.up[0][1::n])
    loaded = load_checkpoint(tmp_path, CIRCUIT)
    for (name, got), (_, wanted) in zip(loaded.weights.named(), kept.weights.named()):
        np.testing.assert_array_equal(got, wanted, err_msg=name)
    (folder / "rank-1.npz").unlink()
    with pytest.raises(UserError, match=r"cannot read .*rank-1.npz"):
        load_checkpoint(tmp_path, CIRCUIT)


def test_only_the_last_one_is_kept(tmp_path):
    for epoch in (0, 10, 9999, 123456):
        save_checkpoint(tmp_path, checkpoint_of(epoch))
    assert [path.name for path in tmp_path.iterdir()] == ["epoch-00123456-00000000"]
    assert load_checkpoint(tmp_path, CIRCUIT).state["epoch"] == 123456


def test_a_half_written_one_is_not_seen(tmp_path):
    save_checkpoint(tmp_path, checkpoint_of(5))
    half = tmp_path / "epoch-00000010-00000000.part"
    half.mkdir()
    (half / "rank-0.npz").write_bytes(b"PK")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # it is no damaged one, of which a remark would tell
        assert load_checkpoint(tmp_path, CIRCUIT).state["epoch"] == 5
    save_checkpoint(tmp_path, checkpoint_of(10))
    assert load_checkpoint(tmp_path, CIRCUIT).state["epoch"] == 10
    assert not half.exists()


def test_of_two_whole_ones_the_later_counts(tmp_path):
    """A process that was killed before it could remove the former one."""
    save_checkpoint(tmp_path / "a", checkpoint_of(20, seed=3))
    save_checkpoint(tmp_path, checkpoint_of(10))
    (tmp_path / "a" / "epoch-00000020-00000000").rename(tmp_path / "epoch-00000020-00000000")
    assert load_checkpoint(tmp_path, CIRCUIT).state["epoch"] == 20


def test_weights_that_do_not_fit_are_refused(tmp_path):
    save_checkpoint(tmp_path, checkpoint_of(1))
    with pytest.raises(UserError, match=r"up_1 in .* has shape \(6, 4\), but sizes \[9, 30, 3\] need \(30, 9\)"):
        load_checkpoint(tmp_path, circuit_of((9, 30, 3)))
    with pytest.raises(UserError, match=r"up_4 in .* is missing"):
        load_checkpoint(tmp_path, circuit_of((*SIZES, 3)))


@pytest.mark.parametrize("content", [None, b"", b"no archive"])
def test_an_unreadable_one_is_said(content, tmp_path):
    with pytest.raises(UserError, match="holds no checkpoint: the run ended before its first test"):
        load_checkpoint(tmp_path, CIRCUIT)
    path = tmp_path / "epoch-00000001" / "rank-0.npz"
    path.parent.mkdir()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"cannot read .*rank-0.npz"):
        load_checkpoint(tmp_path, CIRCUIT)
    with path.open("wb") as file:
        np.savez(file, up_1=np.zeros((6, 4)))
    with pytest.raises(UserError, match="is not a checkpoint"):
        load_checkpoint(tmp_path, CIRCUIT)
