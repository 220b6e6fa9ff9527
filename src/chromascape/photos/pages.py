"""HTML pages that open offline: one shared style, everything in one file."""

import base64
import io
from pathlib import Path
from typing import Any

import jinja2
from PIL import Image


def render_page(template: Path, **values: Any) -> str:
    """A page as HTML, from a Jinja template that uses `values`, escaped, and the shared `style`."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(template.parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = Path(__file__).with_name("style.css").read_text(encoding="utf-8")
    return environment.get_template(template.name).render(style=style, **values)


def data_uri(picture: Image.Image, quality: int = 88) -> str:
    """An RGB picture as a data URI with a JPEG."""
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=quality)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode("ascii")
