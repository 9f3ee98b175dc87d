"""Adapters after the training: written for llama.cpp, checked, offered, exported and imported.

Lives here: the GGUF adapter writer (`gguf_adapter`), the check of what is served against what was trained (`gate`, `parity`,
`probes`), which adapters may answer (`offering`), adapters for other programs (`export`, with `merging`, `merged_model`,
`ollama` and `model_card`) and from them (`foreign`, `foreign_check`), and the child process that merges and checks
(`child_work`).

Does not live here: adapters' rows in the database (`engine.db`), and their serving (`engine.llm`).
"""
