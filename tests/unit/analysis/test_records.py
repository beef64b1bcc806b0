from __future__ import annotations

from coenzyme.analysis.points_to import find_objects
from coenzyme.analysis.records import find_records
from coenzyme.ir.instructions import Load
from tests.unit.analysis.reading import read

TEXT = """
declare ptr @coenzyme.list.new(i64, i64)
declare ptr @coenzyme.list.items(ptr)

define void @f(i64 %i, i64 %j, double %x, i64 %bits) {{
entry:
  %list = call ptr @coenzyme.list.new(i64 16, i64 8)
  %items = call ptr @coenzyme.list.items(ptr %list)
  %first = mul i64 %i, 16
  %item = getelementptr i8, ptr %items, i64 %first
  store i64 %{stored}, ptr %item
  %second = shl i64 %j, 4
  %shifted = add i64 %second, 8
  %number = getelementptr i8, ptr %items, i64 %shifted
  store double %x, ptr %number
  %other = mul i64 %j, {size}
  %place = getelementptr i8, ptr %items, i64 %other
  %count = load i64, ptr %place
  ret void
}}
"""


def is_integer(stored: str = "i", size: int = 16) -> bool:
    f = read(TEXT.format(stored=stored, size=size))
    records = find_records(f.function.instructions(), find_objects(f.function, {}))
    load = next(i for i in f.function.instructions() if isinstance(i, Load))
    return records.is_integer(load, {f.function.arguments[3]})


def test_a_field_that_no_float_touches_is_an_integer() -> None:
    assert is_integer()


def test_steps_that_lead_to_a_float_make_it_unknown() -> None:
    assert not is_integer(size=8)


def test_bits_that_depend_on_what_is_differentiated_are_no_integer() -> None:
    assert not is_integer(stored="bits")
