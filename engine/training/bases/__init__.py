"""The models that can be fine-tuned: what a GGUF file of each family is in Transformers, and the training copy made of it.

`base_model` makes the training copy and keeps it, `families` has what is particular to each architecture; `settings` and
`rotary` turn a file's metadata into Transformers' configuration; `copying` writes the weights; `originals` finds a Hugging
Face folder with the weights before quantisation; `model_shape` reads no more than sizes. Nothing here trains, and nothing
here runs a model.
"""
