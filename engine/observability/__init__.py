"""What the engine says about itself: logs (`logging`), traces (`tracing`, read back by `traces`) and metrics (`metrics`).

Everything is recorded on this machine; nothing here opens a connection unless the person named an Opik server and switched
offline mode off. Nothing here may fail or slow the work that it watches.
Does not live here: progress of jobs (`engine.jobs`), evaluation scores (`engine.evaluation`).
"""
