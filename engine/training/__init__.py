"""Fine-tuning: LoRA adapters trained on the very GGUF file that is served, written back as GGUF adapters.

Lives here: settings and presets (`config`, and `settings` for people), the strategies' interface and choice (`trainer`), the
child process (`worker`) with its parent (`process`) and the folder between them (`run_folder`), and the whole of it in one call
(`finetune`). In packages: `datasets` (examples from pairs and files), `bases` (the training copy of a GGUF), `planning` (what a
training will take), `strategies` (PEFT and Unsloth), `loop` (the training itself) and `adapters` (the GGUF adapter, its check
against the trained model, adapters from and for other programs).

Does not live here: serving (`engine.llm`), jobs (`engine.jobs`), where the pairs come from (`engine.faq`).
"""
