"""The command line: `coenzyme demo` runs the main job on real data, `coenzyme doctor` a self-test, ….

`coenzyme cache` shows, or clears, what is kept on disk; `coenzyme cc` differentiates C programs.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module, metadata
from pathlib import Path
from textwrap import dedent
from typing import Annotated, Any, NoReturn, cast

import llvmlite.binding
import numba
import numpy as np
import typer
from numba.core import sigutils
from numba.core.errors import NumbaError
from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from scipy.optimize import minimize
from typer.core import TyperCommand

import coenzyme as cz
from coenzyme.api.explain_text import render
from coenzyme.errors import CoenzymeError
from coenzyme.foreign.cc import compile_and_resolve
from coenzyme.foreign.enzyme import ResolvedCall
from coenzyme.foreign.running import run_main
from coenzyme.problems.datafiles import Floats
from coenzyme.problems.gmm import GmmData, gmm, load_gmm
from coenzyme.problems.timing import interleaved_medians, seconds_of
from coenzyme.testing.differences import agrees, directional_difference

__all__ = ["app", "main"]

app = typer.Typer(no_args_is_help=True, pretty_exceptions_show_locals=False, rich_markup_mode=None)
console = Console(highlight=False)


@app.callback()
def describe() -> None:
    """Differentiate compiled code."""


def main() -> None:
    """Run the command line; what Coenzyme refuses is printed as advice, and the exit code is then 1."""
    try:
        app()
    except CoenzymeError as error:
        fail(str(error))


def succeed(message: str) -> None:
    """Print the outcome of a check that passed."""
    console.print(f"[green]✓[/] {escape(message)}", soft_wrap=True)


def fail(message: str) -> NoReturn:
    """Print what went wrong, and end the process with exit code 1."""
    console.print(f"[bold red]✗[/] {escape(message)}", soft_wrap=True)
    sys.exit(1)


# --- demo --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Posterior:
    """The log posterior of a data set as a function of all its parameters in one vector."""

    data: GmmData
    compiled: Callable[..., float]
    gradient: Callable[..., tuple[float, tuple[Floats, ...]]]

    def start(self) -> Floats:
        """Return the parameters that the data set states."""
        return flatten(self.data[:3])

    def split(self, vector: Floats) -> list[Floats]:
        """Return alphas, means and icf as views of the vector."""
        ends = np.cumsum([parameter.size for parameter in self.data[:3]])
        pieces = np.split(vector, ends[:-1])
        return [piece.reshape(like.shape) for piece, like in zip(pieces, self.data[:3], strict=True)]

    def value(self, vector: Floats) -> float:
        """Return the log posterior."""
        return self.compiled(*self.split(vector), *self.data[3:])

    def value_and_gradient(self, vector: Floats) -> tuple[float, Floats]:
        """Return the log posterior, and its gradient shaped like the vector."""
        value, gradients = self.gradient(*self.split(vector), *self.data[3:])
        return value, flatten(gradients)


def flatten(arrays: tuple[Floats, ...]) -> Floats:
    """Return the entries of all arrays, in order, as one vector."""
    return np.concatenate([array.ravel() for array in arrays])


@app.command()
def demo(
    data: Annotated[
        Path | None, typer.Option(help="An ADBench GMM file; by default the one shipped: d 10, K 25, n 1000.")
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="How many optimisation steps.")] = 15,
    seed: Annotated[int, typer.Option(help="Picks the direction in which the gradient is checked.")] = 0,
) -> None:
    """Climb the posterior of a Gaussian mixture on real data.

    Its gradient is compiled, checked against finite differences and timed on the way. The exit code is 1 if a
    check fails.
    """
    posterior = compile_posterior(read_data(data))
    value, gradient = posterior.value_and_gradient(posterior.start())
    console.print(f"  log posterior            {value:.6f}")
    console.print(f"  gradient norm            {np.linalg.norm(gradient):.6f}  ({gradient.size} parameters)")
    check_gradient(posterior, seed)
    time_gradient(posterior)
    climb(posterior, steps)


def compile_posterior(data: GmmData) -> Posterior:
    """Return the posterior of the data with its gradient, showing each stage and what it took."""
    columns = (SpinnerColumn(finished_text="[green]✓"), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:

        def stage(description: str, work: Callable[[], object]) -> float:
            task = progress.add_task(description, total=1)
            seconds = seconds_of(work)
            progress.update(task, completed=1)
            return seconds

        compiled = numba.njit(gmm)
        gradient = cz.value_and_grad(compiled, argnums=(0, 1, 2))
        # The first compilation in a process also builds typing tables, which neither latency should contain.
        stage("start the compilers", self_test)
        primal_latency = stage("Numba compiles the function", lambda: compiled(*data))
        latency = stage("Coenzyme compiles the gradient", lambda: gradient(*data))
    console.print(
        f"  compile latency          gradient {latency:.2f} s, function alone {primal_latency:.2f} s, "
        f"ratio {latency / primal_latency:.1f}"
    )
    return Posterior(data, compiled, gradient)


def read_data(path: Path | None) -> GmmData:
    """Return the data of the file, or end the process with advice if it cannot be read."""
    try:
        data = load_gmm(path)
    except (OSError, UnicodeDecodeError) as error:
        fail(f"the data cannot be read: {error}\n  remedy: give --data a text file in ADBench's GMM format")
    components, d = data.means.shape
    console.print(f"  Gaussian mixture         {len(data.x)} points, d = {d}, K = {components}")
    return data


def check_gradient(posterior: Posterior, seed: int) -> None:
    """Compare the gradient with finite differences along a random direction, and fail if they disagree."""
    start = posterior.start()
    value, gradient = posterior.value_and_gradient(start)
    plain = posterior.value(start)
    if not abs(value - plain) <= 1e-12 * abs(plain):
        fail(f"the gradient's own value {value!r} is not the function's value {plain!r}")
    direction = np.random.default_rng(seed).standard_normal(start.size)
    direction /= np.linalg.norm(direction)
    slope = float(gradient @ direction)
    estimate, error = (float(part) for part in directional_difference(posterior.value, start, direction))
    # An estimate that knows itself to be rough would agree with anything.
    if not error <= 1e-5 * abs(estimate):
        fail(f"finite differences give {estimate:.9g} ± {error:.1g}: too rough to check the gradient by")
    message = (
        f"along a random direction: gradient {slope:.9g}, finite differences {estimate:.9g} ± {error:.1g}"
    )
    if not agrees(slope, estimate, error):
        fail(message)
    succeed(message)


def time_gradient(posterior: Posterior) -> None:
    """Print the time of the function, of its gradient, and their ratio."""
    medians = interleaved_medians(
        {
            "function": lambda: posterior.compiled(*posterior.data),
            "gradient": lambda: posterior.gradient(*posterior.data),
        },
        rounds=101,
    )
    console.print(f"  function                 {medians['function'] * 1e3:.3f} ms")
    console.print(f"  function and gradient    {medians['gradient'] * 1e3:.3f} ms")
    console.print(f"  [bold]ratio                    {medians['gradient'] / medians['function']:.2f}[/]")


def climb(posterior: Posterior, steps: int) -> None:
    """Maximise the posterior by L-BFGS-B with a table that grows by each step; fail unless it rises."""
    start = posterior.start()
    first = last = posterior.value(start)
    table = Table(title="scipy.optimize.minimize, L-BFGS-B", caption="each parameter within 1 of its start")
    for heading in ("step", "log posterior", "gain"):
        table.add_column(heading, justify="right")

    def descend(vector: Floats) -> tuple[float, Floats]:
        nonlocal last
        last, gradient = posterior.value_and_gradient(vector)
        return -last, -gradient

    def add_row(_: Floats | None = None) -> None:
        table.add_row(str(table.row_count), f"{last:.3f}", f"{last - first:.3f}")

    add_row()
    with Live(table, console=console):
        # The benchmark's prior has no maximum in the covariance factors: climb within a box round the start.
        result = minimize(
            descend,
            start,
            jac=True,
            method="L-BFGS-B",
            bounds=list(zip(start - 1.0, start + 1.0, strict=True)),
            callback=add_row,
            options={"maxiter": steps},
        )
    if not console.is_terminal:
        console.print()  # elsewhere than on a terminal, a live table ends without a line feed
    if not -result.fun > first:
        fail(f"the posterior did not rise: {first:.6f} before, {-result.fun:.6f} after")
    succeed(f"the log posterior rose from {first:.3f} to {-result.fun:.3f} in {result.nit} steps")


# --- doctor ------------------------------------------------------------------------------------------------


@app.command()
def doctor() -> None:
    """Print what a bug report should state, and run a self-test."""
    table = Table(show_header=False, box=None)
    for name, version in versions().items():
        table.add_row(name, version)
    console.print(table)
    seconds = seconds_of(self_test)
    succeed(f"self-test: the gradient of a loop over an array is right ({seconds:.1f} s with compilation)")


@app.command()
def cache(
    clear: Annotated[bool, typer.Option("--clear", help="Remove what is kept.")] = False,
) -> None:
    """Print where derivatives are kept between processes, and how many; or remove them."""
    facts = cz.cache.info()
    if facts.folder is None:
        console.print("nothing is kept on disk: COENZYME_CACHE is off")
    elif clear:
        succeed(f"removed {cz.cache.clear()} derivatives from {facts.folder}")
    else:
        megabytes = f"{facts.size / 2**20:.1f} of {facts.limit / 2**20:.0f} MB"
        console.print(f"{facts.files} derivatives, {megabytes}, in {facts.folder}", soft_wrap=True)


def versions() -> dict[str, str]:
    """Return the version of everything that a derivative depends on, by name."""
    packages = ("coenzyme", "numba", "llvmlite", "numpy", "scipy")
    return {
        "python": f"{platform.python_version()} ({platform.python_implementation()})",
        "platform": platform.platform(),
        **{package: metadata.version(package) for package in packages},
        "LLVM": ".".join(str(part) for part in llvmlite.binding.llvm_version_info),
        "processor": str(llvmlite.binding.get_host_cpu_name()),
    }


def self_test() -> None:
    """Differentiate a running product, and fail unless the gradient is the one known in closed form."""
    x = np.array([2.0, 3.0, 4.0])
    value, gradient = cz.value_and_grad(sum_of_running_products)(x)
    expected = np.array([1.0 + 3.0 + 12.0, 2.0 + 8.0, 6.0])
    if value != 2.0 + 6.0 + 24.0 or not np.allclose(gradient, expected, rtol=1e-14, atol=0.0):
        fail(
            f"self-test: expected {expected}, got {gradient}\n"
            "  remedy: report this with the versions that `coenzyme doctor` prints"
        )


def sum_of_running_products(x: Floats) -> float:
    """Return x₀ + x₀x₁ + x₀x₁x₂ + …, by overwriting a copy in place."""
    products = x.copy()
    total = products[0]
    for i in range(1, products.size):
        products[i] *= products[i - 1]
        total += products[i]
    return total


# --- explain -----------------------------------------------------------------------------------------------


@app.command()
def explain(
    target: Annotated[
        str, typer.Argument(metavar="MODULE:FUNCTION", help="As in package.module:f or file.py:f.")
    ],
    argtypes: Annotated[
        str,
        typer.Argument(
            metavar="ARGTYPES", help="Numba types of its arguments: 'float64[:, ::1], float64[::1], int64'."
        ),
    ],
    argnums: Annotated[
        str | None,
        typer.Option(help="Positions to differentiate, as in 0,2; by default all that hold floats."),
    ] = None,
    html: Annotated[
        Path | None, typer.Option(help="Write one self-contained page to this file, too.")
    ] = None,
) -> None:
    """Show what the reverse sweep of a function keeps, line by line, and why.

    Each line with differentiated values is marked ∂; beside it stands what it puts on the tape in each
    iteration, what is kept once, and what the reverse sweep reads or computes again.
    """
    function = load_function(target)
    report = cz.explain(function, *parse_types(argtypes), argnums=parse_positions(argnums))
    console.print(render(report))
    if html is not None:
        try:
            report.save(html)
        except OSError as error:
            fail(f"the page cannot be written: {error}")
        succeed(f"written to {html}")


def load_function(target: str) -> Callable[..., object]:
    """Return the function that ``module:function`` or ``file.py:function`` names, or end the process."""
    place, separator, name = target.rpartition(":")
    if not separator:
        fail(f"{target!r} names no function\n  remedy: write module:function or file.py:function")
    # A module of the folder that the user is in is found, as `python -m` finds it.
    sys.path.insert(0, str(Path.cwd()))
    try:
        if place.endswith(".py"):
            sys.path.insert(0, str(Path(place).resolve().parent))
            place = Path(place).stem
        found = import_module(place)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        fail(f"{target} cannot be loaded: {error}")
    return cast(Callable[..., object], found)


def parse_types(text: str) -> tuple[numba.types.Type, ...]:
    """Return the Numba types in a text such as ``float64[:], int64``, or end the process."""
    try:
        found, _ = sigutils.normalize_signature(f"({text},)" if text.strip() else "()")
    except (TypeError, NameError, SyntaxError, NumbaError, AttributeError) as error:
        fail(
            f"the types {text!r} are not understood: {error}\n"
            "  remedy: write them as Numba does, for example 'float64[:, ::1], float64, int64'"
        )
    return tuple(found)


def parse_positions(text: str | None) -> tuple[int, ...] | None:
    """Return positions separated by commas, or end the process."""
    if text is None:
        return None
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        fail(f"{text!r} are no positions\n  remedy: write numbers with commas between them: --argnums 0,2")


# --- cc ----------------------------------------------------------------------------------------------------


_PASSED_ON = "coenzyme.arguments"


class _Compilation(TyperCommand):
    """A command whose arguments behind ``--`` are those of the program that it runs."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        end = args.index("--") if "--" in args else len(args)
        ctx.meta[_PASSED_ON] = args[end + 1 :]
        return super().parse_args(ctx, args[:end])


@app.command(cls=_Compilation)
def cc(  # noqa: PLR0913, PLR0917 - one for each option
    context: typer.Context,
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE… [-- ARGUMENTS]",
            help="C files, and modules of LLVM (.ll, .bc), of one program; and what --run passes to it.",
            exists=True,
            dir_okay=False,
        ),
    ],
    optimise: Annotated[
        int, typer.Option("-O", min=0, max=3, help="How much to optimise: -O0, -O1, -O2 or -O3.")
    ] = 2,
    run: Annotated[bool, typer.Option("--run", help="Run main, and exit with its status.")] = False,
    emit_llvm: Annotated[
        str | None, typer.Option("--emit-llvm", metavar="OUT.ll", help="Write LLVM text; - prints it.")
    ] = None,
    include: Annotated[
        list[Path] | None, typer.Option("-I", metavar="DIR", help="Look for headers there, too.")
    ] = None,
    define: Annotated[
        list[str] | None, typer.Option("-D", metavar="NAME=VALUE", help="Define a macro.")
    ] = None,
    standard: Annotated[
        str | None, typer.Option("-std", "--std", metavar="STANDARD", help="Which C it is: c11, gnu17.")
    ] = None,
    flag: Annotated[
        list[str] | None, typer.Option("--flag", metavar="FLAG", help="Another argument for clang.")
    ] = None,
) -> None:
    """Compile C in which Enzyme's functions are called, such as __enzyme_autodiff.

    Those calls become calls of derivatives that Coenzyme makes. Without --run and --emit-llvm, what they
    mean is shown.
    """
    flags = [f"-I{folder}" for folder in include or ()] + [f"-D{macro}" for macro in define or ()]
    flags += ([f"-std={standard}"] if standard else []) + list(flag or ())
    resolution = compile_and_resolve(files, flags, level=optimise)
    if emit_llvm == "-":
        typer.echo(resolution.text)
    elif emit_llvm is not None:
        try:
            Path(emit_llvm).write_text(resolution.text, encoding="utf-8")
        except OSError as error:
            fail(f"the text cannot be written: {error}")
    if run:
        raise typer.Exit(run_main(resolution.text, optimise, context.meta[_PASSED_ON], name=str(files[0])))
    if emit_llvm is None:
        console.print(table_of(resolution.calls))


def table_of(calls: Sequence[ResolvedCall]) -> Table | str:
    """Return what was resolved, as a table."""
    if not calls:
        return "no function of Enzyme's is called"
    table = Table(box=None)
    for heading in ("call", "line", "function", "mode", "arguments"):
        table.add_column(heading, overflow="fold", min_width=28 if heading == "arguments" else None)
    for call in calls:
        mode, _, arguments = (
            ("size of the tape", "", "") if call.plan is None else str(call.plan).partition("\n")
        )
        table.add_row(call.called, Path(call.location).name, call.function, mode, dedent(arguments))
    return table
