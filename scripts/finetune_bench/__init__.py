"""The parts of `scripts/bench_finetune.py`: what is learnt (`workload`, `facts.json`), who teaches it (`plain`, `ours`), and
what is known afterwards (`knowledge`).

Each side runs in a process of its own, so that its peak memory is its own, and prints one JSON object.
"""
