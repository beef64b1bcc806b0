"""Programs on typed lists and dictionaries: made inside, and passed as arguments."""

import numpy as np
from numba import types
from numba.typed import Dict, List

PAIR = types.UniTuple(types.int64, 2)
FLOATS = types.ListType(types.float64)

# --- made inside --------------------------------------------------------------------------------------------


def lists_of_numbers(x):
    items = List(x)
    items.append(x[0] * x[1])
    items.extend(List([x[2] ** 2, 2.0]))
    items.reverse()
    items[1:3] = List([x[3] * items[0], items[2] * items[2], items[1] * 0.5])
    items[1] = items[0] * items[2]
    items.insert(1, items.pop() * items[1])
    del items[0]
    others = items[::-1]
    others.extend(items)
    del others[::3]
    del others[5:2:-2]
    others.sort()
    s = 0.0
    for i, item in enumerate(others):
        s += item * item * (i + 1)
    others.clear()
    others.append(s)
    return others[-1] * len(items) + items.index(items[1]) + (x[0] in items)


def stack_of_numbers(x):
    stack = List.empty_list(types.float64)
    stack.append(x[0])
    s = 0.0
    n = 0
    while len(stack) > 0 and n < 12:
        top = stack.pop()
        n += 1
        s += top * top
        if n % 2 == 0:
            stack.append(top * x[1])
            stack.append(top + x[2])
        else:
            stack.append(np.sin(top) * x[3])
    return s + sum(stack)


def lists_of_arrays_and_lists(x):
    arrays = List()
    squares = x * x
    arrays.append(squares)
    arrays.append(squares)
    arrays.append(x.copy())
    arrays[0][1] = x[0] * 5.0
    arrays[2][:] = arrays[1] * x
    first = arrays.pop(0)
    first[0] *= x[2]
    del arrays[0]
    nested = List()
    for i in range(3):
        inner = List()
        for j in range(i + 1):
            inner.append(x[i] * arrays[0][j])
        nested.append(inner)
    nested[2].append(nested[1][0] * x[0])
    nested[1][0] = 2.0 * nested[0][0]
    s = np.sum(first * first) + np.sum(arrays[0] ** 2)
    for inner in nested:
        for item in inner:
            s += item * item
    return s


def lists_of_mixed_tuples(x):
    items = List()
    for i in range(3):
        items.append((x[i] * x[i], x * (i + 1.0), i))
    first = items.pop(0)
    items.append((first[0] * items[0][0], first[1] * x[0], 7))
    items[0] = (items[1][0] * 2.0, items[1][1] + first[1], 3)
    s = 0.0
    for a, b, k in items:
        s += a * a * k + np.sum(b * b)
    return s


def dictionaries_of_numbers(x):
    d = Dict.empty(types.int64, types.float64)
    for i in range(5):
        d[i] = x[i] * x[0]
    del d[1]
    s = d.pop(3) ** 2
    # Entries are taken out while the table grows.
    for i in range(10, 40):
        d[i] = x[i % 5] * i * 0.1
        if i % 3 == 0 and (i - 2) in d:
            s += d.pop(i - 2) * x[1]
    for k, v in d.items():
        s += np.sin(v) * k * 0.1
    _, v = d.popitem()
    s += v * v * d[4] + d.get(99, 0.0)
    d[1] = s
    d[1] *= d[0]
    for v in d.values():
        s += np.cos(v)
    z = Dict.empty(PAIR, types.complex128)
    for i in range(3):
        z[(i, i + 1)] = complex(x[i], x[i + 1])
    z[(0, 1)] *= z[(1, 2)]
    for k in z:
        s += (z[k] * z[k]).real * k[1]
    d.clear()
    return s + len(d)


def dictionaries_of_arrays_and_lists(x):
    d = Dict.empty(types.unicode_type, types.float64[::1])
    d["a"] = x * 2.0
    d["b"] = x * x
    d["a"][0] = d["b"][1] * x[2]
    s = 0.0
    for v in d.values():
        v[1] *= 2.0
        s += np.sum(v * v)
    d["c"] = d["a"] + d["b"]
    d["a"] = d["c"] * x[3]
    lists = Dict.empty(types.unicode_type, FLOATS)
    lists["p"] = List([x[0], x[1]])
    lists["q"] = List([x[2] * x[3]])
    for i in range(6):
        lists["p"].append(lists["q"][-1] * x[i % 5])
        lists["q"].append(lists["p"][i] * 1.1)
    copied = lists.copy()
    copied["p"][0] = 3.0 * x[4]
    for items in copied.values():
        for item in items:
            s += item * item
    return s + np.sum(d["c"] ** 2) + np.sum(d["a"])


def containers_of_constants(x):
    positive = set()
    order = List.empty_list(types.int64)
    weights = List([1.0, 2.0, 3.0, 4.0, 5.0])
    for i in range(x.size):
        if x[i] > 0:
            positive.add(i)
            order.append(i)
    s = 0.0
    for i in range(x.size):
        if i in positive:
            s += x[i] * x[i] * weights[i]
    for i in order:
        s += x[i] ** 3 * weights[-1]
    return s


INSIDE = (
    lists_of_numbers,
    stack_of_numbers,
    lists_of_arrays_and_lists,
    lists_of_mixed_tuples,
    dictionaries_of_numbers,
    dictionaries_of_arrays_and_lists,
    containers_of_constants,
)

# --- passed as arguments ------------------------------------------------------------------------------------


def list_that_grows(items, x):
    s = 0.0
    for item in items:
        s += item * item * x[0]
    items[1] = x[1] * items[0]
    items.append(s)
    for i in range(12):
        items.append(items[i] * 0.5)
    items.insert(0, items[2] * x[1])
    for item in items:
        s += np.sin(item)
    return s


def list_that_is_used_up(items, x):
    s = 0.0
    while len(items) > 1:
        s += items.pop() * x[len(items) % 3] * items[0]
    return s


def list_of_arrays(items, x):
    s = 0.0
    for a in items:
        s += np.sum(a * a * x[0])
        a[0] *= x[1]
    items.append(items[0] * items[1])
    items[1] = items[2] + x[0]
    first = items.pop(0)
    first[1] = x[2]
    for a in items:
        s += np.sum(np.sin(a))
    return s + np.sum(first * first)


def list_of_lists(items, x):
    items[0].append(items[1][0] * x[0])
    items[1][0] *= items[0][1]
    items.append(List([x[1], x[2] * items[0][0]]))
    s = 0.0
    for inner in items:
        for item in inner:
            s += item * item * x[0]
    return s


def list_of_tuples(items, x):
    s = 0.0
    for k, v, a in items:
        s += k * v * v + np.sum(a * x[:2])
    return s


def dictionary_that_changes(d, x):
    v = d.pop(1)
    s = v * v * x[0]
    for k, v in d.items():
        s += v * v * k
    d[5] = x[0] * d[2]
    d[2] *= x[1]
    for i in range(10, 30):
        d[i] = d[2] * i * x[2] * 0.1
    d[1] = s * d[3]
    for v in d.values():
        s += np.sin(v)
    return s


def dictionary_of_arrays(d, x):
    d["a"][0] *= x[0]
    d["new"] = d["a"] * d["b"] + x[1]
    s = 0.0
    for k in d:
        s += np.sum(d[k] ** 3)
    d["b"] = d["a"] * x[2]
    return s + np.sum(d["b"] ** 2)


def _numbers():
    return List([0.3, 0.5, -0.2, 0.9])


def _arrays():
    return List([np.array([0.3, 0.4]), np.array([1.1, -0.6]), np.array([0.9, 0.8])])


def _lists():
    return List([List([0.3, 0.5]), List([0.7])])


def _tuples():
    return List([(1, 0.5, np.array([0.1, 0.2])), (2, 0.8, np.array([0.4, -0.3]))])


def _dictionary():
    d = Dict.empty(types.int64, types.float64)
    for i in (1, 2, 3):
        d[i] = 0.3 * i
    return d


def _dictionary_of_arrays():
    d = Dict.empty(types.unicode_type, types.float64[::1])
    d["a"] = np.array([0.3, 0.4])
    d["b"] = np.array([1.1, -0.6])
    return d


PASSED = (
    (list_that_grows, _numbers),
    (list_that_is_used_up, _numbers),
    (list_of_arrays, _arrays),
    (list_of_lists, _lists),
    (list_of_tuples, _tuples),
    (dictionary_that_changes, _dictionary),
    (dictionary_of_arrays, _dictionary_of_arrays),
)
