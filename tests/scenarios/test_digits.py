"""A network of three layers, nested dataclasses, learns to read handwritten digits."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest

import coenzyme as cz

Array = npt.NDArray[np.float64]


@dataclass
class Layer:
    weight: Array
    bias: Array


@dataclass
class Network:
    hidden: list[Layer]
    output: Layer
    name: str = "digits"


def make_network(sizes: list[int], seed: int) -> Network:
    random = np.random.default_rng(seed)
    layers = [Layer(random.normal(0.0, np.sqrt(2.0 / n), (n, m)), np.zeros(m)) for n, m in pairwise(sizes)]
    return Network(layers[:-1], layers[-1])


def predict(network, images):
    found = images
    for layer in network.hidden:
        found = np.maximum(found @ layer.weight + layer.bias, 0.0)
    return found @ network.output.weight + network.output.bias


def cross_entropy(network, images, labels):
    found = images
    for i in range(len(network.hidden)):
        layer = network.hidden[i]
        found = np.maximum(np.dot(found, layer.weight) + layer.bias, 0.0)
    scores = np.dot(found, network.output.weight) + network.output.bias
    total = 0.0
    for i in range(labels.size):
        largest = scores[i].max()
        total += np.log(np.exp(scores[i] - largest).sum()) + largest - scores[i, labels[i]]
    return total / labels.size


def test_digits_are_learned_to_a_stated_loss():
    datasets = pytest.importorskip("sklearn.datasets")
    data = datasets.load_digits()
    images, labels = np.ascontiguousarray(data.data / 16.0), data.target.astype(np.int64)
    network = make_network([64, 32, 32, 10], seed=0)
    gradient_of = cz.value_and_grad(cross_entropy)
    loss, gradient = gradient_of(network, images[:1500], labels[:1500])
    check_along_a_direction(network, gradient, images[:1500], labels[:1500])
    vector, unflatten = cz.trees.flatten(network)
    network = unflatten(vector)
    speed = np.zeros_like(np.asarray(vector))
    for _ in range(220):
        loss, gradient = gradient_of(network, images[:1500], labels[:1500])
        speed *= 0.9
        speed += cz.trees.flatten(gradient)[0]
        vector -= 0.05 * speed
    assert loss < 0.05
    right = predict(network, images[1500:]).argmax(axis=1) == labels[1500:]
    assert right.mean() > 0.9


def check_along_a_direction(network: Network, gradient: Network, images: Array, labels: Array) -> None:
    vector, unflatten = cz.trees.flatten(network)
    found = np.asarray(cz.trees.flatten(gradient)[0])
    direction = np.random.default_rng(1).normal(size=vector.size)
    step = 1e-6
    ahead, behind = (
        cz.value_and_grad(cross_entropy)(unflatten(vector + sign * step * direction), images, labels)[0]
        for sign in (1.0, -1.0)
    )
    assert found @ direction == pytest.approx((ahead - behind) / (2 * step), rel=1e-5)
