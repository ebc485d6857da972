# SPDX-License-Identifier: GPL-2.0-or-later
"""What cannot be learned is refused, with a sentence that says why and what to do."""

import gzip
import urllib.error

import numpy as np
import pytest
from test_data import write_idx, write_images

from pynest_tools.errors import UserError
from pynest_tools.runs.specification import RunSpecification, SpecificationError
from pynest_tools.tasks import Data
from pynest_tools.tasks.files import read_raw
from pynest_tools.tasks.preprocessing import Preprocessing

X = np.random.default_rng(0).normal(size=(30, 3))
Y = np.tile(["a", "b", "c"], 10)


def with_entry(value, at=(5, 1)):
    changed = X.copy()
    changed[at] = value
    return changed


ARRAYS = {
    "nan": ({"x": with_entry(np.nan), "y": Y}, r"x\[5, 1\] is nan: fill it in"),
    "inf": ({"x": with_entry(-np.inf), "y": Y}, r"x\[5, 1\] is -inf"),
    "nan in the test set": ({"x": X, "y": Y, "x_test": with_entry(np.nan), "y_test": Y}, r"x\[5, 1\] is nan"),
    "nan among targets": ({"x": X, "y": np.where(np.arange(30) == 7, np.nan, X[:, 0])}, "target of sample 7 is nan"),
    "one class": ({"x": X, "y": np.full(30, "a")}, r"one class, 'a': there is nothing to tell apart"),
    "one sample of a class": ({"x": X, "y": np.r_[Y[:29], ["z"]]}, r"class z has 1 sample, and each of the 3 sets .* give more"),
    "samples for no split": ({"x": X[:4], "y": np.arange(4) / 3}, "there are 4 samples, and each of the 3 sets"),
    "unequal lengths": ({"x": X, "y": Y[:20]}, "x has 30 samples and y has 20: give one target for each"),
    "objects": ({"x": X.astype(object), "y": Y}, r"array x of .* Python objects.*x\.astype\(float\)"),
    "labels as objects": ({"x": X, "y": Y.astype(object)}, r"array y of .* Python objects.*y\.astype\(str\)"),
    "text": ({"x": X.astype(str), "y": Y}, "features must be numbers, got an array of <U"),
    "complex": ({"x": X * 1j, "y": Y}, "features must be numbers, got an array of complex"),
    "no rows": ({"x": X[:0], "y": Y[:0]}, "x is empty: it has 0 samples of 3 features"),
    "one axis": ({"x": X[:, 0], "y": Y}, r"one row a sample and one column a feature, got shape \(30,\)"),
    "class of the test set only": (
        {"x": X, "y": Y, "x_test": X[:2], "y_test": ["a", "q"]}, "no sample of class 'q', only of 'a', 'b', 'c'"
    ),
    "other features in the test set": (
        {"x": X, "y": Y, "x_test": X[:, :2], "y_test": Y}, "training samples have 3 features and test samples 2"
    ),
    "missing arrays": ({"data": X, "labels": Y}, "must have the arrays x and y, or x_train.*; it has data, labels"),
    "no targets": ({"x": X}, "samples without targets"),
    "test set without targets": ({"x": X, "y": Y, "x_test": X}, "test set without targets"),
    "nothing to train with": ({"x_test": X, "y_test": Y}, "test set and nothing to train with"),
    "constant target": ({"x": X, "y": np.c_[X[:, 0], np.full(30, 4.5)]}, "target number 1 is 4.5 in every training sample"),
    "whole numbers of many values": ({"x": X, "y": np.arange(30)}, "30 different values in 30 samples.*state kind"),
}  # fmt: skip


@pytest.mark.parametrize("case", ARRAYS)
def test_arrays(tmp_path, case):
    arrays, sentence = ARRAYS[case]
    path = tmp_path / "bad.npz"
    np.savez(path, **arrays)
    with pytest.raises(UserError, match=sentence) as told:
        Data(data=str(path)).training_set()
    assert str(path) in str(told.value)


TABLES = {
    "empty": ("", "is empty"),
    "blank": ("\n\n", "is empty: a table has a header"),
    "header only": ("a,b,y\n", "has a header and no samples"),
    "no header": ("1,2,3\n4,5,6\n", "begins with numbers, 1, 2, 3: the first line must name the columns"),
    "one column": ("a\n1\n", "has one column, 'a'"),
    "text": ("a,b,y\n1,2,u\n1,red,v\n", "line 3 of .*, column 'b', is the text 'red', and features are numbers: replace"),
    "decimal comma": ("a;b;y\n1;2,5;u\n", "column 'b', is the text '2,5'.*decimals with a point"),
    "empty cell": ("a,b,y\n1,,u\n", "line 2 of .*, column 'b', is empty: fill it in"),
    "nan": ("a,b,y\n1,2,u\n\n1,nan,u\n", "line 4 of .*, column 'b', is nan"),
    "inf": ("a,b,y\n1,-inf,u\n", "column 'b', is -inf"),
    "no target": ("a,b,y\n1,2,\n", "line 2 of .*, column 'y', is empty: a sample has a target"),
    "short line": ("a,b,y\n1,2,u\n1,2\n", "line 3 of .* has 2 columns, and the header has 3"),
    "twice the same name": ("a,b,a,y\n1,2,3,u\n", "more than one column named 'a'"),
}  # fmt: skip


@pytest.mark.parametrize("case", TABLES)
def test_tables(tmp_path, case):
    text, sentence = TABLES[case]
    path = tmp_path / "bad.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=sentence):
        Data(data=str(path))


def test_a_target_that_is_no_column(tmp_path):
    (tmp_path / "t.csv").write_text("age,height,species\n1,2,u\n")
    with pytest.raises(UserError, match=r"no column 'specis' for the target; did you mean species\?"):
        Data(data=str(tmp_path / "t.csv"), target="specis")


def test_several_targets_are_numbers(tmp_path):
    (tmp_path / "t.csv").write_text("a,b,c\n1,2,u\n")
    with pytest.raises(UserError, match=r"column 'c' of .* one of several targets and holds 'u'"):
        Data(data=str(tmp_path / "t.csv"), target=("b", "c"))


def test_a_learned_column_that_is_missing(tmp_path):
    (tmp_path / "t.csv").write_text("a,c\n1,2\n")
    with pytest.raises(UserError, match="no column 'b', which was learned"):
        read_raw(str(tmp_path / "t.csv"), features=("a", "b"))


def test_a_binary_file_is_no_table(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"a,b\n\xff\xfe,1\n")
    with pytest.raises(UserError, match="no text in UTF-8"):
        Data(data=str(tmp_path / "t.csv"))


def test_a_table_of_10_gigabytes_is_refused_before_it_is_read(tmp_path, monkeypatch):
    """A sparse file: a header, some lines, and nothing for the rest of 10 GB."""
    path = tmp_path / "large.csv"
    with path.open("w") as file:
        file.write("a,b,y\n" + "1.5,2.5,u\n" * 10_000)
        file.truncate(10_000_000_000)
    monkeypatch.setattr("pynest_tools.memory.available_memory", lambda: 64e9)
    # 1e9 lines of 10 characters; 2 features of 8 bytes, 40 for the target; 4 copies
    with pytest.raises(UserError, match=r"would take 224 GB of memory, and 64 GB are free: give fewer samples"):
        Data(data=str(path))


def test_an_endless_line_is_no_table(tmp_path, monkeypatch):
    monkeypatch.setattr("pynest_tools.tasks.csv_file.LONGEST_LINE", 1000)
    (tmp_path / "t.csv").write_text("a,b\n1,2\n" + "1" * 5000)
    with pytest.raises(UserError, match="a line of more than 1000 characters"):
        Data(data=str(tmp_path / "t.csv"))


@pytest.mark.parametrize("name", ["t.csv", "t.npz", "train-images-idx3-ubyte"])
def test_data_beyond_the_memory_that_is_free(tmp_path, monkeypatch, name):
    np.savez(tmp_path / "t.npz", x=X, y=Y)
    (tmp_path / "t.csv").write_text("a,y\n" + "1,2\n" * 100)
    write_images(tmp_path)
    monkeypatch.setattr("pynest_tools.memory.available_memory", lambda: 1000.0)
    with pytest.raises(UserError, match="GB of memory, and 1e-06 GB are free"):
        Data(data=str(tmp_path / name))


@pytest.mark.parametrize("opened", [open, gzip.open])
@pytest.mark.parametrize("kept", [2, 7, 100])
def test_truncated_images(tmp_path, opened, kept):
    end = ".gz" if opened is gzip.open else ""
    path = tmp_path / f"train-images-idx3-ubyte{end}"
    write_idx(path, np.zeros((30, 4, 5), np.uint8), opened)
    content = path.read_bytes() if not end else gzip.decompress(path.read_bytes())
    with opened(path, "wb") as file:
        file.write(content[:kept])
    with pytest.raises(UserError, match=r"truncated|no IDX file"):
        read_raw(str(path))


def test_a_gzip_file_that_ends_too_early(tmp_path):
    path = tmp_path / "train-images-idx3-ubyte.gz"
    write_idx(path, np.random.default_rng(0).integers(0, 255, (30, 4, 5), dtype=np.uint8), gzip.open)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(UserError, match="truncated or damaged"):
        read_raw(str(path))


def test_images_and_labels_of_other_sets(tmp_path):
    write_images(tmp_path)
    write_idx(tmp_path / "train-labels-idx1-ubyte", np.zeros(7, np.uint8))
    with pytest.raises(UserError, match=r"30 images and .* labels of shape \(7,\)"):
        Data(data=str(tmp_path))


def test_a_folder_without_images(tmp_path):
    with pytest.raises(UserError, match="has no images: it must hold train-images-idx3-ubyte"):
        Data(data=str(tmp_path))
    write_images(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(UserError, match="t10k-images-idx3-ubyte but no t10k-labels-idx1-ubyte"):
        Data(data=str(tmp_path))


def test_images_of_another_size_than_those_that_were_learned(tmp_path):
    write_images(tmp_path)
    p = Data(data=str(tmp_path)).preprocessing
    with pytest.raises(UserError, match=r"a sample has 36 features, and 20 \(images of 4 x 5 pixels\) were learned"):
        p.rates(np.zeros((1, 36)))


def test_a_class_that_was_not_learned():
    p = Preprocessing.fit(X, Y)
    with pytest.raises(UserError, match="no sample of class 'x', only of 'a', 'b', 'c'"):
        p.samples(X[:2], ["a", "x"])


def test_a_named_column_is_named():
    p = Preprocessing.fit(X, Y, feature_names=("age", "height", "mass"))
    with pytest.raises(UserError, match=r"x\[5, 1\] \(column 'height'\) is nan"):
        p.rates(with_entry(np.nan))


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("gone.npz", "there is no file .*gone.npz"),
        ("zero.npz", "is empty: it has 0 bytes"),
        ("a.xlsx", r"none of what can be read: \.npz, \.csv"),
    ],
)
def test_files(tmp_path, name, sentence):
    (tmp_path / "zero.npz").touch()
    (tmp_path / "a.xlsx").write_bytes(b"x")
    with pytest.raises(UserError, match=sentence):
        Data(data=str(tmp_path / name))


def test_what_is_no_npz(tmp_path):
    (tmp_path / "a.npz").write_bytes(b"no archive at all")
    with pytest.raises(UserError, match=r"no file of numpy.savez"):
        Data(data=str(tmp_path / "a.npz"))


def test_openml_without_a_network(monkeypatch):
    def fetch(*arguments, **options):
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr("sklearn.datasets.fetch_openml", fetch)
    with pytest.raises(
        UserError, match=r"openml.org cannot be reached for 'wine'.*download it elsewhere and give a file"
    ):
        Data(data="openml:wine")


def test_openml_without_such_a_data_set(monkeypatch):
    def fetch(*arguments, **options):
        raise ValueError("No active dataset wien found.")

    monkeypatch.setattr("sklearn.datasets.fetch_openml", fetch)
    with pytest.raises(UserError, match=r"does not give 'wien' \(No active dataset wien found.\): check the name"):
        Data(data="openml:wien")


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({}, "task.data is missing"),
        ({"data": "x.npz", "low": 1.0}, "low must lie below high = 1.0 1/ms"),
        ({"data": "x.npz", "target_high": 0.0}, "target_low must lie below target_high = 0.0 mV"),
        ({"data": "x.npz", "test": 1.0}, "task.test must be less than 1"),
        (
            {"data": "x.npz", "encoding": "rank"},
            "task.encoding must be 'auto', 'range', 'complement', 'quantile' or 'onoff'",
        ),
    ],
)
def test_settings(settings, sentence):
    with pytest.raises(SpecificationError, match=sentence):
        RunSpecification.for_task("data", {"task": settings})
