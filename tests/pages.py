"""The pages of the documentation as tests read them: code blocks, commands, links."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.M | re.S)
INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
LINK = re.compile(r"\[[^\]\n]+\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} (.+)$", re.M)


@dataclass(frozen=True)
class Page:
    """One page. `name`: its path in the repository."""

    path: Path

    @property
    def name(self) -> str:
        return str(self.path.relative_to(ROOT))

    @property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @property
    def prose(self) -> str:
        """The text without its code blocks."""
        return BLOCK.sub("", self.text)

    def commands(self) -> Iterator[list[str]]:
        """The words of each command in the page's bash blocks; continued lines are one command."""
        for language, block in BLOCK.findall(self.text):
            if language == "bash":
                yield from commands_in(block)

    def named_commands(self, program: str) -> Iterator[str]:
        """Inline code that begins with a program's name."""
        return (code for code in INLINE.findall(self.prose) if code.split()[0] == program)

    def links(self) -> list[str]:
        """The targets of its links that stay in the repository."""
        return [link for link in LINK.findall(self.prose) if not re.match(r"[a-z]+:", link)]

    def anchors(self) -> set[str]:
        """The anchors that its headings make, as GitHub makes them."""
        return {anchor_of(heading) for heading in HEADING.findall(self.prose)}


def pages() -> list[Page]:
    """Every page."""
    return [Page(path) for path in PAGES]


def page(name: str) -> Page:
    """One page by its path."""
    return Page(ROOT / name)


def commands_in(block: str) -> Iterator[list[str]]:
    """The words of each command of a block, without comments."""
    for line in block.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if words:
            yield words


def anchor_of(heading: str) -> str:
    """A heading as GitHub's anchor."""
    kept = re.sub(r"[^\w\- ]", "", heading.strip().lower())
    return kept.replace(" ", "-")
