# SPDX-License-Identifier: GPL-2.0-or-later
"""Encodings of features, coding of targets, and a preprocessing that is kept and found again."""

import numpy as np
import pytest
from scipy.stats import rankdata

from pynest_tools.errors import UserError
from pynest_tools.tasks.preprocessing import Preprocessing

ROUNDING = 1e-12  # of a handful of operations with numbers of about 1
ENCODINGS = ("range", "complement", "quantile", "onoff")


def fitted(x, y=None, **options):
    y = np.arange(len(x)) % 2 if y is None else y
    return Preprocessing.fit(x, y, **{"kind": "classification", **options})


@pytest.fixture
def x():
    return np.random.default_rng(4).normal(size=(60, 3)) * [1.0, 10.0, 0.1] + [0.0, -3.0, 0.05]


def test_range_maps_the_training_extremes_to_the_rates_and_clips_beyond():
    p = fitted([[0.0], [4.0]], low=0.2, high=1.2)
    np.testing.assert_allclose(p.rates([[0.0], [1.0], [4.0], [9.0], [-9.0]])[:, 0], [0.2, 0.45, 1.2, 1.2, 0.2])


def test_quantile_is_the_rank_scaled_to_its_ends(x):
    """Independent: scipy's mean ranks of a sample with ties, scaled so that the smallest is 0 and the largest 1."""
    x = np.round(x, 1)  # ties in every column
    ranks = np.stack([rankdata(column) for column in x.T], axis=1)
    share = (ranks - ranks.min(axis=0)) / (ranks.max(axis=0) - ranks.min(axis=0))
    np.testing.assert_allclose(fitted(x, encoding="quantile").rates(x), share, atol=ROUNDING)


def test_quantile_interpolates_new_values_and_clips_beyond():
    p = fitted([[0.0], [1.0], [3.0]], encoding="quantile")
    np.testing.assert_allclose(p.rates([[0.5], [2.0], [-1.0], [7.0]])[:, 0], [0.25, 0.75, 0.0, 1.0])


def test_quantile_of_many_values_keeps_ranks_to_a_thousandth():
    x = np.random.default_rng(0).lognormal(size=(20_000, 1))
    p = fitted(x, encoding="quantile")
    exact = (rankdata(x[:, 0]) - 1) / (len(x) - 1)
    # 1000 values are kept, 20 apart in rank; a value between two of them errs by less than their distance
    np.testing.assert_allclose(p.rates(x)[:, 0], exact, atol=1.1e-3)
    assert p.arrays()["features.values"].size <= 1000


def test_on_and_off_cells_share_the_sign():
    p = fitted([[-4.0, 0.5], [2.0, 1.0]], encoding="onoff", high=2.0)
    assert p.n_inputs == 4
    np.testing.assert_allclose(p.rates([[2.0, 0.5], [-4.0, -9.0]]), [[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 2.0, 2.0]])


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_inverse_gives_the_features_back(x, encoding):
    p = fitted(x, encoding=encoding, low=0.1, high=0.9)
    rates = p.rates(x)
    assert rates.min() >= 0.1 - ROUNDING
    assert rates.max() <= 0.9 + ROUNDING
    np.testing.assert_allclose(p.inverse(rates), x, atol=1e-10)  # features of up to 40, rates rounded to 1e-16


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_constant_feature_is_kept_and_said(x, encoding):
    x[:, 1] = 0.0
    p = fitted(x, encoding=encoding, low=0.1, feature_names=("a", "b", "c"))
    np.testing.assert_array_equal(p.rates(x)[:, 1], 0.1)
    assert p.notes == ("feature 'b' is constant in the training set: it is kept, and tells nothing apart",)


def test_pixels_of_images_have_one_range():
    x = np.array([[0.0, 0.0, 0.0, 0.0], [0.0, 255.0, 51.0, 0.0]])
    p = fitted(x, image_shape=(2, 2))
    np.testing.assert_allclose(p.rates(x), x / 255.0)


def test_complement_has_a_cell_that_rises_and_one_that_falls(x):
    p, rising = fitted(x, encoding="complement", low=0.1, high=0.8), fitted(x, low=0.1, high=0.8)
    assert p.n_inputs == 6
    np.testing.assert_array_equal(p.rates(x)[:, :3], rising.rates(x))
    np.testing.assert_allclose(p.rates(x)[:, :3] + p.rates(x)[:, 3:], 0.9, rtol=1e-14)


def test_small_floats_stay_small(x):
    assert fitted(x.astype(np.float32)).rates(x.astype(np.float32)).dtype == np.float32


@pytest.mark.parametrize(
    "labels",
    [
        ["dog", "cat", "dog", "eel"],
        [3, -1, 3, 7],
        [0.5, 2.0, 0.5, 9.0],
        [True, False, True, True],
        np.array(["dog", None, 3, "dog"], dtype=object),
    ],
)
def test_any_labels_come_back(labels):
    labels = np.asarray(labels)
    p = Preprocessing.fit(np.arange(8.0).reshape(4, 2), labels, kind="classification", target_low=-1.0, target_high=2.0)
    potentials = p.targets(labels)
    assert potentials.shape == (4, len(set(labels.tolist())))
    assert set(np.unique(potentials)) == {-1.0, 2.0}
    decoded = p.decode(potentials)
    assert decoded.tolist() == labels.tolist()
    assert [type(a) for a in decoded.tolist()] == [type(a) for a in labels.tolist()]


def test_classes_are_in_ascending_order():
    assert fitted(np.eye(3), ["b", "c", "a"]).classes_.tolist() == ["a", "b", "c"]


def test_values_are_scaled_target_by_target():
    y = np.array([[0.0, 100.0], [5.0, 300.0], [10.0, 200.0]])
    p = Preprocessing.fit(np.eye(3), y, target_low=0.0, target_high=2.0)
    assert (p.kind, p.n_outputs) == ("regression", 2)
    np.testing.assert_allclose(p.targets(y), [[0.0, 0.0], [1.0, 2.0], [2.0, 1.0]])
    np.testing.assert_allclose(p.targets([[20.0, 50.0]]), [[4.0, -0.5]])  # beyond the training values: not clipped
    np.testing.assert_allclose(p.decode(p.targets(y)), y)


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("y", [["u", "v", "w"] * 20, np.linspace(0, 1, 60), np.array([1, "a", 2.5] * 20, dtype=object)])
def test_a_preprocessing_is_kept_without_pickle(tmp_path, x, y, encoding):
    names = ("a", "b", "c")
    kind = "auto" if np.asarray(y).dtype.kind != "O" else "classification"
    p = Preprocessing.fit(x, y, kind=kind, encoding=encoding, feature_names=names, target_names=("y",))
    np.savez(tmp_path / "p.npz", **p.arrays())
    with np.load(tmp_path / "p.npz", allow_pickle=False) as arrays:
        again = Preprocessing.from_arrays(arrays)
    np.testing.assert_array_equal(again.rates(x), p.rates(x))
    assert (again.decode(p.targets(y)) == p.decode(p.targets(y))).all()
    for name in ("kind", "encoding", "n_inputs", "n_outputs", "feature_names", "target_names", "image_shape", "notes"):
        assert getattr(again, name) == getattr(p, name)


def test_other_arrays_are_no_preprocessing():
    with pytest.raises(UserError, match="not the arrays of a preprocessing"):
        Preprocessing.from_arrays({"kind": np.array("classification")})
