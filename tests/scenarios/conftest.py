"""The order of scenarios: all tests of one stand together, so that one process compiles its derivatives."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = [k for k, item in enumerate(items) if _scenario_of(item)]
    order: dict[str, int] = {}
    for k in places:
        order.setdefault(_scenario_of(items[k]), len(order))
    for k, item in zip(
        places, sorted((items[k] for k in places), key=lambda i: order[_scenario_of(i)]), strict=True
    ):
        items[k] = item


def _scenario_of(item: pytest.Item) -> str:
    scenario = getattr(item, "callspec", None) and item.callspec.params.get("scenario")  # pyright: ignore
    return getattr(scenario, "name", "")
