"""Fine-tuning: LoRA adapters trained on the very GGUF file that is served, written back as GGUF adapters.

Lives here: settings and presets (`config`), examples and what is held out of them (`data`, `split`), data-set files
(`dataset_files`, with `tables` and `columns`), what is made of pairs (`augmentation`, with `rewording` and `off_topic`),
tokens as the runtime sees them (`encoding`), data as a person sees them (`preview`), the training copy of a GGUF
(`base_model` over `bases`), what a training will take (`plan`, by `estimate` or `rehearsal`), the strategies (`trainer`,
`peft_trainer` with `lora_model`, `unsloth_trainer`), when they end and what they keep (`stopping`), the GGUF adapter writer
(`gguf_adapter`) and its check against the trained model (`gate`, `parity`), which adapters may answer (`offering`), adapters
as files for and from other programs (`export` with `merging`, `foreign` with `foreign_check`), the child process (`worker`) and
its parent (`process`), and the whole of it in one call (`finetune`).

Does not live here: serving (`engine.llm`), jobs (`engine.jobs`), where the pairs come from (`engine.faq`).
"""
