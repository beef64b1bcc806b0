"""Tables of LLVM's words that reading and printing share.

Source: LLVM Language Reference Manual, "Instruction Reference", "Fast-Math Flags", "Calling Conventions".
"""

# ruff: noqa: SIM905 - as words of a sentence the tables can be compared with the manual

from __future__ import annotations

__all__ = ["BINARIES", "CASTS", "CONSTANT_BINARIES", "CONVENTIONS", "FAST_MATH", "VALUE_WORDS"]

BINARIES = frozenset(
    "add sub mul sdiv udiv srem urem shl lshr ashr and or xor fadd fsub fmul fdiv frem".split()
)
"""Operations on two operands of one type."""

CASTS = frozenset(
    "trunc zext sext fptrunc fpext fptoui fptosi uitofp sitofp ptrtoint ptrtoaddr inttoptr bitcast"
    " addrspacecast".split()
)
"""Conversions, written ``opcode value to type``."""

CONSTANT_BINARIES = frozenset("add sub mul xor shl lshr ashr and or".split())
"""Binary operations that stand in constant expressions (LLVM 20 has only the first few left)."""

FAST_MATH = frozenset("fast nnan ninf nsz arcp contract afn reassoc".split())
"""Flags that let LLVM change floating-point results."""

CONVENTIONS = frozenset(
    "ccc fastcc coldcc ghccc anyregcc preserve_mostcc preserve_allcc preserve_nonecc cxx_fast_tlscc tailcc"
    " swiftcc swifttailcc cfguard_checkcc win64cc x86_64_sysvcc x86_stdcallcc x86_fastcallcc"
    " x86_vectorcallcc x86_regcallcc aarch64_vector_pcs aarch64_sve_vector_pcs arm_aapcscc arm_aapcs_vfpcc"
    " ptx_kernel ptx_device spir_func spir_kernel amdgpu_kernel".split()
)
"""Calling conventions that have names; the others are written ``cc N``."""

VALUE_WORDS = (
    frozenset("true false null undef poison zeroinitializer none splat asm getelementptr".split())
    | CASTS
    | CONSTANT_BINARIES
    | frozenset("blockaddress dso_local_equivalent no_cfi ptrauth".split())
)
"""The words a constant begins with, which end a list of attributes."""
