"""Kernels of the NPBench and PolyBench suites, written anew, and ADBench's Jacobians."""
