"""Finding clang, and what it is asked for: text free to be optimised, with types of memory and lines."""

import linecache
import os
import re
import stat
import sys

import llvmlite.binding as llvm
import pytest

from coenzyme.errors import BackendUnavailableError, CompilationError
from coenzyme.frontends.clang import compile_c, find_clang
from coenzyme.ir.debug import SourceMap
from coenzyme.ir.parser import parse_module
from tests.unit.frontends.c_code import needs_clang

SQUARE = "double square(double x)\n{\n    return x * x;\n}\n"


def fake(folder, name, says, code=0):
    """Write a program that answers as a clang of another version would."""
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{says}'\nexit {code}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


@pytest.fixture
def only_here(tmp_path, monkeypatch):
    """Return a folder that is the whole search path."""
    if sys.platform == "win32":
        pytest.skip("the programs of this test are shell scripts")
    os.symlink("/bin/sh", tmp_path / "sh")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("COENZYME_CLANG", raising=False)
    return tmp_path


def test_a_missing_clang_is_an_error_that_tells_how_to_install_it(only_here):
    with pytest.raises(BackendUnavailableError, match=r"apt install clang-19"):
        find_clang()


def test_plain_clang_comes_before_one_with_a_number(only_here):
    fake(only_here, "clang-19", "clang version 19.1.0")
    path = fake(only_here, "clang", "Ubuntu clang version 18.1.3 (1ubuntu1)")
    found = find_clang()
    assert (found.path, found.version) == (path, (18, 1, 3))


def test_the_newest_number_wins(only_here):
    for major in (17, 19, 18):
        fake(only_here, f"clang-{major}", f"Debian clang version {major}.1.7 (3)")
    assert find_clang().version == (19, 1, 7)


def test_a_clang_newer_than_our_llvm_is_the_last_choice(only_here):
    newest = llvm.llvm_version_info[0]
    fake(only_here, "clang", f"clang version {newest + 5}.0.0")
    assert find_clang().version[0] == newest + 5
    fake(only_here, "clang-16", "clang version 16.0.6")
    os.environ["PATH"] += os.pathsep + "/nowhere"  # what was found is remembered for a search path
    assert find_clang().version[0] == 16


def test_an_old_clang_is_refused_by_its_version(only_here):
    fake(only_here, "clang", "clang version 13.0.1")
    with pytest.raises(BackendUnavailableError, match=r"13\.0\.1.*too old"):
        find_clang()


def test_apples_numbers_are_not_compared_with_llvms(only_here):
    fake(only_here, "clang", "Apple clang version 14.0.3 (clang-1403.0.22.14.1)")
    assert find_clang().is_apple


def test_the_environment_names_one(only_here, monkeypatch):
    fake(only_here, "clang", "clang version 18.1.0")
    path = fake(only_here, "mine", "clang version 17.0.1")
    monkeypatch.setenv("COENZYME_CLANG", path)
    assert find_clang().path == path


@pytest.mark.parametrize("says", ["gcc (Debian 12.2.0)", "clang version 19.1.0"])
def test_what_the_environment_names_must_be_a_clang_that_runs(only_here, monkeypatch, says):
    fake(only_here, "clang", "clang version 18.1.0")
    monkeypatch.setenv("COENZYME_CLANG", fake(only_here, "mine", says, code=int(says.startswith("clang"))))
    with pytest.raises(BackendUnavailableError, match=r"mine.*COENZYME_CLANG"):
        find_clang()


@needs_clang
@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_code_of_every_level_is_free_to_be_optimised_and_knows_its_types(level):
    text = compile_c(SQUARE, level=level)
    assert "!tbaa" in text
    assert not re.search(r"optnone|noinline", text)
    llvm.parse_assembly(text).verify()


@needs_clang
def test_flags_cannot_forbid_optimisation_for_good():
    text = compile_c("double load(const double *x) { return *x; }", ["-O0"])
    assert not re.search(r"optnone|noinline", text)
    assert "!tbaa" in text


@needs_clang
def test_only_level_0_leaves_the_macro_of_optimisation_undefined():
    source = "#ifdef __OPTIMIZE__\nint optimised;\n#else\nint plain;\n#endif"
    assert "@plain" in compile_c(source, level=0)
    assert "@optimised" in compile_c(source, level=1)


@needs_clang
def test_flags_reach_clang():
    assert "@three" in compile_c("int NAME;", ["-DNAME=three"])


@needs_clang
def test_lines_name_the_code_or_its_file(tmp_path):
    path = tmp_path / "square.c"
    path.write_text(SQUARE)
    for given, file in ((SQUARE, "<C source>"), (path, str(path)), (str(path), str(path))):
        module = parse_module(compile_c(given))
        product = next(i for i in module.functions["square"].instructions() if i.opcode == "fmul")
        where = SourceMap(module).locate(product)
        assert (re.sub(" [0-9a-f]{6}>", ">", where.file), where.line) == (file, 3)
        assert linecache.getline(where.file, 3) == "    return x * x;\n"


@needs_clang
def test_text_does_not_depend_on_the_folder_it_is_made_in(tmp_path, monkeypatch):
    here = compile_c(SQUARE)
    monkeypatch.chdir(tmp_path)
    assert compile_c(SQUARE) == here


@needs_clang
def test_files_include_their_neighbours(tmp_path):
    (tmp_path / "half.h").write_text("#define HALF 0.5\n")
    (tmp_path / "half.c").write_text('#include "half.h"\ndouble half(double x) { return HALF * x; }\n')
    assert "5.000000e-01" in compile_c(tmp_path / "half.c")


@needs_clang
def test_what_clang_says_of_bad_code_is_in_the_error():
    with pytest.raises(CompilationError, match=r"<C source \w{6}>:2:12: error: use of undeclared"):
        compile_c("double f(double x) {\n    return y; }")


@needs_clang
def test_a_file_that_is_not_there_is_an_error():
    with pytest.raises(CompilationError, match=r"no file .*nowhere\.c"):
        compile_c("nowhere.c")
