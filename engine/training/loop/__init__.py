"""The training loop's parts, whichever library has loaded the model.

Lives here: the order of examples and the rate (`schedule`), examples in rows (`packing`), losses (`answer_loss`, `anchor`), a
step of the optimiser (`gradient_step`, `memory`), looks at held-out examples (`held_out`, `samples`), when it ends and what
it keeps (`stopping`), what a person asks of it (`control`), its state on disk (`run_state`, `checkpoint`), and what it tells
(`curve`, `gauges`).

Does not live here: the loop that puts them together, and the models (`engine.training.strategies`).
"""
