"""Columns of the tables in DESI coadd and redrock files, with their FITS formats.

Names, order and types are those of the tile-based coadds of the DESI Early Data Release (DESI
Collaboration 2024, AJ 168, 58; data model at desidatamodel.readthedocs.io).
"""

from __future__ import annotations

__all__ = [
    "EXP_FIBERMAP_COLUMNS",
    "FIBERMAP_COLUMNS",
    "REDSHIFT_COLUMNS",
    "SCORE_COLUMNS",
    "TSNR2_COLUMNS",
]


def _columns(text: str) -> tuple[tuple[str, str], ...]:
    """Pairs of name and format from lines of ``format: names``."""
    pairs: list[tuple[str, str]] = []
    for line in text.strip().splitlines():
        code, names = line.split(":")
        pairs.extend((name, code.strip()) for name in names.split())
    return tuple(pairs)


FIBERMAP_COLUMNS = _columns(
    """
    K: TARGETID
    I: PETAL_LOC
    J: DEVICE_LOC
    K: LOCATION
    J: FIBER COADD_FIBERSTATUS
    D: TARGET_RA TARGET_DEC
    E: PMRA PMDEC REF_EPOCH LAMBDA_REF
    K: FA_TARGET
    B: FA_TYPE
    3A: OBJTYPE
    E: FIBERASSIGN_X FIBERASSIGN_Y
    J: PRIORITY
    D: SUBPRIORITY
    J: OBSCONDITIONS
    I: RELEASE
    8A: BRICKNAME
    J: BRICKID BRICK_OBJID
    4A: MORPHTYPE
    E: EBV FLUX_G FLUX_R FLUX_Z FLUX_W1 FLUX_W2
    E: FLUX_IVAR_G FLUX_IVAR_R FLUX_IVAR_Z FLUX_IVAR_W1 FLUX_IVAR_W2
    E: FIBERFLUX_G FIBERFLUX_R FIBERFLUX_Z FIBERTOTFLUX_G FIBERTOTFLUX_R FIBERTOTFLUX_Z
    I: MASKBITS
    E: SERSIC SHAPE_R SHAPE_E1 SHAPE_E2
    K: REF_ID
    2A: REF_CAT
    E: GAIA_PHOT_G_MEAN_MAG GAIA_PHOT_BP_MEAN_MAG GAIA_PHOT_RP_MEAN_MAG PARALLAX
    1A: PHOTSYS
    K: PRIORITY_INIT NUMOBS_INIT SV1_DESI_TARGET SV1_BGS_TARGET SV1_MWS_TARGET SV1_SCND_TARGET
    K: DESI_TARGET BGS_TARGET MWS_TARGET
    D: PLATE_RA PLATE_DEC
    J: TILEID
    I: COADD_NUMEXP
    E: COADD_EXPTIME
    I: COADD_NUMNIGHT COADD_NUMTILE
    E: MEAN_DELTA_X RMS_DELTA_X MEAN_DELTA_Y RMS_DELTA_Y
    D: MEAN_FIBER_RA
    E: STD_FIBER_RA
    D: MEAN_FIBER_DEC
    E: STD_FIBER_DEC MEAN_PSF_TO_FIBER_SPECFLUX MEAN_FIBER_X MEAN_FIBER_Y
    """
)

EXP_FIBERMAP_COLUMNS = _columns(
    """
    K: TARGETID
    J: PRIORITY
    D: SUBPRIORITY
    J: NIGHT EXPID
    D: MJD
    J: TILEID
    D: EXPTIME
    I: PETAL_LOC
    J: DEVICE_LOC
    K: LOCATION
    J: FIBER FIBERSTATUS
    E: FIBERASSIGN_X FIBERASSIGN_Y LAMBDA_REF
    D: PLATE_RA PLATE_DEC
    K: NUM_ITER
    D: FIBER_X FIBER_Y DELTA_X DELTA_Y FIBER_RA FIBER_DEC PSF_TO_FIBER_SPECFLUX
    """
)

_TSNR2_CLASSES = ("GPBDARK", "ELG", "GPBBRIGHT", "LYA", "BGS", "GPBBACKUP", "QSO", "LRG")
_TSNR2 = tuple(
    (f"TSNR2_{kind}{suffix}", "E") for suffix in ("_B", "_R", "_Z", "") for kind in _TSNR2_CLASSES
)

TSNR2_COLUMNS = (("TARGETID", "K"), *_TSNR2)

SCORE_COLUMNS = (
    ("TARGETID", "K"),
    *(
        (f"{name}_{arm}", "E")
        for arm in "BRZ"
        for name in ("INTEG_COADD_FLUX", "MEDIAN_COADD_FLUX", "MEDIAN_COADD_SNR")
    ),
    *_TSNR2,
)

REDSHIFT_COLUMNS = (
    ("TARGETID", "K"),
    ("Z", "D"),
    ("ZERR", "D"),
    ("ZWARN", "K"),
    ("CHI2", "D"),
    ("COEFF", "10D"),
    ("NPIXELS", "K"),
    ("SPECTYPE", "6A"),
    ("SUBTYPE", "20A"),
    ("NCOEFF", "K"),
    ("DELTACHI2", "D"),
)
