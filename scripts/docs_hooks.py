"""Hooks of MkDocs: the README as home page, Mermaid diagrams as inline SVG, and anchors as GitHub makes them.

The pages in docs/ are written for GitHub and for the site alike; these hooks handle the differences.
`mkdocs.yml` names this module.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import mmdr
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
# Pages at the root of the repository, and their names on the site.
ROOT_PAGES = {"README.md": "index.md", "CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md"}
ROOT_PAGES |= {"SECURITY.md": "security.md", "LICENSE": "license.md"}
DIAGRAM_CONFIG = '%%{init: {"theme": "neutral", "fontFamily": "arial, sans-serif"}}%%\n'
LINK = re.compile(r"(\]\()([^)\s#:]+)(#[^)\s]*)?(\))")


def anchor(heading: str, separator: str) -> str:
    """A heading's anchor, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", separator)


def diagram(source: str, *_args: Any, **_kwargs: Any) -> str:
    """A Mermaid diagram as SVG inside the page, so that a browser needs neither a script nor the network."""
    names = re.findall(r"^ *accTitle: *(.+)$", source, re.M)
    svg = mmdr.render(DIAGRAM_CONFIG + source).svg()
    label = f' aria-label="{names[0]}"' if names else ""
    return f'<figure class="diagram"{label}>{svg}</figure>'


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """What YAML cannot hold: the functions for diagrams and anchors, and a list of all decisions."""
    fence = {"name": "mermaid", "class": "diagram", "format": diagram}
    config.mdx_configs.setdefault("pymdownx.superfences", {})["custom_fences"] = [fence]
    config.mdx_configs.setdefault("toc", {})["slugify"] = anchor
    understand = next(section["Understand"] for section in config.nav or [] if "Understand" in section)
    decisions = next(entry["Decisions"] for entry in understand if "Decisions" in entry)
    decisions += sorted(f"decisions/{path.name}" for path in (ROOT / "docs/decisions").glob("[0-9]*.md"))
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """The pages at the root of the repository become pages of the site."""
    for source, target in ROOT_PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        content = text if source.endswith(".md") else f"# License\n\n```text\n{text}```\n"
        files.append(File.generated(config, target, content=content))
    return files


def on_page_markdown(markdown: str, *, page: Any, config: MkDocsConfig, files: Files) -> str:
    """Links between docs/ and the root lead to the pages of the site."""
    at_root = page.file.src_uri in ROOT_PAGES.values()

    def target(match: re.Match[str]) -> str:
        path, fragment = match[2], match[3] or ""
        if at_root:
            path = ROOT_PAGES.get(path, path).removeprefix("docs/")
        else:
            name = path.rpartition("../")[2]
            path = path.replace(name, ROOT_PAGES[name]).removeprefix("../") if name in ROOT_PAGES else path
        return f"{match[1]}{path}{fragment}{match[4]}"

    return LINK.sub(target, markdown)
