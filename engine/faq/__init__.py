"""FAQ pairs out of documents, each with a verbatim quote that proves it.

Lives here: choosing the sentences that state facts (`units`), taking over pairs that a document already has (`written`),
asking by rule (`row_rules`, `sentence_rules`) and by model (`prompts`), the pipeline over all of it (`extraction`), the checks
and the score of what comes out (`checks`, `curation`), finding near-duplicates (`dedupe`) and export (`export`).

Does not live here: reading documents (`engine.ingest`), storing pairs (`engine.db`), or running all this as a job.
"""
