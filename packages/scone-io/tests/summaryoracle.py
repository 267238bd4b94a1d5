"""The summary of one event, from its published definitions, without any of our code."""

from __future__ import annotations

import numpy as np


def summary_row(event, low_days, high_days):
    w, t = np.linspace(3000, 10100, 32), np.linspace(low_days, high_days, 180)
    F = np.ascontiguousarray(event.image[:, :, 0], dtype=np.float64)
    E = np.ascontiguousarray(event.image[:, :, 1], dtype=np.float64)
    LC = np.sum(F, axis=0)
    pk = int(np.argmax(LC))
    pw, pt = np.unravel_index(np.argmax(F), F.shape)
    above = np.where(LC.max() / 2 < LC)[0]
    lo, hi = (int(np.argmin(np.abs(t - day))) for day in (-10, 20))
    S = np.mean(F[:, lo:hi], axis=1)
    blue = np.sum(LC * np.sum(F[(w >= 3000) & (w <= 5000)], axis=0))
    red = np.sum(LC * np.sum(F[(w >= 6000) & (w <= 10000)], axis=0))
    snr = np.where(E > 0, F / np.where(E > 0, E, 1), 0)
    good = snr[snr > 0]
    return {
        "snid": event.snid,
        "label": event.label,
        "label_name": "SNIa" if event.label == 1 else "Non-Ia",
        "redshift": np.nan if event.z is None else event.z,
        "redshift_err": np.nan if event.z_err is None else event.z_err,
        "total_flux": np.sum(F),
        "max_flux": np.max(F),
        "mean_flux": np.mean(F),
        "median_flux": np.median(F),
        "std_flux": np.std(F),
        "peak_flux_wavelength_idx": int(pw),
        "peak_flux_mjd_idx": int(pt),
        "peak_flux_wavelength": w[pw],
        "peak_flux_mjd": t[pt],
        "lc_max": np.max(LC),
        "lc_mean": np.mean(LC),
        "lc_peak_mjd_idx": pk,
        "lc_peak_mjd": t[pk],
        "flux_before_peak": np.sum(LC[:pk]),
        "flux_after_peak": np.sum(LC[pk:]),
        "rise_time_days": t[pk] - t[above[0]] if len(above) else np.nan,
        "decline_time_days": t[above[-1]] - t[pk] if len(above) else np.nan,
        "duration_days": t[above[-1]] - t[above[0]] if len(above) else np.nan,
        "spectrum_max": np.max(S),
        "spectrum_mean": np.mean(S),
        "spectrum_peak_wavelength_idx": int(np.argmax(S)),
        "spectrum_peak_wavelength": w[np.argmax(S)],
        "blue_flux": blue,
        "red_flux": red,
        "color_ratio": blue / red if red > 0 else np.nan,
        "snr_mean": np.mean(good) if len(good) else 0.0,
        "snr_median": np.median(good) if len(good) else 0.0,
        "snr_max": np.max(snr),
        "snr_peak": snr[pw, pt],
        "num_nonzero_bins": int(np.sum(F > 0)),
        "coverage_fraction": np.sum(F > 0) / F.size,
        "num_epochs_with_data": int(np.sum(np.any(F > 0, axis=0))),
        "temporal_coverage_fraction": np.sum(np.any(F > 0, axis=0)) / 180,
        "num_wavelengths_with_data": int(np.sum(np.any(F > 0, axis=1))),
        "spectral_coverage_fraction": np.sum(np.any(F > 0, axis=1)) / 32,
    }
