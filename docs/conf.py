"""Sphinx configuration of the site."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sphinx.addnodes import pending_xref

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))

import scale_costs  # noqa: E402
from benchmark_report import read_results, render  # noqa: E402
from site_pages import fill, is_filled  # noqa: E402

if TYPE_CHECKING:
    from docutils.nodes import document
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

project = "From surveys to machine learning"
author = "the authors"
copyright = "2026, the authors"  # noqa: A001
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = project
html_static_path = ["_static"]
html_css_files = ["site.css"]
exclude_patterns = ["benchmarks/results/*"]
# A reference that leads nowhere is a warning, and warnings are errors.
nitpicky = True
# Types in docstrings are written for people ("ndarray of float64, shape (n,)"), not as links.
nitpick_ignore_regex = [("py:.*", ".*")]

autodoc_typehints = "none"
autodoc_member_order = "bysource"
# They take many seconds to import, and no docstring of ours comes from them.
autodoc_mock_imports = ["keras", "lightning", "tensorflow", "torch"]
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
napoleon_custom_sections = ["Sources"]

# Pages that are made of the recorded benchmarks: the line that stands for the text, and its writer.
MEASURED = {
    "benchmarks/index": ("<!-- recorded results -->", render),
    "scale": ("<!-- computed costs -->", scale_costs.render),
}


def insert_measured(app: Sphinx, docname: str, source: list[str]) -> None:
    """Put what follows from the recorded benchmark results where a page has its mark."""
    if docname not in MEASURED:
        return
    mark, writer = MEASURED[docname]
    if mark not in source[0]:
        raise ValueError(f"{docname}: no line {mark}")
    results = read_results(ROOT / "docs" / "benchmarks" / "results")
    source[0] = source[0].replace(mark, writer(results))


def insert_generated(app: Sphinx, docname: str, source: list[str]) -> None:
    """Put references, tables of columns and figures where a page asks for them."""
    source[0] = fill(ROOT, source[0])


def escape_bars(
    app: Sphinx, kind: str, name: str, thing: object, options: Any, lines: list[str]
) -> None:
    """Keep bars in docstrings as they are: there they stand for absolute values."""
    for number, line in enumerate(lines):
        parts = re.split(r"(``.*?``)", line)
        lines[number] = "".join(
            part if part.startswith("``") else part.replace("|", "\\|") for part in parts
        )


def skip_settings(
    app: Sphinx, kind: str, name: str, thing: object, skip: bool, options: Any
) -> bool | None:
    """Leave out what pydantic adds to every model of a configuration."""
    return True if name == "model_config" else None


def unlink_words(app: Sphinx, doctree: document) -> None:
    """Leave single words in the types of docstrings unlinked: many packages have a `shape`."""
    for node in list(doctree.findall(pending_xref)):
        if node.get("refdomain") == "py" and "." not in str(node["reftarget"]):
            node.replace_self(node.children)


def always_rebuild(app: Sphinx, env: BuildEnvironment, *changes: set[str]) -> list[str]:
    """Name the pages whose sources do not show that what is put into them has changed."""
    texts = {name: Path(env.doc2path(name)) for name in env.found_docs}
    generated = [
        name for name, path in texts.items() if is_filled(path.read_text(encoding="utf-8"))
    ]
    return sorted({*MEASURED, *generated})


def setup(app: Sphinx) -> dict[str, bool]:
    """Register what is put into the pages."""
    app.connect("source-read", insert_measured)
    app.connect("source-read", insert_generated)
    app.connect("autodoc-process-docstring", escape_bars)
    app.connect("autodoc-skip-member", skip_settings)
    app.connect("doctree-read", unlink_words)
    app.connect("env-get-outdated", always_rebuild)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
