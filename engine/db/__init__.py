"""State on disk: SQLite through SQLModel.

Lives here: the tables, the connection (`session.Database`), migrations and one repository for each noun. Repositories take and
return domain dataclasses; a row never leaves this package.

Does not live here: decisions. A repository stores and finds; what may be stored is for the capabilities to say. Events (traces,
single answers of evaluations) are append-only files that DuckDB reads; see `engine.observability.traces`.
"""
