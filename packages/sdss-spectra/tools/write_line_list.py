# ruff: noqa: INP001
"""Write ``supplement/line_list.csv`` from the cited wavelengths."""

from __future__ import annotations

from pathlib import Path

from sdss_spectra.linelist import line_list_csv

if __name__ == "__main__":
    path = Path(__file__).parents[1] / "supplement" / "line_list.csv"
    path.write_text(line_list_csv(), encoding="utf-8")
    print(path)
