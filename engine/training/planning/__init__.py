"""What a training will take, before it starts.

Lives here: a formula for memory, time and disk (`estimate`, over the sizes in `workload`), three real steps (`rehearsal`,
taken in a child process and remembered by `rehearsals`), and whether it fits and what to change (`fit`), put together in
`plan`.

Does not live here: what a running training measures of itself (`engine.training.loop.gauges`).
"""
