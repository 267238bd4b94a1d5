"""The reference of a package's Python interface: which modules a user imports from.

Sphinx's autodoc writes the text from the docstrings; this module only says what of.
"""

from __future__ import annotations

import ast
from pathlib import Path

from site_markdown import literal, table

__all__ = ["MODULES", "public_names", "render_python", "top_level_names"]

# The modules that users import from, in the order in which they meet them.
MODULES: dict[str, tuple[str, ...]] = {
    "astro_common": (
        "astro_common.fits",
        "astro_common.ecsv",
        "astro_common.parquet",
        "astro_common.arrow_fields",
        "astro_common.votable",
        "astro_common.jobs",
        "astro_common.atomic",
        "astro_common.provenance",
        "astro_common.jsonable",
        "astro_common.configuration",
        "astro_common.errors",
        "astro_common.command",
        "astro_common.figures",
    ),
    "astromodal_tokenizers": (
        "astromodal_tokenizers.xp",
        "astromodal_tokenizers.configuration",
        "astromodal_tokenizers.modalities",
        "astromodal_tokenizers.quantizers",
        "astromodal_tokenizers.encode",
        "astromodal_tokenizers.decode",
        "astromodal_tokenizers.vocabulary",
        "astromodal_tokenizers.split",
    ),
    "astromodal_transformer": (
        "astromodal_transformer.export",
        "astromodal_transformer.model",
        "astromodal_transformer.configuration",
        "astromodal_transformer.vocabulary",
        "astromodal_transformer.codebooks",
        "astromodal_transformer.layout",
        "astromodal_transformer.store",
        "astromodal_transformer.loss",
        "astromodal_transformer.predict",
        "astromodal_transformer.embed",
    ),
    "cfht_iqa": (
        "cfht_iqa.megacam",
        "cfht_iqa.extraction",
        "cfht_iqa.ldac",
        "cfht_iqa.catalogue",
        "cfht_iqa.som",
        "cfht_iqa.representatives",
        "cfht_iqa.quality",
        "cfht_iqa.exposure_quality",
        "cfht_iqa.reasons",
        "cfht_iqa.labels",
        "cfht_iqa.configuration",
        "cfht_iqa.model.prediction",
    ),
    "manga_ssftt": (
        "manga_ssftt.cubes",
        "manga_ssftt.maps",
        "manga_ssftt.bitmask",
        "manga_ssftt.diagnostics",
        "manga_ssftt.abundances",
        "manga_ssftt.extinction",
        "manga_ssftt.resample",
        "manga_ssftt.galaxy_file",
        "manga_ssftt.patches",
        "manga_ssftt.splits",
        "manga_ssftt.model",
    ),
    "scone_io": (
        "scone_io.shards",
        "scone_io.grid",
        "scone_io.example",
        "scone_io.tfrecord",
        "scone_io.labels",
        "scone_io.summary",
        "scone_io.index",
        "scone_io.light_curves",
        "scone_io.gaussian_process",
        "scone_io.heatmap",
        "scone_io.torch_data",
        "scone_io.tensorflow_data",
    ),
    "sdss_spectra": (
        "sdss_spectra.readers",
        "sdss_spectra.spectrum",
        "sdss_spectra.wavelength",
        "sdss_spectra.velocity",
        "sdss_spectra.preprocessing.extinction",
        "sdss_spectra.preprocessing.resample",
        "sdss_spectra.preprocessing.continuum",
        "sdss_spectra.preprocessing.steps",
        "sdss_spectra.lines",
        "sdss_spectra.linelist",
        "sdss_spectra.labels.label",
        "sdss_spectra.labels.catalogue",
        "sdss_spectra.metadata",
        "sdss_spectra.splits",
        "sdss_spectra.model.prediction",
    ),
    "splus_hypercube": (
        "splus_hypercube.configuration",
        "splus_hypercube.bands",
        "splus_hypercube.pipeline",
        "splus_hypercube.schema",
        "splus_hypercube.astrometry",
        "splus_hypercube.matching",
        "splus_hypercube.crossmatching",
        "splus_hypercube.cutouts",
        "splus_hypercube.surveys",
        "splus_hypercube.view.source",
        "splus_hypercube.view.plots",
        "splus_hypercube.truth",
    ),
}


def source_file(packages: Path, module: str) -> Path:
    """Return where a module's source is.

    Parameters
    ----------
    packages : Path
        The folder of all packages.
    module : str
        Full name.
    """
    top = module.partition(".")[0]
    path = packages / top.replace("_", "-") / "src" / Path(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def public_names(packages: Path, module: str) -> tuple[str, ...]:
    """Return ``__all__`` of a module without importing it; empty without one."""
    tree = ast.parse(source_file(packages, module).read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(_is_name(to, "__all__") for to in node.targets):
            return tuple(ast.literal_eval(node.value))
    return ()


def top_level_names(packages: Path, import_name: str) -> dict[str, str]:
    """Return where each name of ``import <package>`` is defined, by the name.

    The packages load their own modules when a name is asked for; which one, they say to the type
    checker alone.
    """
    tree = ast.parse(source_file(packages, import_name).read_text(encoding="utf-8"))
    origins: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(import_name):
            for alias in node.names:
                origins.setdefault(alias.asname or alias.name, f"{node.module}.{alias.name}")
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Name):
            for to in node.targets:
                if isinstance(to, ast.Name) and node.value.id in origins:
                    origins[to.id] = origins[node.value.id]
    names = [name for name in public_names(packages, import_name) if name != "__version__"]
    missing = [name for name in names if name not in origins]
    if missing:
        raise ValueError(f"{import_name}: no import says where {', '.join(missing)} come from")
    return {name: origins[name] for name in names}


def render_python(packages: Path, import_name: str) -> str:
    """Write the Python reference of a package as Markdown with autodoc's directives inside."""
    parts = []
    names = top_level_names(packages, import_name)
    if names:
        parts += ["Names that the package itself offers:", ""]
        rows = [
            (literal(f"{import_name}.{name}"), f"{{py:obj}}`{origin}`")
            for name, origin in names.items()
        ]
        parts += [table(("Name", "Defined as"), rows), ""]
    parts += ["The modules to import from, in the order in which one meets them.", ""]
    for module in MODULES[import_name]:
        if not public_names(packages, module):
            raise ValueError(f"{module}: no names in __all__")
        parts += [f"## {literal(module)}", ""]
        parts += ["```{eval-rst}", f".. automodule:: {module}", "   :members:", "```", ""]
    return "\n".join(parts)


def _is_name(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name
