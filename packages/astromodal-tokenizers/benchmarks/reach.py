"""The round trip against the truth of a mock: magnitudes, spectra, fluxes of cutouts.

Fit, encode and decode first. The hypercubes' own columns lead to the rows of the truth tables that
``splus-hypercube mock`` writes.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from astromodal_tokenizers.apertures import ring_flux, ring_weights
from astromodal_tokenizers.configuration import load_configuration
from astromodal_tokenizers.hypercube import iter_rows, open_cubes
from astromodal_tokenizers.split import TEST
from astromodal_tokenizers.tokenizers.loading import load_tokenizer


def magnitudes(configuration, cubes):
    tokenizer = load_tokenizer(configuration.output, "scalar").tokenizer
    names = [name for name in tokenizer.column_names if name.startswith("mag_pstotal_")]
    ratios = {name: [] for name in names}
    for cube in cubes:
        wanted = [*tokenizer.column_names, *(f"err_{name}" for name in names)]
        for rows in iter_rows(cube, wanted, configuration, TEST):
            decoded = dict(tokenizer.decode(tokenizer.encode(rows.table)))
            arrays = {field.name: array.to_numpy(False) for field, array in decoded.items()}
            for name in names:
                value, error = (rows.table[n].to_numpy() for n in (name, f"err_{name}"))
                known = (value < 90.0) & (error < 2.0)
                ratios[name].append(((arrays[name] - value) / error)[known])
    values = {name: np.concatenate(parts) for name, parts in ratios.items()}
    return {
        name: {
            "rms_over_error": float(np.sqrt(np.mean(item**2))),
            "median_over_error": float(np.median(np.abs(item))),
        }
        for name, item in values.items()
    }


def spectra(configuration, cubes, truth):
    table = pq.read_table(truth)
    rows_of = {target: row for row, target in enumerate(table["TARGETID"].to_pylist())}
    result = {}
    for group in load_tokenizer(configuration.output, "spectrum").tokenizer.groups:
        if not group.name.startswith("desi_"):
            continue
        true = np.stack(table[f"flux_{group.name[-1]}"].to_numpy())
        sums = np.zeros(3)
        for cube in cubes:
            columns = [*group.modality.all_columns, "desi_TARGETID"]
            for rows in iter_rows(cube, columns, configuration, TEST):
                measured = group.measure(rows.table)
                decoded = group.decode(group.encode_measured(measured))
                targets = rows.table["desi_TARGETID"].to_pylist()
                for row in np.flatnonzero(measured.valid.any(axis=1)):
                    flux = true[rows_of[targets[row]]]
                    valid, weight = measured.valid[row], measured.weight[row]
                    for place, values in enumerate((decoded[row], measured.values[row])):
                        sums[place] += np.sum((((values - flux) * weight)[valid]) ** 2)
                    sums[2] += valid.sum()
        result[group.name] = {
            "chi2_per_pixel_decoded": float(sums[0] / sums[2]),
            "chi2_per_pixel_measured": float(sums[1] / sums[2]),
        }
    return result


def images(configuration, cubes):
    tokenizer = load_tokenizer(configuration.output, "image").tokenizer
    scale = configuration.image.pixel_scale_arcsec
    result = {}
    for radius_arcsec in (1.5, 3.0):
        weights = ring_weights(tokenizer.size_px, [radius_arcsec / scale])
        errors = []
        for cube in cubes:
            columns = [*tokenizer.column_names, "mag_pstotal_r"]
            for rows in iter_rows(cube, columns, configuration, TEST):
                bright = np.flatnonzero(rows.table["mag_pstotal_r"].to_numpy() < 19.0)
                cutouts = tokenizer.images(rows.table.take(bright))
                decoded = tokenizer.decode(tokenizer.encode(cutouts)[0])
                flux = [ring_flux(item, weights)[..., 0] for item in (decoded, cutouts)]
                errors.append(np.abs(flux[0] / flux[1] - 1.0).ravel())
        values = np.concatenate(errors)
        result[f"radius_{radius_arcsec}_arcsec"] = {
            "median": float(np.nanmedian(values)),
            "percentile_95": float(np.nanpercentile(values, 95)),
            "share_within_2_per_cent": float(np.mean(values < 0.02)),
        }
    return result


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--config", type=Path, required=True)
    options.add_argument("--truth-spectra", type=Path, required=True)
    arguments = options.parse_args()
    configuration = load_configuration(arguments.config)
    cubes = open_cubes(configuration)
    result = {
        "magnitudes": magnitudes(configuration, cubes),
        "spectra": spectra(configuration, cubes, arguments.truth_spectra),
        "images": images(configuration, cubes),
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
