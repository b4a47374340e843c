"""Draw formulas while the pages are built.

Sphinx leaves formulas to MathJax, which the reader's browser fetches from the network: without one,
the reader sees LaTeX. Here matplotlib draws them as SVG, inside the page.
"""

from __future__ import annotations

import io
import re
from typing import Any

from docutils import nodes
from sphinx.errors import SphinxError
from sphinx.util.math import get_node_equation_number

_FONT_SIZE = 13.0


def draw(latex: str) -> tuple[str, float]:
    """SVG of a formula in matplotlib's subset of LaTeX, and how far it reaches below the line."""
    import matplotlib as mpl
    from matplotlib import mathtext

    text = " ".join(latex.split())
    # Sizes of brackets that matplotlib does not know.
    plain = re.sub(r"\\[bB]ig+[lr]?(?![a-z])", "", text)
    buffer = io.BytesIO()
    settings = {
        "mathtext.fontset": "cm",
        "font.size": _FONT_SIZE,
        "svg.fonttype": "path",
        "svg.hashsalt": text,
    }
    try:
        with mpl.rc_context(settings):
            depth = mathtext.math_to_image(f"${plain}$", buffer, dpi=72, format="svg")
    except ValueError as error:
        raise SphinxError(f"matplotlib cannot draw the formula {text!r}: {error}") from error
    svg = buffer.getvalue().decode()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    # Drawn in black on white; here in the colour of the text, on whatever is behind it.
    svg = svg.replace("fill: #ffffff", "fill: none").replace("fill:#ffffff", "fill:none")
    return svg.replace("<svg ", f'<svg role="img" aria-label="{escape(text)}" ', 1), depth


def escape(text: str) -> str:
    """Make text fit for an attribute."""
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")


def visit_inline(self: Any, node: nodes.math) -> None:
    """Write a formula within a line."""
    svg, depth = draw(node.astext())
    self.body.append(f'<span class="formula" style="vertical-align: -{depth:.1f}pt">{svg}</span>')
    raise nodes.SkipNode


def visit_display(self: Any, node: nodes.math_block) -> None:
    """Write a formula of its own, with its number."""
    svg, _ = draw(node.astext())
    self.body.append(self.starttag(node, "div", CLASS="formula"))
    if node["number"]:
        self.body.append(f'<span class="eqno">({get_node_equation_number(self, node)})</span>')
    self.body.append(f"{svg}</div>\n")
    raise nodes.SkipNode


def setup(app: Any) -> dict[str, Any]:
    """Register as the renderer of formulas in HTML."""
    app.add_html_math_renderer("matplotlib", (visit_inline, None), (visit_display, None))
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
