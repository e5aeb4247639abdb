"""Makes pages of the site from Markdown that lies elsewhere in the repository, and keeps the links to it alive.

Links are written as they work in the repository (`../presets/babe2_presets/piano/CARD.md`); here each becomes one to
the page that the file becomes. A link that leads to no page is left alone, so that `mkdocs build --strict` fails on it.
"""

import logging
import posixpath
import re
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[1]
PAGES = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md",
         "SECURITY.md": "security.md", "LICENSE": "license.md", "examples/README.md": "examples.md",
         "babe2_fx/beyond/README.md": "beyond.md"}
PAGES |= {card.relative_to(ROOT).as_posix(): f"presets/{card.parent.name}.md"
          for card in ROOT.glob("presets/babe2_presets/*/CARD.md")}
SOURCES = {page: source for source, page in PAGES.items()}
LINK = re.compile(r"(?<=\]\()([^)\s#:]+)")  # the path of a Markdown link that is neither an address nor an anchor
REMOTE = re.compile(r'<(?:script|img|link)\b[^>]*\b(?:src|href)="(https?://[^"]+)"')

log = logging.getLogger("mkdocs.hooks")


def on_files(files, config):
    for source, page in PAGES.items():
        if source == "LICENSE":
            text = (ROOT / source).read_text(encoding="utf-8")
            files.append(File.generated(config, page, content=f"# Licence\n\n```text\n{text}```\n"))
        else:
            files.append(File.generated(config, page, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown, page, config, files):
    here = page.file.src_uri
    folder = posixpath.dirname(SOURCES.get(here, f"docs/{here}"))

    def to_page(match: re.Match) -> str:
        path = posixpath.normpath(posixpath.join(folder, match[0]))
        if (ROOT / path).is_dir():
            path += "/README.md"
        target = PAGES.get(path, path.removeprefix("docs/") if path.startswith("docs/") else None)
        return posixpath.relpath(target, posixpath.dirname(here) or ".") if target else match[0]

    markdown = re.sub(r" +# doctest: .*", "", markdown)
    markdown = re.sub(r"`[^`\n]+`", lambda code: code[0].replace(r"\|", "|"), markdown)  # escaped for other renderers
    return LINK.sub(to_page, markdown)


def on_post_page(output, page, config):
    for address in REMOTE.findall(output):
        log.warning("%s loads %s; the site is to work without a network.", page.file.src_uri, address)
    return output
