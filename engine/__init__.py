"""The engine: everything AI Nexus does, as a plain Python library.

Lives here: the domain types, the strategies (chat models, embedders, vector stores, trainers), the capabilities built
on them (documents, FAQ extraction, retrieval, agents, fine-tuning, evaluation), jobs, storage and observability, the
composition root (`engine.container.Engine`) and the `nexus` command line.

Does not live here: anything that draws a page. `streamlit` is never imported below this package.

Imports point one way: `cli` and `container` → capabilities → strategies and infrastructure → `domain`, `config`, `errors`.
"""

__version__ = "0.1.0"
