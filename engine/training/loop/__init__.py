"""The training loop's parts, whichever library has loaded the model.

Lives here: the order of examples and the rate (`schedule`), examples in rows (`packing`) and attention in them
(`row_attention`), losses (`answer_loss`, `anchor`) and their gradients (`pieces`), a step of the optimiser (`gradient_step`,
`memory`), looks at held-out examples (`held_out`, `samples`), when it ends and what it keeps (`stopping`), what a person asks
of it (`control`), its state on disk (`run_state`, `checkpoint`), what it tells (`curve`, `gauges`), and several processes that
are one training (`ranks`, `following`).

Does not live here: the loop that puts them together, and the models (`engine.training.strategies`).
"""
