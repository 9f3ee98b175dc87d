"""FAQ pairs out of documents, each with a verbatim quote that proves it.

Lives here: choosing the sentences that state facts (`units`), taking over pairs that a document already has (`written`),
asking by rule (`row_rules`, `sentence_rules`, `transformations`) and by model (`prompts`), also in another language
(`translating`), the pipeline over all of it (`extraction`), the checks and the score of what comes out (`checks`, `curation`),
finding near-duplicates (`dedupe`), what becomes of pairs in a new version of their document (`versions`), review by a person
(`review`), import (`importing`) and export (`export`).

Does not live here: reading documents (`engine.ingest`), the tables that pairs are stored in (`engine.db`), or running all this
as a job (`engine.handlers`).
"""
