"""What a run reaches on held-out sources: use of codebooks, magnitudes, spectra, fluxes.

Needs a run that has been fitted, and for spectra the table ``truth_spectra.parquet`` that
``splus-hypercube mock`` writes. Prints one JSON object: by quantity the goal, what was found, from
how many values, and what these allow at best. A part that was not fitted is left out.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from astromodal_tokenizers.apertures import ring_flux, ring_weights
from astromodal_tokenizers.configuration import load_configuration
from astromodal_tokenizers.encode import fitted_families
from astromodal_tokenizers.evaluate import evaluate
from astromodal_tokenizers.hypercube import iter_rows, open_cubes
from astromodal_tokenizers.split import TEST
from astromodal_tokenizers.tokenizers.loading import load_tokenizer

LEAST_USE = 0.9
MOST_OVER_ERROR = 0.5
MOST_CHI2 = 1.3
MOST_OF_FLUX = 0.02
FAINTEST_R = 19.0


def codebooks(configuration):
    blocks, about = evaluate(configuration)
    rows = {}
    for block in blocks:
        used, attainable = block.held_out_codes()
        values = int(block.counts.sum())
        if values:
            # Of the number of boxes that so many balls fill at random (Feller 1968, ch. IV).
            load = values / block.size
            empty = np.exp(-load)
            deviation = np.sqrt(block.size * empty * (1.0 - (1.0 + load) * empty))
            rows[block.name] = {
                "size": block.size,
                "values": values,
                "codes_used": used,
                "codes_attainable": round(attainable, 1),
                "codes_deviation": round(float(deviation), 1),
                "use_held_out": round(block.held_out_use(), 4),
                "use_of_all_sources": round(block.use(), 4),
            }
    result = {"goal": f"use >= {LEAST_USE}", "split": about["split"], "codebooks": len(rows)}
    for key in ("use_held_out", "use_of_all_sources"):
        lowest = min(rows, key=lambda name: rows[name][key])
        below = [name for name, row in rows.items() if row[key] < LEAST_USE]
        result[key] = {"lowest": rows[lowest][key], "of": lowest, "below_goal": below}
    result["use_held_out"]["below_goal_beyond_chance"] = [
        name
        for name, row in rows.items()
        if row["codes_used"] + 2.0 * row["codes_deviation"] < LEAST_USE * row["codes_attainable"]
    ]
    return {**result, "each": rows}


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
    rows = {}
    for name, parts in ratios.items():
        sizes = np.sort(np.abs(np.concatenate(parts)))
        rows[name] = {
            "values": len(sizes),
            "rms_over_error": float(np.sqrt(np.mean(sizes**2))),
            "rms_without_largest": float(np.sqrt(np.mean(sizes[:-1] ** 2))),
            "median_over_error": float(np.median(sizes)),
            "share_below_half": float(np.mean(sizes < MOST_OVER_ERROR)),
        }
    above = [name for name, row in rows.items() if row["rms_over_error"] >= MOST_OVER_ERROR]
    goal = f"rms difference < {MOST_OVER_ERROR} of the error"
    return {"goal": goal, "above_goal": above, "each": rows}


def spectra(configuration, cubes, truth):
    table = pq.read_table(truth)
    rows_of = {target: row for row, target in enumerate(table["TARGETID"].to_pylist())}
    result = {}
    for group in load_tokenizer(configuration.output, "spectrum").tokenizer.groups:
        if not group.name.startswith("desi_"):
            continue
        true = np.stack(table[f"flux_{group.name[-1]}"].to_numpy())
        sums, count = np.zeros(3), 0
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
                    count += 1
        result[group.name] = {
            "spectra": count,
            "pixels": int(sums[2]),
            "chi2_per_pixel_decoded": float(sums[0] / sums[2]),
            "chi2_per_pixel_measured": float(sums[1] / sums[2]),
        }
    return {"goal": f"chi-square per pixel < {MOST_CHI2}, decoded against truth", "each": result}


def fluxes(configuration, cubes):
    tokenizer = load_tokenizer(configuration.output, "image").tokenizer
    scale = configuration.image.pixel_scale_arcsec
    result = {"goal": f"flux within {MOST_OF_FLUX} of itself for r < {FAINTEST_R}"}
    radii = (1.5, 3.0)
    weights = [ring_weights(tokenizer.size_px, [radius / scale]) for radius in radii]
    found = [([], []) for _ in radii]
    for cube in cubes:
        columns = [*tokenizer.column_names, "mag_pstotal_r"]
        for rows in iter_rows(cube, columns, configuration, TEST):
            bright = np.flatnonzero(rows.table["mag_pstotal_r"].to_numpy() < FAINTEST_R)
            cutouts = tokenizer.images(rows.table.take(bright))
            decoded = tokenizer.decode(tokenizer.encode(cutouts)[0])
            for weight, parts in zip(weights, found, strict=True):
                for images, part in zip((decoded, cutouts), parts, strict=True):
                    part.append(ring_flux(images, weight)[..., 0])
    for radius, weight, parts in zip(radii, weights, found, strict=True):
        after, before = (np.concatenate(part) for part in parts)
        noise = np.broadcast_to(tokenizer.noise * np.sqrt((weight**2).sum()), before.shape)
        known = np.isfinite(before) & np.isfinite(after)
        rows = {
            name: _flux_row(*(item[known[:, band], band] for item in (before, after, noise)))
            for band, name in enumerate(tokenizer.column_names)
        }
        whole = _flux_row(before[known], after[known], noise[known])
        result[f"radius_{radius}_arcsec"] = {**whole, "bands": rows}
    return result


def _flux_row(before, after, noise):
    """The difference relative to the flux, and to the flux's own noise."""
    relative = np.abs(after / before - 1.0)
    off = relative >= MOST_OF_FLUX
    return {
        "values": len(before),
        "median": float(np.median(relative)),
        "percentile_95": float(np.percentile(relative, 95)),
        "share_within_goal": float(np.mean(~off)),
        "off": int(off.sum()),
        "off_with_noise_below_goal": int((off & (noise < MOST_OF_FLUX * np.abs(before))).sum()),
        "off_by_more_than_half_the_noise": int((off & (np.abs(after - before) > noise / 2)).sum()),
        "share_with_noise_above_goal": float(np.mean(noise >= MOST_OF_FLUX * np.abs(before))),
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--config", type=Path, required=True)
    options.add_argument("--truth-spectra", type=Path)
    arguments = options.parse_args()
    configuration = load_configuration(arguments.config)
    cubes = open_cubes(configuration)
    families = fitted_families(configuration.output)
    result = {"codebooks": codebooks(configuration)}
    if "scalar" in families:
        result["magnitudes"] = magnitudes(configuration, cubes)
    if "spectrum" in families and arguments.truth_spectra:
        result["spectra"] = spectra(configuration, cubes, arguments.truth_spectra)
    if "image" in families:
        result["images"] = fluxes(configuration, cubes)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
