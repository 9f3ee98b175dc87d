"""From the marks on a PDF's pages to text in reading order.

`streams` refuses compression bombs, `extraction` asks MuPDF for lines and tables, `alignment` finds
tables that have no lines drawn, `furniture` drops running headers and
footers, `style` tells headings from body text, `order` finds the reading order, `paragraphs` puts lines together, and
`rendering` draws pages, unless `picture_sizes` finds their pictures too large. The
loader that runs them is `engine.ingest.loaders.pdf`.
"""
