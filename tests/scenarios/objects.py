"""Classes, and functions that work with their instances: counters, nested ones, lists, trees, StructRefs."""

from __future__ import annotations

import math
from typing import Any

import numba as nb
import numpy as np
from numba.core import types
from numba.experimental import jitclass, structref

__all__ = [
    "LOCAL",
    "Body",
    "Cell",
    "Node",
    "Pair",
    "Peer",
    "Tree",
    "X",
    "chain",
    "chain_total",
    "circle",
    "make_body",
    "make_cell",
    "make_tree",
    "move",
    "peers",
    "replaced",
    "run_cell",
    "tree_total",
]


@jitclass([("a", nb.float64), ("n", nb.int64), ("w", nb.float64[:])])
class Body:
    """Numbers beside an array."""

    def __init__(self, a, n, w):
        self.a = a
        self.n = n
        self.w = w

    @property
    def twice(self):
        return 2.0 * self.a

    @twice.setter
    def twice(self, value):
        self.a = 0.5 * value

    @staticmethod
    def cube(v):
        return v**3

    def __getitem__(self, i):
        return self.w[i]

    def __setitem__(self, i, value):
        self.w[i] = value

    def step(self, s):
        self.a = self.a * s + math.sin(self.a)
        self.n += 1
        self.twice = self.twice * 1.1

    def replace(self):
        self.w = self.w * self.a


@jitclass(
    [("first", Body.class_type.instance_type), ("second", Body.class_type.instance_type), ("z", nb.float64)]
)
class Pair:
    """Instances in an instance."""

    def __init__(self, first, second):
        self.first = first
        self.second = second
        self.z = 1.0

    def swap(self):
        self.first, self.second = self.second, self.first
        self.z *= self.first.a


_node = nb.deferred_type()


@jitclass([("data", nb.float64), ("next", nb.optional(_node))])
class Node:
    """A linked list."""

    def __init__(self, data, next):
        self.data = data
        self.next = next

    def prepend(self, data):
        return Node(data, self)


_node.define(Node.class_type.instance_type)

_tree = nb.deferred_type()


@jitclass(
    [("key", nb.float64), ("count", nb.int64), ("left", nb.optional(_tree)), ("right", nb.optional(_tree))]
)
class Tree:
    """A binary tree that counts what it holds."""

    def __init__(self, key):
        self.key = key
        self.count = 1
        self.left = None
        self.right = None


_tree.define(Tree.class_type.instance_type)

_peer = nb.deferred_type()


@jitclass(
    [
        ("v", nb.float64),
        ("visits", nb.int64),
        ("peer", nb.optional(_peer)),
        ("w", nb.optional(nb.float64[::1])),
    ]
)
class Peer:
    """An instance that can lead back to itself."""

    def __init__(self, v):
        self.v = v
        self.visits = 0
        self.peer = None
        self.w = None


_peer.define(Peer.class_type.instance_type)


@structref.register
class CellType(types.StructRef):
    """The Numba type of a `Cell`."""

    def preprocess_fields(self, fields):
        return tuple((name, types.unliteral(kind)) for name, kind in fields)


class Cell(structref.StructRefProxy):
    """A StructRef: a number, a count, an array and a tuple."""

    @property
    def x(self) -> Any:
        return _cell_x(self)

    @property
    def w(self) -> Any:
        return _cell_w(self)

    @property
    def pair(self) -> Any:
        return _cell_pair(self)


structref.define_proxy(Cell, CellType, ["x", "m", "w", "pair"])


@nb.njit
def _cell_x(cell):
    return cell.x


@nb.njit
def _cell_w(cell):
    return cell.w


@nb.njit
def _cell_pair(cell):
    return cell.pair


# -- functions of arrays that make instances


@nb.njit
def body_in_loop(x):
    body = Body(x[0], 3, x * x)
    for i in range(x.size):
        body.step(x[i])
        body[i] = body[i] * body.a
        if i == 1:
            body.replace()
    return body.a * body.n + body.w.sum() + body.cube(body.twice)


@jitclass([("real", nb.float64), ("small", nb.float32), ("wave", nb.complex128), ("on", nb.boolean)])
class Mixed:
    """Numbers of several types."""

    def __init__(self, real):
        self.real = real
        self.small = real * real
        self.wave = complex(real, 1.0)
        self.on = False

    def turn(self, by):
        self.wave = self.wave * complex(by, self.real)
        self.small = self.small + by
        self.real = self.real + self.small * self.wave.imag
        self.on = not self.on


@nb.njit
def mixed_numbers(x):
    mixed = Mixed(0.1 * x[0])
    for i in range(3):
        mixed.turn(0.1 * x[i])
    return mixed.real + mixed.wave.real * (2.0 if mixed.on else 1.0) + mixed.small


@nb.njit
def pair_of_bodies(x):
    pair = Pair(Body(x[0], 1, x), Body(x[1], 2, x * 2.0))
    for i in range(4):
        pair.swap()
        pair.first.step(x[i])
        if i == 2:
            pair.second = Body(pair.z, pair.first.n + 1, pair.first.w * pair.z)
    return pair.z * pair.first.n * pair.second.n + pair.second.w.sum() * pair.first.a


@nb.njit
def list_of_nodes(x):
    return chain_total(chain(x * x))


@nb.njit
def tree_of_numbers(x):
    return tree_total(make_tree(x), 1) * x[0]


@nb.njit
def cell_in_loop(x):
    return run_cell(make_cell(x), x)


LOCAL = (body_in_loop, pair_of_bodies, list_of_nodes, tree_of_numbers, cell_in_loop)


# -- makers of instances, and functions of instances


@nb.njit
def make_body(x):
    return Body(x[0], 3, x * x)


@nb.njit
def move(body, x):
    for i in range(x.size):
        body.step(x[i])
        body[0] = body[0] + body.a
    return body.a * body.n + body.w.sum()


@nb.njit
def replaced(body, x):
    s = 0.0
    for i in range(3):
        s += body.w[0] * body.w[1]
        body.w = body.w * x[i] + body.a
    return s * body.w.sum()


@nb.njit
def chain(x):
    head = Node(x[0], None)
    for i in range(1, x.size):
        head = head.prepend(x[i])
    return head


@nb.njit
def chain_total(head):
    s = 0.0
    k = 1.0
    current = head
    while current is not None:
        s += current.data**2 * k + math.sin(s)
        k += 1.0
        current = current.next
    return s


@nb.njit
def make_tree(x):
    root = Tree(x[0])
    for i in range(1, x.size):
        current = root
        while True:
            current.count += 1
            if x[i] < current.key:
                if current.left is None:
                    current.left = Tree(x[i])
                    break
                current = current.left
            else:
                if current.right is None:
                    current.right = Tree(x[i])
                    break
                current = current.right
    return root


@nb.njit
def tree_total(tree, depth):
    s = tree.key**depth * tree.count
    if tree.left is not None:
        s += tree_total(tree.left, depth + 1) * tree.key
    if tree.right is not None:
        s += tree_total(tree.right, depth + 1)
    return s


@nb.njit
def make_cell(x):
    return Cell(x[0], 3, x * 2.0, (x[1], 2, x[:2] * x[0]))


@nb.njit
def run_cell(cell, x):
    for i in range(x.size):
        cell.x = cell.x * x[i] + cell.w[i] * cell.pair[0]
        cell.m += 1
        if i == 2:
            cell.w = cell.w * cell.w
    return cell.x * cell.m + cell.w.sum() * cell.pair[2][1]


def peers(values: Any) -> Peer:
    """Return the first of two instances that lead to each other."""
    first, second = Peer(values[0]), Peer(values[1])
    first.peer, second.peer = second, first
    return first


@nb.njit
def circle(first, x):
    current = first
    s = 0.0
    for i in range(6):
        s += current.v * x[i % x.size]
        first.v *= 1.1
        first.visits += 1
        other = current.peer
        if other is not None:
            current = other
    return s * first.visits


X = np.array([1.3, 0.7, 2.1, 0.4, 1.9])
