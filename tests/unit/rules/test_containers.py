from __future__ import annotations

import pytest

from coenzyme.codegen import verify
from coenzyme.ir.parser import parse_module
from coenzyme.rules import Effect, classify, container_definitions, find_container_rule, find_memory_rule

LIST = ("new", "methods", "resize", "freeze", "size", "capacity", "mutable", "items", "reserve")
DICTIONARY = ("new", "methods", "insert", "remove", "size", "find", "next", "last", "hash", "key")
NAMES = (
    *(f"coenzyme.list.{f}" for f in LIST),
    *(f"coenzyme.dict.{f}" for f in (*DICTIONARY, "entries", "reserve")),
)


@pytest.mark.parametrize("name", NAMES)
def test_each_function_has_a_rule_and_a_definition_that_llvm_takes(name: str) -> None:
    assert find_container_rule(name) is not None or find_memory_rule(name) is not None
    text = container_definitions([name])
    verify(text, name)
    defined = {f.name for f in parse_module(text).functions.values() if not f.is_declaration}
    assert name in defined


def test_changes_of_the_structure_are_told_from_questions() -> None:
    assert classify("coenzyme.list.new") is Effect.CONTAINER
    assert classify("coenzyme.dict.insert") is Effect.STRUCTURE
    assert classify("coenzyme.dict.find") is Effect.INACTIVE
    assert classify("coenzyme.list.items") is Effect.MEMINFO_DATA
    assert classify("coenzyme.list.reserve") is Effect.REALLOCATION


def test_names_of_others_define_nothing() -> None:
    assert container_definitions(["numba_list_append", "malloc"]) == ""
