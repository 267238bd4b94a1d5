"""What stars the spectra are of: catalogues, headers, file and folder names."""
