"""Learn codebooks and networks from the training part of the sky, one module per tokenizer."""
