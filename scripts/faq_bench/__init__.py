"""What `bench_faq.py` is made of.

`data`: sets in SQuAD's format as documents. `ours`: extraction as the job does it. `measures`: what is looked at. `high_level`:
asking one chunk at a time through llama-cpp-python's own interface.
"""
