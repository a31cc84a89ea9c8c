"""Benchmarks: glassnet beside other libraries, on the same data and threads, taking turns."""
