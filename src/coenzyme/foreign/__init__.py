"""Derivatives of functions that no frontend has described: plain LLVM modules, and Enzyme's conventions."""
