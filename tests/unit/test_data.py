# SPDX-License-Identifier: GPL-2.0-or-later
"""Own data: reading of every format, kinds of targets, the split, what is described."""

import gzip
import hashlib
import struct

import numpy as np
import pytest

from pynest_tools.runs.specification import RunSpecification
from pynest_tools.tasks import Data
from pynest_tools.tasks.files import read_raw
from pynest_tools.tasks.targets import kind_of_targets


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    y = rng.permutation(np.repeat(["a", "b", "c"], [50, 30, 20]))
    return rng.normal(size=(100, 4)), y


@pytest.fixture
def npz(tmp_path, table):
    np.savez(tmp_path / "all.npz", x=table[0], y=table[1])
    return tmp_path / "all.npz"


def write_csv(path, x, y, delimiter=","):
    header = [*(f"f{i}" for i in range(x.shape[1])), "species"]
    lines = [header, *([*map(repr, row.tolist()), str(label)] for row, label in zip(x, y))]
    path.write_text("\n".join(delimiter.join(line) for line in lines) + "\n", encoding="utf-8")
    return path


def write_idx(path, array, opened=open):
    with opened(path, "wb") as file:
        file.write(struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes())


def write_images(folder, opened=open, end="", n=(30, 10), size=(4, 5)):
    rng = np.random.default_rng(1)
    made = {}
    for which, count in zip(("train", "t10k"), n):
        images = rng.integers(0, 256, (count, *size), dtype=np.uint8)
        labels = (np.arange(count) % 3).astype(np.uint8)
        write_idx(folder / f"{which}-images-idx3-ubyte{end}", images, opened)
        write_idx(folder / f"{which}-labels-idx1-ubyte{end}", labels, opened)
        made[which] = (images, labels)
    return made


def rows_of(task):
    """Raw features of the three parts, through the inverse of the encoding, and their labels."""
    p = task.preprocessing
    parts = (task.training_set(), task.validation_set(), task.test_set())
    return [(np.round(p.inverse(part.stimuli), 9), p.decode(part.targets)) for part in parts]


def test_split_is_disjoint_complete_stratified_and_follows_its_seed(npz, table):
    task = Data(data=str(npz), split_seed=3, encoding="onoff")
    parts = rows_of(task)
    train, validation, _ = parts
    # The encoding is fitted to the training set and clips beyond it: only what lies within comes back from rates.
    seen = [tuple(row) for row in train[0]]
    given = {tuple(np.round(row, 9)): label for row, label in zip(*table)}
    assert [given[row] for row in seen] == train[1].tolist()
    assert [len(part[1]) for part in parts] == [68, 12, 20]  # 20 % of 100, then 15 % of the 80 left
    for part in parts:
        shares = np.array([np.mean(part[1] == label) for label in "abc"])
        np.testing.assert_allclose(shares, [0.5, 0.3, 0.2], atol=0.05)  # rounding to whole samples of each class
    assert sorted(np.concatenate([part[1] for part in parts])) == sorted(table[1])
    again, other = Data(data=str(npz), split_seed=3, encoding="onoff"), Data(data=str(npz), split_seed=4)
    np.testing.assert_array_equal(again.validation_set().stimuli, task.validation_set().stimuli)
    assert not set(map(tuple, rows_of(other)[1][0])) <= set(map(tuple, validation[0]))


def test_no_sample_is_in_two_parts(tmp_path):
    x = np.arange(50.0)[:, np.newaxis]
    np.savez(tmp_path / "line.npz", x=x, y=np.sin(x[:, 0]))
    task = Data(data=str(tmp_path / "line.npz"))
    ys = [
        np.round(task.decode(part.targets)[:, 0], 9)
        for part in (task.training_set(), task.validation_set(), task.test_set())
    ]
    assert sorted(np.concatenate(ys)) == sorted(np.round(np.sin(x[:, 0]), 9))


def test_what_is_fitted_knows_the_training_set_only(tmp_path):
    x, y = np.arange(40.0)[:, np.newaxis], np.tile([0, 1], 20)
    np.savez(tmp_path / "far.npz", x_train=x, y_train=y, x_test=x + 1000.0, y_test=y)
    task = Data(data=str(tmp_path / "far.npz"))
    np.testing.assert_array_equal(task.test_set().stimuli, [[1.0, 0.0]] * 40)  # beyond the largest training value
    assert len(task.test_set()) == 40
    assert len(task.training_set()) + len(task.validation_set()) == 40


@pytest.mark.parametrize("encoding", ["range", "quantile"])
def test_what_is_fitted_knows_neither_validation_nor_test_set_of_a_file_without(tmp_path, encoding):
    """Distinct values: the training set's smallest and largest have the smallest and largest rate, those beyond are clipped."""
    x, y = np.arange(60.0)[:, np.newaxis], np.tile([0, 1], 30)
    beyond = 0
    for seed in range(5):
        np.savez(tmp_path / "one.npz", x=x, y=y)
        task = Data(data=str(tmp_path / "one.npz"), encoding=encoding, split_seed=seed)
        rates = task.training_set().stimuli
        assert (rates.min(), rates.max()) == (0.0, 1.0)
        assert len(np.unique(rates)) == len(rates)
        others = np.concatenate([task.validation_set().stimuli, task.test_set().stimuli])
        beyond += np.count_nonzero((others == 0.0) | (others == 1.0))
    assert beyond > 0  # for one of the seeds at least, else the test shows nothing


@pytest.mark.parametrize("names", [("x", "y"), ("X", "Y"), ("x_train", "y_train"), ("X_train", "Y_train")])
def test_names_of_arrays(tmp_path, table, names):
    np.savez(tmp_path / "named.npz", **dict(zip(names, table)))
    assert len(Data(data=str(tmp_path / "named.npz")).training_set()) == 68


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_table_is_what_the_arrays_are(tmp_path, npz, table, delimiter):
    path = write_csv(tmp_path / "table.csv", *table, delimiter)
    task, same = Data(data=str(path)), Data(data=str(npz))
    for part in ("training_set", "validation_set", "test_set"):
        np.testing.assert_array_equal(getattr(task, part)().stimuli, getattr(same, part)().stimuli)
        np.testing.assert_array_equal(getattr(task, part)().targets, getattr(same, part)().targets)
    assert task.preprocessing.feature_names == ("f0", "f1", "f2", "f3")
    assert task.preprocessing.target_names == ("species",)


def test_a_table_longer_than_a_part_is_whole(tmp_path, monkeypatch, table):
    monkeypatch.setattr("pynest_tools.tasks.csv_file.ROWS", 7)
    path = write_csv(tmp_path / "table.csv", *table)
    x, y, *_ = read_raw(str(path))
    np.testing.assert_array_equal(x, table[0])
    np.testing.assert_array_equal(y, table[1])


def test_targets_of_a_table_are_columns_by_name(tmp_path):
    (tmp_path / "t.csv").write_text("a,out,b,more\n" + "".join(f"{i},{i / 2},{i + 1},{i * 3}\n" for i in range(20)))
    one = Data(data=str(tmp_path / "t.csv"), target="out")
    assert (one.kind, one.n_inputs, one.n_outputs, one.target_names) == ("regression", 6, 1, ("out",))
    two = Data(data=str(tmp_path / "t.csv"), target=["more", "out"])
    assert (two.kind, two.n_inputs, two.target_names) == ("regression", 4, ("more", "out"))
    values = two.decode(two.training_set().targets)
    np.testing.assert_allclose(values[:, 0], 6 * values[:, 1])


@pytest.mark.parametrize(("opened", "end"), [(open, ""), (gzip.open, ".gz")])
def test_images(tmp_path, opened, end):
    made = write_images(tmp_path, opened, end)
    task = Data(data=str(tmp_path))
    assert (task.n_inputs, task.n_outputs, task.preprocessing.image_shape) == (20, 3, (4, 5))
    images, labels = made["t10k"]
    np.testing.assert_allclose(
        task.test_set().stimuli, images.reshape(10, -1) / 255, atol=1e-7
    )  # 32 bits; 0 and 255 occur
    np.testing.assert_array_equal(task.decode(task.test_set().targets), labels)
    single = read_raw(str(tmp_path / f"train-images-idx3-ubyte{end}"))
    np.testing.assert_array_equal(single.x, made["train"][0].reshape(30, -1))
    np.testing.assert_array_equal(single.y, made["train"][1])


@pytest.mark.parametrize(
    ("y", "kind"),
    [
        ([0.5, 1.5, 2.0], "regression"),
        ([0.0, 1.0, 2.0], "classification"),
        ([0, 1, 1], "classification"),
        (["a", "b", "a"], "classification"),
        ([True, False, True], "classification"),
        ([[0, 1], [1, 0], [1, 1]], "regression"),
        (np.tile(np.arange(21), 20), "classification"),  # 21 values, but of 420 samples
    ],
)
def test_kind_by_what_the_targets_are(y, kind):
    assert kind_of_targets(np.asarray(y)) == kind


def test_description_says_what_the_data_are(npz, table):
    found = Data(data=str(npz)).describe()
    assert found["sha256"] == hashlib.sha256(npz.read_bytes()).hexdigest()
    assert found["samples"] == {"training": 68, "validation": 12, "test": 20}
    counts = {label: sum(parts.values()) for label, parts in found["classes"].items()}
    assert counts == {"a": 50, "b": 30, "c": 20}


def test_a_file_is_read_once_until_it_changes(npz, table, monkeypatch):
    reads = []
    from pynest_tools.tasks import data

    read = data.read_file
    monkeypatch.setattr(data, "read_file", lambda *a: reads.append(a) or read(*a))
    for _ in range(3):
        Data(data=str(npz)).training_set()
        Data(data=str(npz), encoding="onoff").test_set()
    assert len(reads) <= 1
    np.savez(npz, x=table[0][:90], y=table[1][:90])
    assert sum(Data(data=str(npz)).describe()["samples"].values()) == 90


def test_new_data_by_the_names_that_were_learned(tmp_path, table):
    path = write_csv(tmp_path / "table.csv", *table)
    p = Data(data=str(path)).preprocessing
    (tmp_path / "new.csv").write_text("f3,id,f0,f1,f2\n4,x,1,2,3\n")
    x, y, names, targets = read_raw(str(tmp_path / "new.csv"), p.target_names, p.feature_names)
    assert (x.tolist(), y, names, targets) == ([[1.0, 2.0, 3.0, 4.0]], None, ("f0", "f1", "f2", "f3"), ())
    (tmp_path / "more.csv").write_text("species,f3,f0,f1,f2\nb,4,1,2,3\n")
    x, y, *_ = read_raw(str(tmp_path / "more.csv"), p.target_names, p.feature_names)
    assert (x.tolist(), y.tolist()) == ([[1.0, 2.0, 3.0, 4.0]], ["b"])


def test_new_arrays_with_and_without_targets(tmp_path):
    x = np.eye(3)
    np.savez(tmp_path / "x.npz", x=x)
    np.savez(tmp_path / "both.npz", x_train=x, y_train=[0, 1, 2], x_test=x[:2], y_test=[1, 1])
    assert read_raw(str(tmp_path / "x.npz")).y is None
    assert read_raw(str(tmp_path / "both.npz")).y.tolist() == [1, 1]


def test_openml(monkeypatch, table):
    asked = []

    def fetch(name, **options):
        from sklearn.utils import Bunch

        asked.append((name, options["as_frame"]))
        y = np.array(table[1], dtype=object)
        return Bunch(data=table[0], target=y, feature_names=list("pqrs"), target_names=["class"])

    monkeypatch.setattr("sklearn.datasets.fetch_openml", fetch)
    task = Data(data="openml:flowers", split_seed=11)
    assert asked[0] == ("flowers", False)
    assert (task.n_outputs, task.preprocessing.feature_names) == (3, ("p", "q", "r", "s"))
    assert len(task.describe()["sha256"]) == 64


def test_yardsticks_of_either_kind(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (400, 2))
    np.savez(tmp_path / "line.npz", x=x, y=x @ [1.0, -2.0] + 0.5)
    np.savez(tmp_path / "half.npz", x=x, y=np.where(x.sum(axis=1) > 0, "up", "down"))
    values, classes = (Data(data=str(tmp_path / f"{name}.npz")).baselines() for name in ("line", "half"))
    assert values["linear model"]["test"] > 0.999  # a linear function without noise
    assert -0.1 < values["mean"]["validation"] <= 0.0  # R² of the mean is 0, or less for the mean of other samples
    assert classes["linear classifier"]["test"] > 0.95  # a line divides them
    assert classes["chance"]["test"] == pytest.approx(0.5, abs=0.1)


def test_a_default_run_has_fewer_epochs_of_more_samples(npz, tmp_path):
    few = Data(data=str(npz)).default_run()["training"]["epochs"]
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "many.npz", x=rng.uniform(size=(3000, 1)), y=rng.integers(0, 2, 3000))
    many = Data(data=str(tmp_path / "many.npz")).default_run()["training"]["epochs"]
    assert (few, many) == (100, 60_000 // 2040)  # 68 and 2040 training samples


def test_a_run_takes_its_sizes_from_the_data(npz):
    spec = RunSpecification.for_task("data", {"task": {"data": str(npz)}, "network": {"hidden": [7]}})
    assert spec.network.sizes == (8, 7, 3)  # two cells for each of 4 features
    text = spec.to_toml()
    assert 'kind = "classification"' in text
    assert 'encoding = "complement"' in text
