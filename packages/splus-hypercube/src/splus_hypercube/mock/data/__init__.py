"""Published numbers that the mock ships.

``xp_basis.npz`` describes how Gaia's blue and red photometers turn a spectrum into the coefficients
of its continuous representation: pupil area, dispersion, response and inverse basis functions of
the external calibration of Gaia DR3 (models v375wi and v142r). Carrasco et al. 2021, A&A 652, A86;
De Angeli et al. 2023, A&A 674, A2; Montegriffo et al. 2023, A&A 674, A3. The numbers come from
GaiaXPy 2.1.5, whose licence is beside it; ``tools/make_xp_basis.py`` of the source distribution
writes the file.
"""
