"""The parts of `scripts/bench_inference.py`: what is asked (`workload`), who answers (`ours`, `high_level`, `server`).

Each side runs in a process of its own, so that its peak memory is its own, and prints one JSON object.
"""
