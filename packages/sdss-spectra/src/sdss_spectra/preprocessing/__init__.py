"""From the pixels of a file to clean spectra on one grid, step by step."""
