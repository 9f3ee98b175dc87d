"""One module for each page, with a function `render`. A page does no work of its own."""
