"""The strategies behind `engine.training.trainer.Trainer`, and the models that they train.

Lives here: Transformers and PEFT (`peft_trainer`, which has the training loop of both; `lora_model`, `fused_layers`,
`weight_type`), and Unsloth (`unsloth_trainer` with its process `unsloth_worker` and `unsloth_model`).

Does not live here: the choice among them (`engine.training.trainer`), and the parts of the loop (`engine.training.loop`).
"""
