"""Benchmarks of a running Endcap: they need a checkout, and are no part of a distribution."""
