"""C code around functions that take or return structs and complex numbers by value.

How those are passed is the business of the platform's convention, which clang knows. So clang compiles a
function that takes and gives pointers to them.
"""

from __future__ import annotations

from dataclasses import replace

from coenzyme.errors import CompilationError
from coenzyme.frontends.c_types import CPointer, CScalar, CStruct, CType, CValue, Kind
from coenzyme.frontends.debug_types import Prototype

__all__ = ["WRAPPED", "by_pointers", "wrapper_of"]

WRAPPED = "coenzyme_by_value_"
"""What the names of such functions begin with."""


def by_pointers(prototype: Prototype) -> Prototype | None:
    """Return a prototype with what is passed by value marked so; None where nothing is."""
    result = _marked(prototype.result)
    parameters = tuple(_marked(p) or p for p in prototype.parameters)
    if result is None and parameters == prototype.parameters:
        return None
    return replace(prototype, result=result or prototype.result, parameters=parameters)


def _marked(kind: CType | None) -> CValue | None:
    by_value = isinstance(kind, CStruct) or (isinstance(kind, CScalar) and kind.kind is Kind.COMPLEX)
    return CValue(kind) if by_value else None  # pyright: ignore[reportArgumentType]  # it is one of the two


def wrapper_of(name: str, prototype: Prototype) -> str:
    """Return the C code of a function around `name`, which stands before it in the same file.

    Parameters
    ----------
    prototype
        That of `name`, marked by `by_pointers`.

    Raises
    ------
    CompilationError
        Where a struct has no name that the code could use.
    """
    parameters: list[str] = []
    passed: list[str] = []
    if isinstance(prototype.result, CValue):
        parameters.append(f"{_spelled(name, prototype.result, prototype.spellings[0])} *result")
    for number, (kind, spelling) in enumerate(
        zip(prototype.parameters, prototype.spellings[1:], strict=True)
    ):
        if isinstance(kind, CValue):
            parameters.append(f"{_spelled(name, kind, spelling)} *p{number}")
            passed.append(f"*p{number}")
        else:
            # C converts addresses of anything to the type that the parameter has.
            parameters.append(f"{'void *' if isinstance(kind, CPointer) else spelling} p{number}")
            passed.append(f"p{number}")
    call = f"{name}({', '.join(passed)})"
    if isinstance(prototype.result, CValue):
        head, body = "void", f"*result = {call};"
    elif prototype.result is None:
        head, body = "void", f"{call};"
    else:
        head, body = str(prototype.spellings[0]), f"return {call};"
    return f'\n#line 1 "<C wrapper>"\n{head} {WRAPPED}{name}({", ".join(parameters)}) {{ {body} }}\n'


def _spelled(name: str, value: CValue, spelling: str | None) -> str:
    if isinstance(value.content, CScalar):
        return "double _Complex" if value.content.size == 16 else "float _Complex"
    if spelling is None:
        raise CompilationError(
            f"{name}() takes or returns a struct without a name by value",
            function=name,
            remedy="give the struct a name",
        )
    return spelling
