"""Benchmarks: ratios, both sides alternating in one run, never timed in a test."""
