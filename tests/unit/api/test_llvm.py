"""Functions of LLVM modules in Python: text, bitcode, old bitcode, files; and modules that are refused."""

import shutil
import subprocess
from pathlib import Path

import llvmlite.binding as llvm
import numpy as np
import pytest

import coenzyme as cz
from coenzyme.errors import CompilationError, ParseError, UnsupportedIRError
from coenzyme.frontends.clang import compile_c, find_clang
from tests.unit.frontends.c_code import needs_clang

CUBE = """
define double @cube(double %x) {
  %y = fmul double %x, %x
  %z = fmul double %y, %x
  ret double %z
}
"""
DOT = """
define double @dot(double* readonly %x, double* %y, i32 %n) {
entry:
  %some = icmp sgt i32 %n, 0
  br i1 %some, label %loop, label %done
loop:
  %i = phi i32 [ 0, %entry ], [ %next, %loop ]
  %sum = phi double [ 0.0, %entry ], [ %more, %loop ]
  %px = getelementptr inbounds double, double* %x, i32 %i
  %py = getelementptr inbounds double, double* %y, i32 %i
  %a = load double, double* %px, align 8
  %b = load double, double* %py, align 8
  %ab = fmul double %a, %b
  %more = fadd double %sum, %ab
  %next = add nsw i32 %i, 1
  %again = icmp slt i32 %next, %n
  br i1 %again, label %loop, label %done
done:
  %all = phi double [ 0.0, %entry ], [ %more, %loop ]
  ret double %all
}
"""
POINTERS = ["const double *", "const double *", "int"]
# The same, written in C, as clang 14 and llvm-as 14 make it, without the names of the machine.
OLD_BITCODE = Path(__file__).with_name("dot_of_llvm_14.bc").read_bytes()
X, Y = np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0, 6.0])


def test_numbers_need_no_types():
    cube = cz.llvm.function(CUBE)
    assert cube(3.0) == 27.0
    assert cz.grad(cube)(3.0) == 27.0
    assert cz.hessian(cube)(3.0) == 18.0


def test_pointers_do():
    with pytest.raises(CompilationError, match=r"(?s)'x' of dot.*argtypes"):
        cz.llvm.function(DOT)
    dot = cz.llvm.function(DOT, argtypes=POINTERS)
    np.testing.assert_array_equal(cz.grad(dot, argnums=(0, 1))(X, Y, 3), (Y, X))


def test_bitcode_of_an_old_version_is_upgraded(tmp_path):
    (tmp_path / "dot.bc").write_bytes(OLD_BITCODE)
    for given in (OLD_BITCODE, tmp_path / "dot.bc", str(tmp_path / "dot.bc")):
        dot = cz.llvm.function(given, "dot", "double", POINTERS)
        assert dot(X, Y, 3) == 32.0
    np.testing.assert_array_equal(cz.grad(dot)(X, Y, 3), Y)


def test_files_of_text_and_of_bitcode_are_told_by_what_is_in_them(tmp_path):
    (tmp_path / "cube").write_text(CUBE)
    (tmp_path / "cube.ll").write_bytes(llvm.parse_assembly(CUBE).as_bitcode())
    assert cz.grad(cz.llvm.function(tmp_path / "cube"))(2.0) == 12.0
    assert cz.grad(cz.llvm.function(tmp_path / "cube.ll"))(2.0) == 12.0


@needs_clang
def test_what_clang_wrote_is_read_with_its_types(tmp_path):
    source = tmp_path / "dot.c"
    source.write_text(
        "double dot(const double *x, const double *y, int n)"
        "{ double s = 0; for (int i = 0; i < n; i++) s += x[i] * y[i]; return s; }"
    )
    (tmp_path / "dot.ll").write_text(compile_c(source))
    dot = cz.llvm.function(tmp_path / "dot.ll")
    np.testing.assert_array_equal(cz.grad(dot)(X, Y, 3), Y)
    command = [
        find_clang().path,
        "-c",
        "-emit-llvm",
        "-O2",
        "-g",
        str(source),
        "-o",
        str(tmp_path / "dot.bc"),
    ]
    subprocess.run(command, check=True)
    vectors = cz.llvm.function(tmp_path / "dot.bc")
    x, y = np.linspace(1.0, 2.0, 37), np.linspace(2.0, 5.0, 37)
    np.testing.assert_allclose(cz.grad(vectors)(x, y, 37), y, rtol=1e-15)


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        (CUBE.replace("%z\n}", "%w\n}"), ParseError, "undefined value '%w'"),
        (CUBE.replace("ret double", "ret float"), ParseError, "%z"),
        (
            CUBE.replace("ret double", "ret new") + '!llvm.ident = !{!0}\n!0 = !{!"clang version 99.1.0"}\n',
            ParseError,
            "comes from LLVM 99.*older, or install a newer llvmlite",
        ),
        ("nowhere.ll", ParseError, "cannot read nowhere.ll: No such file"),
        (b"BC\xc0\xde" + bytes(20), ParseError, "(?s)cannot read the bitcode.*newer LLVM"),
        (b"\xff\xfe", ParseError, "neither bitcode nor text"),
        ('target triple = "sparc-sun-solaris"' + CUBE, UnsupportedIRError, "is for sparc.*--target="),
        ('target datalayout = "E-p:32:32"' + CUBE, UnsupportedIRError, "E instead of e"),
        (CUBE.replace("define", "define fastcc"), UnsupportedIRError, "the calling convention fastcc"),
        (CUBE.replace("double", "fp128"), CompilationError, "'x' .*fp128"),
        (CUBE.replace("double", "<2 x double>"), CompilationError, "<2 x double>"),
        (CUBE.replace("define", "define internal"), CompilationError, "0 functions"),
        ("declare double @f(double)\n", CompilationError, "0 functions"),
        ('module asm "nop"' + CUBE, UnsupportedIRError, "assembly"),
        ("@other = alias double (double), ptr @cube" + CUBE, UnsupportedIRError, "second name"),
    ],
)
def test_modules_that_cannot_be_used_are_refused_with_the_reason(text, error, message):
    with pytest.raises(error, match=rf"(?s){message}"):
        cz.llvm.function(text)


def test_the_machine_of_a_module_need_not_be_named():
    assert cz.llvm.function('target triple = ""' + CUBE)(2.0) == 8.0


@pytest.mark.parametrize("name", ["lambda", "_native", "_ZN4cube17h0123456789abcdefE", "a.b$c"])
def test_any_name_will_do(name):
    cube = cz.llvm.function(CUBE.replace("@cube", f'@"{name}"'), name)
    assert cube(3.0) == 27.0


@pytest.mark.skipif(shutil.which("rustc") is None, reason="there is no rustc")
def test_rust_is_read_too(tmp_path):
    source = tmp_path / "square.rs"
    source.write_text(
        '#![crate_type="lib"]\n#[no_mangle]\npub extern "C" fn square(x: f64) -> f64 { x * x }\n'
    )
    command = ["rustc", "--emit=llvm-ir", "-O", str(source), "-o", str(tmp_path / "square.ll")]
    subprocess.run(command, check=True)
    assert cz.grad(cz.llvm.function(tmp_path / "square.ll", "square"))(3.0) == 6.0
