"""State on disk: SQLite through SQLModel, and DuckDB for analysis.

Lives here: the tables, the connection (`session.Database`), migrations and one repository for each noun. Repositories take and
return domain dataclasses; a row never leaves this package. DuckDB reads event files and rows for analysis (`analytics`).

Does not live here: decisions. A repository stores and finds; what may be stored is for the capabilities to say.
"""
