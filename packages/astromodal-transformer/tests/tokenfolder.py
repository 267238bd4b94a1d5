"""Small folders of tokens in the tokenizers' format, made from seeded random numbers."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import yaml
from safetensors.numpy import save

MISSING = 65_535
BINS, PIXEL_CODES, SCALE_CODES, IMAGE_CODES, TIME_CODES = 32, 24, 16, 20, 16
LEVELS, PATCH, BANDS, SIDE, RINGS = 4, 2, 3, 4, 2
COLUMNS = (
    ("mag_pstotal_r", "splus", "mag"),
    ("mag_pstotal_g", "splus", "mag"),
    ("gaia_parallax", "gaia", "mas"),
    ("gaia_teff_gspphot", "gaia", "K"),
    ("specz_z", "specz", ""),
)
SPECTRA = {"gaiaxp_bp": ("coefficients", 40), "desi_b": ("spectrum", 30)}
CURVE = "ztf_g"


def field_record(name, survey, unit="", kind="double", nested=False):
    metadata = {"survey": survey, "modality": "scalar"}
    if unit:
        metadata["unit"] = unit
    return {"name": name, "type": kind, "list": nested, "list_size": None, "metadata": metadata}


def column_values(random, count):
    """A temperature that shows in two magnitudes, a redshift that shows in one of them."""
    hidden = random.normal(size=count)
    redshift = np.abs(random.normal(0.2, 0.1, count))
    return hidden, {
        "mag_pstotal_r": 18.0 + random.normal(size=count),
        "mag_pstotal_g": 18.5 - 0.6 * hidden + 2.0 * redshift,
        "gaia_parallax": random.lognormal(0.0, 1.0, count),
        "gaia_teff_gspphot": 5500.0 + 600.0 * hidden,
        "specz_z": redshift,
    }


class TokenFolder:
    """A folder of tokens with its configuration.

    Parameters
    ----------
    root : Path
    families : tuple of str
        Which tokenizers were fitted.
    rows : int
        Sources of each field.
    """

    def __init__(self, root, *, families=("image", "scalar", "spectrum"), rows=120, seed=0):
        self.root = Path(root)
        self.tokens = self.root / "tokens"
        self.config = self.root / "run.yaml"
        self.run = self.root / "run"
        self.families = families
        self.rows = rows
        self.seed = seed
        self.fields = ("F1", "F2")
        self.arrays = {}
        self.blocks = []
        self.settings = {
            "tokens": "tokens",
            "output": "run",
            "seed": 3,
            "sequences": {"image_tokens": 9, "spectrum_tokens": 6, "light_curve_tokens": 5},
            "model": {
                "preset": "tiny",
                "layers": 2,
                "d_model": 32,
                "heads": 2,
                "feed_forward": 64,
            },
            "training": {
                "max_steps": 6,
                "schedule_steps": 20,
                "batch_size": 8,
                "checkpoint_every_steps": 2,
                "log_every_steps": 2,
                "validation_sources": 16,
                "accelerator": "cpu",
                "precision": "fp32",
            },
        }

    def write(self):
        self._codebooks()
        self._vocabulary()
        for number, field in enumerate(self.fields):
            self.write_field(field, number)
        self.write_config()
        return self

    def write_config(self, **changes):
        for key, value in changes.items():
            own = self.settings.get(key)
            self.settings[key] = {**own, **value} if isinstance(own, dict) else value
        self.config.parent.mkdir(parents=True, exist_ok=True)
        self.config.write_text(yaml.safe_dump(self.settings))
        return self.config

    # Codebooks

    def _codebooks(self):
        random = np.random.default_rng(self.seed)
        folder = self.tokens / "codebooks"
        folder.mkdir(parents=True, exist_ok=True)
        makers = {"image": self._image, "scalar": self._scalar, "spectrum": self._spectrum}
        self.checksums = {}
        for family in ("image", "scalar", "spectrum"):
            if family not in self.families:
                continue
            arrays, record = makers[family](random)
            record = {"schema_version": 1, "family": family, "synthetic": True, **record}
            content = save(arrays, metadata={"astromodal_tokenizers": json.dumps(record)})
            (folder / f"{family}.safetensors").write_bytes(content)
            self.checksums[family] = hashlib.sha256(content).hexdigest()
            self.arrays[family] = arrays

    def _bins(self, arrays, name, values, size):
        edges = np.quantile(values, np.linspace(0, 1, size + 1))[1:-1]
        codes = np.searchsorted(edges, values, side="right")
        means = np.array([values[codes == code].mean() for code in range(size)])
        arrays[f"{name}.edges"] = edges
        arrays[f"{name}.values"] = means
        spread = ((means - means.mean()) / means.std()).astype(np.float32)
        arrays[f"{name}.codebook"] = spread[:, None]

    def _scalar(self, random):
        arrays, columns = {}, []
        _, values = column_values(random, 4000)
        for name, survey, unit in COLUMNS:
            self._bins(arrays, name, values[name], BINS)
            columns.append({"field": field_record(name, survey, unit), "transform": {}})
            self.blocks.append((name, "scalar", "scalar", BINS))
        return arrays, {"columns": columns}

    def _spectrum(self, random):
        arrays, groups = {}, []
        for name in (*SPECTRA, CURVE):
            curve = name == CURVE
            kind, length = ("light_curve", None) if curve else SPECTRA[name]
            levels = 1 if curve else LEVELS
            arrays[f"{name}.codebook"] = random.normal(size=(PIXEL_CODES, 2 * PATCH)).astype("f4")
            self._bins(arrays, f"{name}_noise", random.normal(size=4000), SCALE_CODES)
            self._bins(arrays, f"{name}_level", 20.0 + random.normal(size=4000), SCALE_CODES)
            bins = {"noise": {}, "level": {}}
            self.blocks.append((name, kind, "spectrum", PIXEL_CODES))
            self.blocks.append((f"{name}_noise", "scale", "spectrum", SCALE_CODES))
            self.blocks.append((f"{name}_level", "scale", "spectrum", SCALE_CODES))
            roles = {"flux": [f"{name}_flux"], "ivar": [f"{name}_ivar"]}
            if curve:
                roles = {"value": ["ztf_mag_g"], "time": ["ztf_hmjd_g"]}
                self._bins(arrays, f"{name}_time", random.uniform(58000, 59000, 4000), TIME_CODES)
                bins["time"] = {}
                self.blocks.append((f"{name}_time", "time", "spectrum", TIME_CODES))
            if kind == "spectrum":
                arrays[f"{name}.wavelength"] = 3600.0 + 0.8 * np.arange(length)
            groups.append(
                {
                    "name": name,
                    "kind": kind,
                    "columns": roles,
                    "fields": {
                        role: field_record(names[0], name.split("_")[0], "mag" if curve else "adu")
                        for role, names in roles.items()
                    },
                    "length": length,
                    "patch": PATCH,
                    "levels": levels,
                    "bins": bins,
                    "xp": {"representation": "sampled", "start": 0.0, "stop": 60.0, "samples": 40},
                }
            )
        return arrays, {"groups": groups}

    def _image(self, random):
        width = 4
        arrays = {
            "image.codebook": random.normal(size=(IMAGE_CODES, 2)).astype("f4"),
            "noise": np.full(BANDS, 0.1),
        }
        self._bins(arrays, "image_flux", random.lognormal(2.0, 1.0, 4000), SCALE_CODES)

        def convolution(name, inside, outside, size):
            kernel = random.normal(size=(outside, inside, size, size)) / np.sqrt(inside * size**2)
            arrays[f"network.decoder.{name}.weight"] = kernel.astype("f4")
            arrays[f"network.decoder.{name}.bias"] = np.zeros(outside, "f4")

        def block(name, channels):
            for norm in ("0", "3"):
                arrays[f"network.decoder.{name}.layers.{norm}.weight"] = np.ones(channels, "f4")
                arrays[f"network.decoder.{name}.layers.{norm}.bias"] = np.zeros(channels, "f4")
            for layer in ("2", "5"):
                convolution(f"{name}.layers.{layer}", channels, channels, 3)

        convolution("0", 2, 2 * width, 1)
        block("1", 2 * width)
        convolution("3", 2 * width, 2 * width, 3)
        block("4", 2 * width)
        convolution("6", 2 * width, width, 3)
        block("7", width)
        convolution("8", width, BANDS, 1)
        names = [f"splus_cut_{band}" for band in "RGU"]
        self.blocks.append(("image", "image", "image", IMAGE_CODES))
        self.blocks.append(("image_flux", "scale", "image", SCALE_CODES))
        record = {
            "bands": [field_record(name, "splus", "adu/s", "float", True) for name in names],
            "size_px": 4 * SIDE,
            "radii_px": [2.0, 4.0],
        }
        return arrays, record

    def _vocabulary(self):
        specials = {"PAD": 0, "BOS": 1, "EOS": 2, "SEP": 3, "MISSING": 4, "MASK": 5}
        blocks, offset = [], len(specials)
        for name, kind, family, size in self.blocks:
            blocks.append(
                {
                    "name": name,
                    "kind": kind,
                    "family": family,
                    "offset": offset,
                    "size": size,
                    "codebook": f"{name}.codebook",
                    "codebook_sha256": self.checksums[family],
                }
            )
            offset += size
        self.vocabulary = {
            "schema_version": 1,
            "size": offset,
            "specials": specials,
            "missing": MISSING,
            "blocks": blocks,
            "split": {"names": ["train", "validation", "test"]},
        }
        path = self.tokens / "vocabulary.json"
        path.write_text(json.dumps(self.vocabulary, indent=2))

    # Tokens

    def write_field(self, field, number, *, families=None):
        random = np.random.default_rng([self.seed, number])
        rows = self.rows
        hidden, values = column_values(random, rows)
        ids = [f"iDR6_{field}_{row:05d}" for row in range(rows)]
        split = random.choice([0, 0, 0, 0, 1, 2], rows).astype(np.uint8)
        parts = {"scalar": {}, "image": {}, "spectrum": {}}
        if "scalar" in self.families:
            tokens = np.empty((rows, len(COLUMNS)), np.uint16)
            for place, (name, *_) in enumerate(COLUMNS):
                edges = self.arrays["scalar"][f"{name}.edges"]
                tokens[:, place] = np.searchsorted(edges, values[name], side="right")
            tokens[random.random(tokens.shape) < 0.1] = MISSING
            parts["scalar"]["tokens"] = tokens
        signal = np.clip((hidden + 2.5) / 5.0, 0.0, 0.999)
        for name, (_, length) in SPECTRA.items():
            absent = random.random(rows) < 0.3
            count = length // PATCH
            noisy = np.clip(signal[:, None] + 0.05 * random.normal(size=(rows, count)), 0, 0.999)
            pixels = (noisy * PIXEL_CODES).astype(np.uint16)
            scale = (np.repeat(signal[:, None], 1 + LEVELS, 1) * SCALE_CODES).astype(np.uint16)
            pixels[absent], scale[absent] = MISSING, MISSING
            parts["spectrum"][f"scale_{name}"] = scale
            parts["spectrum"][f"tokens_{name}"] = pixels
        lengths = random.integers(0, 9, rows)
        scale = random.integers(0, SCALE_CODES, (rows, 2)).astype(np.uint16)
        scale[lengths == 0] = MISSING
        parts["spectrum"][f"scale_{CURVE}"] = scale
        total = int(lengths.sum())
        parts["spectrum"][f"tokens_{CURVE}"] = (
            lengths, random.integers(0, PIXEL_CODES, total).astype(np.uint16)
        )  # fmt: skip
        parts["spectrum"][f"time_{CURVE}"] = (
            lengths, random.integers(0, TIME_CODES, total).astype(np.uint16)
        )  # fmt: skip
        image = np.repeat((signal * IMAGE_CODES).astype(np.uint16)[:, None], SIDE**2, 1)
        image[::7] = MISSING
        parts["image"]["tokens"] = image
        flux = np.repeat((signal * SCALE_CODES).astype(np.uint16)[:, None], BANDS * RINGS, 1)
        parts["image"]["scale"] = flux
        for family in families or self.families:
            self._write_shard(family, field, ids, split, parts[family])

    def shard(self, family, field="F1"):
        return self.tokens / "store" / family / f"datacube_{field}.arrow"

    def _write_shard(self, family, field, ids, split, parts):
        header = {
            "schema_version": 1,
            "field": field,
            "family": family,
            "synthetic": True,
            "codebook_sha256": self.checksums[family],
            "missing": MISSING,
        }
        path = self.shard(family, field)
        path.parent.mkdir(parents=True, exist_ok=True)
        writer, step = None, 50
        for start in range(0, len(ids), step):
            rows = slice(start, min(start + step, len(ids)))
            columns = {
                "id": pa.array(ids[rows]),
                "row_index": pa.array(np.arange(rows.start, rows.stop)),
                "split": pa.array(split[rows]),
            }
            for name, value in parts.items():
                if isinstance(value, tuple):
                    ends = np.concatenate([[0], np.cumsum(value[0])])
                    offsets = (ends[rows.start : rows.stop + 1] - ends[rows.start]).astype(np.int32)
                    own = value[1][ends[rows.start] : ends[rows.stop]]
                    columns[name] = pa.ListArray.from_arrays(pa.array(offsets), pa.array(own))
                else:
                    flat = pa.array(value[rows].reshape(-1))
                    columns[name] = pa.FixedSizeListArray.from_arrays(flat, value.shape[1])
            batch = pa.RecordBatch.from_arrays(list(columns.values()), list(columns))
            if writer is None:
                metadata = {"astromodal_tokenizers": json.dumps(header)}
                sink = pa.OSFile(str(path), "wb")
                writer = pa.ipc.new_file(sink, batch.schema.with_metadata(metadata))
            writer.write_batch(batch)
        writer.close()
        sink.close()

    # Reading back

    def open(self, **settings):
        from astromodal_transformer.configuration import load_configuration
        from astromodal_transformer.project import Project

        if settings:
            self.write_config(**settings)
        return Project.open(load_configuration(self.config))

    def checkpoint(self, name="best"):
        return self.run / "checkpoints" / name
