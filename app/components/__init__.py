"""Pieces of pages that several pages use. Nothing here changes state but by calling the engine."""
