"""Benchmarks: glassnet beside other libraries, on the same data, in the same process, taking turns."""
