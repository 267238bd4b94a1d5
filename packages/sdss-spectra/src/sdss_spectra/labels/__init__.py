"""Labels of spectra, from catalogues, headers, file names and folder names."""
