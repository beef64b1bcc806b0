from __future__ import annotations

from coenzyme.errors import Location
from coenzyme.ir import SourceMap, parse_module

TEXT = r"""
define double @f(double %x) !dbg !4 {
entry:
  %a = fadd double %x, %x, !dbg !10
  %b = fadd double %a, %x, !dbg !12
  %c = fadd double %b, %x
  %d = fadd double %c, %x, !dbg !14
  %e = fadd double %d, %x, !dbg !99
  ret double %e
}
!1 = !DIFile(filename: "user.py", directory: "/home/a b")
!2 = !DIFile(filename: "lib\C3\A9.py", directory: "")
!4 = distinct !DISubprogram(name: "f, (line: 7)", scope: !1, file: !1, line: 3, unit: !6)
!5 = distinct !DISubprogram(name: "g", scope: !2, file: !2, line: 30, unit: !6)
!7 = distinct !DILexicalBlock(scope: !4, line: 8)
!10 = !DILocation(line: 5, column: 9, scope: !4)
!11 = distinct !DILocation(line: 6, column: 1, scope: !7)
!12 = !DILocation(line: 31, scope: !5, inlinedAt: !11)
!14 = !DILocation(line: 0, scope: !5, inlinedAt: !11)
"""


def locations() -> dict[str, list[Location]]:
    module = parse_module(TEXT)
    source = SourceMap(module)
    function = module.functions["f"]
    assert all(
        source.locate(i) == (source.chain(i)[-1] if source.chain(i) else None)
        for i in function.instructions()
    )
    return {i.name: source.chain(i) for i in function.instructions() if i.name}


def test_a_location_names_file_and_line() -> None:
    assert locations()["a"] == [Location("/home/a b/user.py", 5)]


def test_an_inlined_instruction_is_followed_out_to_the_user() -> None:
    assert locations()["b"] == [Location("libé.py", 31), Location("/home/a b/user.py", 6)]


def test_line_zero_is_no_line() -> None:
    assert locations()["d"] == [Location("/home/a b/user.py", 6)]


def test_an_instruction_without_location_is_nowhere() -> None:
    found = locations()
    assert found["c"] == []
    assert found["e"] == []


def test_a_line_of_c_is_told_before_the_line_of_python_that_it_was_called_from() -> None:
    text = (
        TEXT
        + """!6 = distinct !DICompileUnit(language: DW_LANG_Python, file: !1)
!8 = distinct !DICompileUnit(language: DW_LANG_C11, file: !20)
!20 = !DIFile(filename: "power.c", directory: ".")
!21 = distinct !DISubprogram(name: "power", scope: !20, file: !20, line: 1, unit: !8)
!22 = distinct !DILexicalBlock(scope: !21, file: !20, line: 2)
!23 = distinct !DILocation(line: 9, scope: !21, inlinedAt: !11)
!99 = !DILocation(line: 3, scope: !22, inlinedAt: !23)
"""
    )
    module = parse_module(text)
    found = {i.name: SourceMap(module).locate(i) for i in module.functions["f"].instructions()}
    assert found["e"] == Location("power.c", 3)
    assert found["b"] == Location("/home/a b/user.py", 6)
