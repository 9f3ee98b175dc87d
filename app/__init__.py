"""The pages of AI Nexus, for a browser on the same machine.

Lives here: what is shown and which buttons there are. A page reads state, calls one method of `engine.container.Engine` and
renders; whatever takes long is a job. What the product does lives in `engine`.
"""
