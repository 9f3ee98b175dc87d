"""Chat models: what is asked of one (`base`), and the strategies that answer: local, remote, fake.

Lives here: generation, constraints on it, and the choice of a strategy by a model's name (`registry`). Not here: prompts of
the capabilities, and the listing of model files (`engine.model_registry`).
"""
