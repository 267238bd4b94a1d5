"""Tokenizers: what turns rows of a hypercube into codes and back, one module per kind of data."""
