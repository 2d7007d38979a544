"""What the documentation site does to pages: files of the repository are part of it.

Pages link to files beside `docs/`, as in `[rules](../CONTRIBUTING.md)`, which works
where the repository is read. The site has a page for each such file, so that it works
there too. What fences say to the tests is no part of the site, but for names of files.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
FOLDER = "repository"
"""Where in the site the files of the repository lie."""

LINK = re.compile(r"\]\((?P<path>[^)\s#:]+)(?P<anchor>#[^)\s]*)?\)")
FENCE = re.compile(r"^```(?P<language>\w+) (?:file=(?P<file>\S+)|\w+)$", re.MULTILINE)
LANGUAGES = {".py": "python", ".mlir": "text", ".toml": "toml"}


def on_files(files: Any, config: Any) -> Any:
    """Add a page for each file that a page links to, and for those that these do."""
    from mkdocs.structure.files import File

    waiting = [file.src_uri for file in files.documentation_pages()]
    while waiting:
        page = waiting.pop()
        for path in _outside(_text_of(page, files), page):
            uri = _uri_of(path)
            if files.get_file_from_path(uri) is None:
                content = _as_page(path)
                files.append(File.generated(config, uri, content=content))
                waiting.append(uri)
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Let links to files of the repository lead to their pages, and mend fences."""
    own = page.file.src_uri

    def moved(match: re.Match[str]) -> str:
        path = _target(match["path"], own)
        if path is None:
            return match[0]
        uri = os.path.relpath(_uri_of(path), Path(own).parent)
        return f"]({Path(uri).as_posix()}{match['anchor'] or ''})"

    return FENCE.sub(_as_fence, LINK.sub(moved, markdown))


def _as_fence(match: re.Match[str]) -> str:
    title = f' title="{match["file"]}"' if match["file"] else ""
    return f"```{match['language']}{title}"


def _text_of(uri: str, files: Any) -> str:
    return files.get_file_from_path(uri).content_string


def _outside(text: str, page: str) -> list[Path]:
    found = (_target(match["path"], page) for match in LINK.finditer(text))
    return [path for path in found if path is not None]


def _target(link: str, page: str) -> Path | None:
    """Return the file outside of `docs/` that a link of a page means, or None."""
    path = (_source_of(page).parent / link).resolve()
    if not path.is_relative_to(ROOT) or not path.exists():
        return None
    if path.is_relative_to(ROOT / "docs"):
        return path if page.startswith(FOLDER) else None
    return path


def _source_of(page: str) -> Path:
    """Return the file that a page of the site is made of."""
    if not page.startswith(FOLDER):
        return ROOT / "docs" / page
    path = ROOT / page.removeprefix(f"{FOLDER}/")
    return path if path.exists() else path.with_suffix("")


def _uri_of(path: Path) -> str:
    if path.is_relative_to(ROOT / "docs"):
        return path.relative_to(ROOT / "docs").as_posix()
    own = f"{FOLDER}/{path.relative_to(ROOT).as_posix()}"
    return own if path.suffix == ".md" else f"{own}.md"


def _as_page(path: Path) -> str:
    """Return a file as a page: source as a block, a folder as a list of its files."""
    if path.suffix == ".md":
        return path.read_text()
    name = path.relative_to(ROOT).as_posix()
    if path.is_dir():
        inside = sorted(p for p in path.iterdir() if p.suffix in LANGUAGES)
        return f"# {name}\n\n" + "\n".join(
            f"- [{one.name}]({path.name}/{one.name})" for one in inside
        )
    language = LANGUAGES.get(path.suffix, "text")
    return f"# {name}\n\n````{language}\n{path.read_text()}\n````\n"
