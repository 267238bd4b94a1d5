"""Published numbers that the package ships.

``xp_bases.npz`` defines the basis functions of the continuous mean spectra of Gaia DR3 (numbers 56
for BP and 57 for RP): Carrasco et al. 2021, A&A 652, A86; De Angeli et al. 2023, A&A 674, A2. The
numbers come from GaiaXPy 2.1.5 (copyright DPAC, CU5, DPCI; BSD 3-Clause Licence);
``tools/make_xp_bases.py`` of the source distribution writes the file.
"""
