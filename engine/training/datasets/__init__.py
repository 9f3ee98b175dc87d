"""Training examples: where they come from, what is made of them, and how a model and a person see them.

Lives here: examples of pairs, cleaned and split (`examples`, `split`), data-set files (`dataset_files`, with `tables` and
`columns`), more examples made of pairs (`augmentation`, with `rewording`, `query_wordings` and `off_topic`; `synonyms` and
`ways_to_ask` say what asks the same), the text that a model is held to its former predictions on (`general_text`), tokens as
the runtime sees them (`encoding`), and the preview (`preview`).

Does not live here: how examples are laid out for a forward pass (`engine.training.loop.packing`).
"""
