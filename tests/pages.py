"""The pages of the documentation, taken apart: blocks, commands, links, headings.

HTML comments say what a reader need not see:

- ``<!-- parse only: REASON -->`` before a block: its commands are checked, not run; with a command
  in backquotes behind ``only``, those lines alone;
- ``<!-- over CONFIG -->`` before a block: its assignments override that config; one of a name that
  was there already begins anew;
- ``<!-- needs PAGE -->``: what the page's commands read is written by those of another page.

A Python block whose first line is ``# path/name.py`` is that file.
"""

import ast
import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import ROOT

PAGES = [
    *sorted(ROOT.glob('*.md')),
    *sorted((ROOT / 'docs').rglob('*.md')),
    *sorted((ROOT / 'configs').glob('*/README.md')),
]
LANGUAGES = ('bash', 'python', 'text')
_COMMENT = re.compile(r'<!-- (parse only|over|needs) ?(?:`([^`]*)`)?:? ?(.*?) -->')


def title(page: Path) -> str:
    """A page's path below the checkout."""
    return os.path.relpath(page, ROOT)


@dataclass
class Command:
    """One command line, continuation lines joined.

    Attributes:
        text (str): As a shell gets it.
        argv (list[str]): Words, without comments and without variables set in front.
        reason (str): Why it is not run; empty where it is.
    """

    text: str
    argv: list
    reason: str = ''


@dataclass
class Block:
    """A fenced block; ``line`` is where its text begins, from 1."""

    page: Path
    line: int
    language: str
    text: str
    reason: str = ''
    unrun: str = ''
    over: str = ''

    def __str__(self) -> str:
        return f'{title(self.page)}:{self.line}'

    @property
    def path(self) -> str:
        """The file that a Python block is; empty where it is none."""
        found = re.match(r'# (\S+\.py)\n', self.text)
        return found.group(1) if self.language == 'python' and found else ''

    @property
    def is_script(self) -> bool:
        """Whether a Python block is code that imports, not settings."""
        return any(
            isinstance(node, (ast.Import, ast.ImportFrom)) for node in ast.parse(self.text).body
        )

    @property
    def commands(self) -> list:
        """Commands of a bash block."""
        found = []
        for line in self.text.replace('\\\n', ' ').splitlines():
            words = shlex.split(line, comments=True)
            while words and re.match(r'[A-Z_]+=(?!\$)', words[0]):
                words.pop(0)
            if words:
                reason = self.reason if line.startswith(self.unrun) else ''
                found.append(Command(line, words, reason))
        return found


def blocks(page: Path) -> list:
    """All fenced blocks of a page."""
    found, comments, block = [], {}, None
    for number, line in enumerate(page.read_text(encoding='utf-8').splitlines(), 1):
        if block is not None:
            if line.strip() == '```':
                found.append(block)
                block = None
            else:
                block.text += line + '\n'
        elif line.startswith('```'):
            reason, unrun = comments.pop('parse only', ('', ''))
            block = Block(
                page, number + 1, line[3:], '', reason, unrun, comments.pop('over', ('', ''))[0]
            )
            comments = {}
        elif comment := _COMMENT.fullmatch(line):
            comments[comment.group(1)] = (comment.group(3), comment.group(2) or '')
        elif line:
            comments = {}
    if block is not None:
        raise ValueError(f'{block}: a fence that is not closed')
    return found


def needs(page: Path) -> list:
    """Pages whose commands have to be run before."""
    text = page.read_text(encoding='utf-8')
    return [page.parent / found for found in re.findall(r'<!-- needs (\S+) -->', text)]


def prose(page: Path) -> list:
    """Numbered lines outside of fences."""
    found, fenced = [], False
    for number, line in enumerate(page.read_text(encoding='utf-8').splitlines(), 1):
        if line.startswith('```'):
            fenced = not fenced
        elif not fenced:
            found.append((number, line))
    return found


def links(page: Path) -> list:
    """Targets of links and pictures."""
    text = '\n'.join(line for _, line in prose(page))
    return re.findall(r'\]\(([^)\s]+)\)', re.sub(r'`[^`\n]*`', '', text))


def anchors(page: Path) -> set:
    """Anchors of the headings that MkDocs and GitHub both give."""
    found = set()
    for _, line in prose(page):
        if line.startswith('#'):
            words = re.sub(r'[^\w\s-]', '', line.lstrip('#').strip()).lower()
            slugs = {re.sub(r'[-\s]+', '-', words), words.replace(' ', '-')}
            if len(slugs) == 1:
                found |= slugs
    return found


ALL_BLOCKS = [block for page in PAGES for block in blocks(page)]
