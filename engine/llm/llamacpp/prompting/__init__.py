"""From conversations to prompt tokens.

Lives here: chat templates, the process that runs them, and the tokenising of what they give. Not here: the vocabulary
(`engine.llm.llamacpp.tokens`), and which turns of a long conversation are left out (`engine.llm.trimming`).
"""
