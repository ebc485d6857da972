# SPDX-License-Identifier: GPL-2.0-or-later
"""scikit-learn's interface: its own checks, and what users build with it."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris, make_classification
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import pynest_tools as pt

#: A step of 0.5 ms and dendrites that follow at once: a sample takes 10 steps instead of 500. Somata settle in 8 ms; learning acts on
#: what they will be (latent equilibrium), but a test reads out what they are.
QUICK = {
    "trial": {"t_pres": 5.0, "t_learn_on": 2.5, "t_readout_on": 4.0, "t_pres_test": 40.0, "t_readout_on_test": 30.0},
    "simulation": {"h": 0.5, "delay": 0.5},
    "neuron": {"tau_basal": 0.0, "tau_apical": 0.0},
}
QUICK_RATES = {**QUICK, "plasticity": {"tau_s": 0.0, "tau_Delta": 0.0}}
#: Checks that scikit-learn itself skips here, and why.
SKIPPED = {
    "check_array_api_input": "asks for SCIPY_ARRAY_API",
    "check_classifier_data_not_an_array": "asks for pandas",
    "check_regressor_data_not_an_array": "asks for pandas",
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", [pt.MicrocircuitClassifier, pt.MicrocircuitRegressor])
@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"backend": "steady"}, id="steady"),
        pytest.param({"backend": "ode", "network": QUICK_RATES}, id="ode", marks=pytest.mark.nightly),
    ],
)
def test_scikit_learns_own_checks_pass(kind, settings):
    results = check_estimator(kind(**settings), on_fail=None, on_skip=None)
    assert {r["check_name"]: repr(r["exception"]) for r in results if r["status"] == "failed"} == {}
    assert {r["check_name"] for r in results if r["status"] == "skipped"} <= set(SKIPPED)
    assert sum(r["status"] == "passed" for r in results) > 45


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


def test_labels_may_be_anything_hashable(iris):
    X, y = iris
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    model = pt.MicrocircuitClassifier(hidden=(10,), epochs=40, random_state=0).fit(X, names)
    assert list(model.classes_) == ["setosa", "versicolor", "virginica"]
    assert model.n_features_in_ == 4
    assert model.score(X, names) > 0.9  # logistic regression has 0.97; chance 1/3
    probabilities = model.predict_proba(X)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-12)
    np.testing.assert_array_equal(model.classes_[probabilities.argmax(axis=1)], model.predict(X))


@pytest.mark.slow
def test_it_works_in_pipelines_cross_validation_and_grids(iris):
    X, y = iris
    model = make_pipeline(StandardScaler(), pt.MicrocircuitClassifier(hidden=(10,), epochs=20, random_state=0))
    assert np.mean(cross_val_score(model, X, y, cv=3)) > 0.85
    grid = GridSearchCV(model, {"microcircuitclassifier__hidden": [(5,), (10,)]}, cv=2, n_jobs=2).fit(X, y)
    assert grid.best_score_ > 0.8


def test_the_same_state_gives_the_same_network(iris):
    X, y = iris
    model = pt.MicrocircuitClassifier(hidden=(5,), epochs=3, random_state=4)
    first, again, other = model.fit(X, y), clone(model).fit(X, y), clone(model).set_params(random_state=5).fit(X, y)
    np.testing.assert_array_equal(first.predict_proba(X), again.predict_proba(X))
    assert np.any(first.predict_proba(X) != other.predict_proba(X))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(first)).predict_proba(X), first.predict_proba(X))


def test_patience_keeps_the_best_by_validation(iris):
    X, y = iris
    model = pt.MicrocircuitClassifier(hidden=(5,), epochs=60, validation_fraction=0.2, patience=3, random_state=0).fit(
        X, y
    )
    assert model.result_.epochs < 60
    assert model.result_.tests_since_best == 3
    assert len(model.specification_.task.validation) == 30


def test_partial_fit_goes_on(iris):
    X, y = iris
    model = pt.MicrocircuitClassifier(hidden=(10,), random_state=0)
    with pytest.raises(ValueError, match="needs all classes"):
        model.partial_fit(X, y)
    order = np.random.default_rng(0).permutation(len(X))
    model.partial_fit(X[order[:50]], y[order[:50]], classes=[0, 1, 2])
    before = model.score(X, y)
    for _ in range(15):
        model.partial_fit(X[order], y[order])
    assert model.score(X, y) > max(before, 0.85)


@pytest.mark.slow
def test_a_regressor_beats_a_linear_model_on_what_is_not_linear():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1.0, 1.0, (300, 2))
    y = np.stack([X[:, 0] * X[:, 1], np.sin(3.0 * X[:, 0])], axis=1)
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    model = pt.MicrocircuitRegressor(hidden=(20,), epochs=100, random_state=0).fit(X_train, y_train)
    assert model.predict(X_test).shape == y_test.shape
    assert model.score(X_test, y_test) > 0.7 > Ridge().fit(X_train, y_train).score(X_test, y_test)


def test_a_network_that_diverges_is_an_error(iris):
    X, y = iris
    wild = {"plasticity": {"eta_up": 10.0, "Wmin": -1e3, "Wmax": 1e3}}
    with pytest.raises(ValueError, match="the network diverged: epoch 1, sample"):
        pt.MicrocircuitClassifier(network=wild, random_state=0).fit(X, y)


def test_it_learns_with_spikes():
    """The same class; a cell of 1000 neurons and short trials, to be quick."""
    X, y = make_classification(60, 4, n_informative=3, n_redundant=0, class_sep=2.0, random_state=3)
    spiking = {**QUICK, "neuron": {"psi": 1000.0, "tau_basal": 1.0, "tau_apical": 1.0}}
    model = pt.MicrocircuitClassifier(hidden=(10,), backend="spiking", epochs=15, network=spiking, random_state=0)
    assert model.fit(X, y).score(X, y) > 0.8  # chance 0.5
