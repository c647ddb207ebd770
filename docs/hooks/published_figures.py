"""The published figures as files of the site. The pages name them where they lie in a clone, under results/."""

import posixpath
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

FOLDER = "results/h100/figures"


def on_files(files: Files, config: Any) -> Files:
    root = Path(config.config_file_path).parent
    for path in sorted((root / FOLDER).glob("*.svg")):
        files.append(File(f"{FOLDER}/{path.name}", str(root), config.site_dir, config.use_directory_urls))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """A page of docs/ is one folder deeper in the project than in the site."""
    up = posixpath.relpath(".", posixpath.dirname(f"docs/{page.file.src_uri}"))
    here = posixpath.relpath(".", posixpath.dirname(page.file.src_uri) or ".")
    return markdown.replace(f"]({up}/{FOLDER}/", f"]({here}/{FOLDER}/")
