"""Local lists: built by appending, popped, indexed, of numbers, tuples and arrays."""

import numpy as np

from .model import Point, Scenario, array

__all__ = ["SCENARIOS"]


def squares_appended(x):
    items = []
    for i in range(x.size):
        items.append(x[i] * x[i])
    s = 0.0
    for i in range(len(items)):
        s += items[i] * items[-1 - i]
    return s


def comprehension(x):
    items = [a * a for a in x]
    return items[0] * items[2] + sum(items)


def stack_machine(x):
    stack = [x[0]]
    s = 0.0
    for i in range(1, x.size):
        if x[i] > 0.0:
            stack.append(x[i] * stack[-1])
        elif len(stack) > 1:
            v = stack.pop()
            s += v * v
    while len(stack) > 0:
        s = 0.9 * s + stack.pop()
    return s


def chosen_indices(x):
    chosen = []
    for i in range(x.size):
        if x[i] > 0.0:
            chosen.append(i)
    s = 0.0
    for i in chosen:
        s += x[i] ** 3
    return s


def list_of_arrays(x):
    powers = [x]
    for _ in range(4):
        powers.append(powers[-1] * x)
    s = 0.0
    for p in powers:
        s += np.sum(p)
    return s


def list_in_loop(x):
    s = 0.0
    for i in range(x.size):
        items = [x[i]]
        for j in range(i):
            items.append(items[-1] * x[j])
        s += items[-1] * items[0]
    return s


def overwritten_items(x):
    items = [x[i] for i in range(x.size)]
    items[2] = items[1] * items[0]
    items[1] = items[2] * items[2]
    a = np.array(items)
    return np.sum(a * a)


def list_of_pairs(x):
    pairs = []
    for i in range(x.size):
        pairs.append((i, x[i] * x[i]))
    s = 0.0
    for i, v in pairs:
        s += i * v * v
    return s


def inserted_and_deleted(x):
    items = [x[0], x[1]]
    items.insert(1, x[2] * x[3])
    items.extend([x[4], x[5]])
    del items[0]
    return items[0] * items[1] * items[2] + items[3]


_SIGNS = array(0.7, 1.3, -0.4, 2.1, -1.7, -0.9, 0.3)

SCENARIOS = (
    Scenario("appended-list", squares_appended, (Point((array(1, 2, 3),), gradient=(array(36, 32, 12),)),)),
    Scenario("list-comprehension", comprehension, (Point((array(1, 2, 3),), gradient=(array(20, 4, 12),)),)),
    Scenario("list-as-stack", stack_machine, (Point((_SIGNS,)),)),
    Scenario("list-of-indices", chosen_indices, (Point((_SIGNS,)),)),
    Scenario("growing-list-of-arrays", list_of_arrays, (Point((array(0.5, 1.5),)),)),
    Scenario("list-in-a-loop", list_in_loop, (Point((array(0.7, 1.3, 0.4, 2.1),)),)),
    Scenario("overwritten-items", overwritten_items, (Point((array(1, 2, 3, 4),)),)),
    Scenario("list-of-pairs", list_of_pairs, (Point((array(1, 2, 3),), gradient=(array(0, 32, 216),)),)),
    Scenario("inserted-and-deleted", inserted_and_deleted, (Point((array(1, 2, 3, 4, 5, 6),)),)),
)
