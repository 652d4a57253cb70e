"""Check code, messages and pages for the phrases of `vocabulary.txt`.

`python tests/vocabulary.py` prints each place with what to write there and exits with 1 if
there is one.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LIST = Path(__file__).with_name('vocabulary.txt')
FOLDERS = ('mmkd_sod', 'configs', 'tools', 'tests', 'benchmarks', 'docs', '.github', '.ci')
SUFFIXES = ('.py', '.md', '.yml', '.yaml', '.sh', '.toml', '.cff')
# What may stand between two words of one sentence: a wrapped line of prose, a comment, a string.
_SPACE = r'(?:\s|#|\'|"|f(?=[\'"]))+'


def read_list(text: str) -> list[tuple[re.Pattern, str]]:
    """Return the expressions of a list and what to write instead.

    Raises:
        ValueError: A line has no alternative, or its expression is not valid.
    """
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith('#'):
            continue
        phrase, _, instead = line.partition('  ')
        if not instead.strip():
            raise ValueError(
                f'line {number} names no alternative; write it two spaces after {phrase!r}'
            )
        try:
            pattern = re.compile(rf'\b(?:{phrase})\b'.replace(' ', _SPACE), re.IGNORECASE)
        except re.error as error:
            raise ValueError(f'line {number}: {phrase!r} does not compile: {error}') from None
        found.append((pattern, instead.strip()))
    return found


def find(text: str, phrases: list[tuple[re.Pattern, str]]) -> list[tuple[int, str, str]]:
    """Return line number, phrase found and alternative of each use in a text."""
    return [
        (text.count('\n', 0, match.start()) + 1, ' '.join(match[0].split()), instead)
        for pattern, instead in phrases
        for match in pattern.finditer(text)
    ]


def files(root: Path = ROOT) -> list[Path]:
    """Return the text files of a checkout that are checked."""
    paths = [path for path in root.iterdir() if path.is_file()]
    paths += [path for folder in FOLDERS for path in (root / folder).rglob('*')]
    own = (Path(__file__), LIST, Path(__file__).with_name('test_vocabulary.py'))
    return sorted(path for path in paths if path.suffix in SUFFIXES and path not in own)


def main() -> int:
    """Print every use; return the exit code."""
    phrases = read_list(LIST.read_text(encoding='utf-8'))
    count = 0
    for path in files():
        for line, phrase, instead in find(path.read_text(encoding='utf-8'), phrases):
            print(f'{path.relative_to(ROOT)}:{line}: "{phrase}"; write: {instead}')
            count += 1
    return 1 if count else 0


if __name__ == '__main__':
    sys.exit(main())
