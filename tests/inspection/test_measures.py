"""Calibration, confusion, residuals, filters and regions, by hand on tiny cases."""

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris

import glassnet
from glassnet.errors import ConfigError
from glassnet.inspection.measures import Calibration, Confusion, Filters, Regions, Residuals, classes_of, residuals_of
from glassnet.network import Network

P = np.array([[0.9, 0.1], [0.8, 0.2], [0.35, 0.65], [1.0, 0.0]])


def test_calibration():
    found = Calibration.of(P, np.array([0, 1, 1, 0]), bins=5)
    assert found.counts == (0, 0, 0, 1, 3)
    assert found.confidence[3:] == (0.65, pytest.approx(0.9))
    assert found.accuracy == (None, None, None, 1.0, pytest.approx(2 / 3))
    assert found.ece == pytest.approx((1 * abs(1 - 0.65) + 3 * abs(2 / 3 - 0.9)) / 4)
    assert found.edges == pytest.approx((0, 0.2, 0.4, 0.6, 0.8, 1.0))


def test_a_calibrated_network_has_no_error():
    p = np.tile([0.75, 0.25], (4, 1))
    assert Calibration.of(p, np.array([0, 0, 0, 1])).ece == pytest.approx(0.0)


def test_confusion():
    found = Confusion.of(P, np.array([0, 1, 1, 0]), ("no", "yes"))
    assert found.counts == ((2, 0), (1, 1))
    assert found.accuracy == 0.75


def test_residuals():
    found = Residuals.of(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 5.0]), "price")
    assert found.rmse == pytest.approx((4 / 3) ** 0.5)
    assert found.r2 == pytest.approx(1 - 4 / 2)
    assert found.predicted == (1.0, 2.0, 5.0)


def test_many_rows_are_thinned_but_count():
    true = np.arange(10_000.0)
    found = Residuals.of(true, true + 3.0, "y")
    assert found.true == tuple(true[::5])
    assert found.rmse == pytest.approx(3.0)


@pytest.mark.parametrize(("predicted", "r2"), [([2.0, 2.0], 1.0), ([2.0, 3.0], 0.0)])
def test_residuals_of_a_constant(predicted, r2):
    assert Residuals.of(np.array([2.0, 2.0]), np.array(predicted), "y").r2 == r2


def test_filters_are_the_strongest_units():
    network = Network.dense((6, 3, 2))
    W = network.layer(1).params["W"]
    W[:] = np.arange(18).reshape(3, 6) * np.array([[1.0], [-9.0], [2.0]])
    found = Filters.of_network(network, (2, 3), most=2)
    assert found.units == (1, 2)
    assert found.of == 3
    np.testing.assert_array_equal(found.weights[0], W[1].reshape(2, 3))


@pytest.fixture(scope="module")
def petals():
    data = load_iris(as_frame=True).frame.iloc[:, 2:].copy()
    data["target"] = np.array(["a", "b", "c"])[data["target"]]
    return data, glassnet.fit(data, "target", epochs=120).model


def test_regions_are_in_the_units_of_the_data(petals):
    data, model = petals
    found = Regions.of_model(model, model.examples(data), grid=40)
    assert found.names == ("petal length (cm)", "petal width (cm)")
    np.testing.assert_allclose(found.rows, data.iloc[:, :2].to_numpy(), rtol=1e-5)
    assert found.first[0] < data.iloc[:, 0].min() < data.iloc[:, 0].max() < found.first[-1]
    points = pd.DataFrame({found.names[0]: found.first[[3, 30]], found.names[1]: found.second[[35, 4]]})
    points["target"] = "a"
    said = model.predict(points)
    for k, (i, j) in enumerate(((35, 3), (4, 30))):
        assert found.classes[found.values[i, j]] == said.values[k]
        assert found.surest[i, j] == pytest.approx(said.probabilities[k].max(), rel=1e-4)


def test_regions_of_numbers(petals):
    data, _ = petals
    numbers = data.assign(target=data.iloc[:, 0] * 100 + 7)
    model = glassnet.fit(numbers, "target", epochs=200).model
    found = Regions.of_model(model, model.examples(numbers), grid=20)
    assert found.classes == ()
    np.testing.assert_allclose(found.labels, numbers["target"], rtol=1e-4)
    assert abs(found.values[:, -1].mean() - 100 * found.first[-1]) < 100


def test_other_than_two_features(petals):
    model = glassnet.fit("iris", epochs=1).model
    with pytest.raises(ConfigError, match="regions need two features; this network has 4"):
        Regions.of_model(model, model.examples("iris"))


def test_classes_and_numbers():
    iris, diabetes = glassnet.fit("iris", epochs=2).model, glassnet.fit("diabetes", epochs=2).model
    p, labels, names = classes_of(iris, iris.examples("iris"))
    assert (p.shape, labels.shape, names) == ((150, 3), (150,), ("setosa", "versicolor", "virginica"))
    (found,) = residuals_of(diabetes, diabetes.examples("diabetes"))
    assert found.name == "target"
    assert found.rmse == pytest.approx(diabetes.evaluate("diabetes")["rmse"], rel=1e-6)
    with pytest.raises(ConfigError, match="this needs classes, but the task is regression"):
        classes_of(diabetes, diabetes.examples("diabetes"))
    with pytest.raises(ConfigError, match="this needs numbers to predict, but the task is classification"):
        residuals_of(iris, iris.examples("iris"))
