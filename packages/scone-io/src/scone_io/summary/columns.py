"""The columns of the summary: names, units and definitions, each written once."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from astro_common.parquet import described

__all__ = [
    "BLUE_ANGSTROM",
    "COLUMNS",
    "COMPAT_COLUMNS",
    "EXTRA_COLUMNS",
    "RED_ANGSTROM",
    "Column",
    "curve_schema",
    "spectrum_schema",
    "summary_schema",
]

# Ends of the two bands; bins on an end belong to the band.
BLUE_ANGSTROM = (3000.0, 5000.0)
RED_ANGSTROM = (6000.0, 10000.0)

_INT, _FLOAT, _FLUX_UNIT = pa.int64(), pa.float64(), "FLUXCAL"


@dataclass(frozen=True)
class Column:
    """A column of the summary.

    Attributes
    ----------
    name : str
    type : pyarrow.DataType
    unit : str
    definition : str
    """

    name: str
    type: pa.DataType
    unit: str
    definition: str

    def field(self) -> pa.Field:
        """The column as an Arrow field."""
        return described(self.name, self.type, unit=self.unit, description=self.definition)


# F is the flux by wavelength and time, E its uncertainty, LC the sum of F over wavelength, S the
# mean of F from -10 to +20 d.
COMPAT_COLUMNS = (
    Column("snid", _INT, "", "identifier of the supernova"),
    Column("label", _INT, "", "class as the shard has it; real data have 0 whatever they are"),
    Column("label_name", pa.string(), "", "name of the class"),
    Column("redshift", pa.float32(), "", "redshift; SCONE writes -9 where none is known"),
    Column("redshift_err", pa.float32(), "", "uncertainty of the redshift"),
    Column("total_flux", _FLOAT, _FLUX_UNIT, "sum of F over all bins"),
    Column("max_flux", _FLOAT, _FLUX_UNIT, "largest F"),
    Column("mean_flux", _FLOAT, _FLUX_UNIT, "mean of F"),
    Column("median_flux", _FLOAT, _FLUX_UNIT, "median of F"),
    Column(
        "std_flux", _FLOAT, _FLUX_UNIT, "standard deviation of F, divided by the number of bins"
    ),
    Column("peak_flux_wavelength_idx", _INT, "", "wavelength bin of the largest F"),
    Column("peak_flux_mjd_idx", _INT, "", "time bin of the largest F"),
    Column("peak_flux_wavelength", _FLOAT, "Angstrom", "observed wavelength of the largest F"),
    Column("peak_flux_mjd", _FLOAT, "d", "day of the largest F, relative to the reference"),
    Column("lc_max", _FLOAT, _FLUX_UNIT, "largest LC"),
    Column("lc_mean", _FLOAT, _FLUX_UNIT, "mean of LC"),
    Column("lc_peak_mjd_idx", _INT, "", "time bin of the largest LC"),
    Column("lc_peak_mjd", _FLOAT, "d", "day of the largest LC, relative to the reference"),
    Column("flux_before_peak", _FLOAT, _FLUX_UNIT, "sum of LC before its peak"),
    Column("flux_after_peak", _FLOAT, _FLUX_UNIT, "sum of LC from its peak on"),
    Column("rise_time_days", _FLOAT, "d", "peak of LC less the first bin above half of it"),
    Column("decline_time_days", _FLOAT, "d", "last bin above half of LC's peak less the peak"),
    Column("duration_days", _FLOAT, "d", "last less first bin above half of LC's peak"),
    Column("spectrum_max", _FLOAT, _FLUX_UNIT, "largest S"),
    Column("spectrum_mean", _FLOAT, _FLUX_UNIT, "mean of S"),
    Column("spectrum_peak_wavelength_idx", _INT, "", "wavelength bin of the largest S"),
    Column("spectrum_peak_wavelength", _FLOAT, "Angstrom", "observed wavelength of the largest S"),
    Column("blue_flux", _FLOAT, "FLUXCAL2", "sum of LC times F over 3000-5000 A; flux squared"),
    Column("red_flux", _FLOAT, "FLUXCAL2", "sum of LC times F over 6000-10000 A; flux squared"),
    Column("color_ratio", _FLOAT, "", "blue_flux over red_flux; not the ratio of two fluxes"),
    Column("snr_mean", _FLOAT, "", "mean of F/E where positive; 0 if nowhere"),
    Column("snr_median", _FLOAT, "", "median of F/E where positive; 0 if nowhere"),
    Column("snr_max", _FLOAT, "", "largest F/E"),
    Column("snr_peak", _FLOAT, "", "F/E at the largest F"),
    Column("num_nonzero_bins", _INT, "", "bins with F above zero"),
    Column("coverage_fraction", _FLOAT, "", "share of bins with F above zero; no coverage"),
    Column("num_epochs_with_data", _INT, "", "time bins with any F above zero"),
    Column("temporal_coverage_fraction", _FLOAT, "", "share of time bins with any F above zero"),
    Column("num_wavelengths_with_data", _INT, "", "wavelength bins with any F above zero"),
    Column("spectral_coverage_fraction", _FLOAT, "", "share of wavelengths with any F above zero"),
)

EXTRA_COLUMNS = (
    Column("blue_band_flux", _FLOAT, _FLUX_UNIT, "sum of F over 3000-5000 A and all times"),
    Column("red_band_flux", _FLOAT, _FLUX_UNIT, "sum of F over 6000-10000 A and all times"),
    Column("band_color_ratio", _FLOAT, "", "blue_band_flux over red_band_flux, where that is > 0"),
    Column("rise_half_max_days", _FLOAT, "d", "LC's peak less the half-maximum crossing before it"),
    Column("decline_half_max_days", _FLOAT, "d", "half-maximum crossing after LC's peak less it"),
    Column("observed_fraction", _FLOAT, "", "share of bins with E below half of its largest value"),
    Column("num_nan", _INT, "", "values that are NaN, in both channels"),
)

COLUMNS = COMPAT_COLUMNS + EXTRA_COLUMNS


def summary_schema(*, compat: bool = False) -> pa.Schema:
    """Columns of the summary; with `compat` only the forty of the existing tool."""
    return pa.schema([column.field() for column in (COMPAT_COLUMNS if compat else COLUMNS)])


def curve_schema(num_time_bins: int) -> pa.Schema:
    """Columns of the light curves: day, LC and its error of each time bin, one after the other."""
    fields = [COMPAT_COLUMNS[0].field()]
    for place in range(num_time_bins):
        fields += [
            described(f"mjd_{place:03d}", _FLOAT, unit="d", description="day of the bin"),
            described(f"flux_{place:03d}", _FLOAT, unit=_FLUX_UNIT, description="LC"),
            described(
                f"flux_err_{place:03d}",
                _FLOAT,
                unit=_FLUX_UNIT,
                description="root of the summed squares of E; correlations left out",
            ),
        ]
    return pa.schema(fields)


def spectrum_schema(num_wavelength_bins: int) -> pa.Schema:
    """Columns of the spectra: wavelength, S and its error of each bin, one after the other."""
    fields = [COMPAT_COLUMNS[0].field()]
    for place in range(num_wavelength_bins):
        fields += [
            described(
                f"wavelength_{place:02d}",
                _FLOAT,
                unit="Angstrom",
                description="observed wavelength of the bin",
            ),
            described(f"flux_{place:02d}", _FLOAT, unit=_FLUX_UNIT, description="S"),
            described(
                f"flux_err_{place:02d}",
                _FLOAT,
                unit=_FLUX_UNIT,
                description="root mean square of E from -10 to +20 d",
            ),
        ]
    return pa.schema(fields)
