"""Counts of the long tests of safety, and the tables of the documentation that show them.

``MMKD_RECORD=tests/data/safety.json`` lets the tests of `tests/test_doors.py`, `tests/test_fuzz`
and `tests/test_kills.py` write what they count to that file. ``python -m tests.outcomes`` then
writes the tables anew.
"""

import json
import os
import re
from pathlib import Path

from mmkd_sod.utils.locks import exclusive

ROOT = Path(__file__).resolve().parents[1]
RECORDED = ROOT / 'tests' / 'data' / 'safety.json'
SWITCH = 'MMKD_RECORD'

# Columns of the table of attacks, by the names in tests/test_doors.py.
ATTACKS = {
    'config_text': 'config text in `meta`',
    'hub_config': 'config text in the message hub',
    'best_folder': '`best_ckpt` a folder',
    'best_file': '`best_ckpt` a file outside',
    'best_named': '`best_ckpt_score` a folder',
    'rotation': '`keep_ckpt_ids` outside',
    'reduce': 'pickle that calls code',
    'getattr': 'pickle that calls `getattr`',
    'object_array': 'array of objects',
}
KILLED = dict(
    training='training (CSKD, 20 epochs)',
    export='`tools/export_student.py`',
    ship='`ship`',
    ship_force='`ship --force` into a folder with files of the user',
    labels='weak labels (24 images)',
    downloads='download (400 kB)',
)


def record(section: str, name: str, counts: dict) -> None:
    """Add counts to the recorded ones, if the environment asks for it.

    Args:
        section (str): ``'doors'``, ``'fuzz'`` or ``'kills'``.
        name (str): The row; counts that it has already are kept or replaced.
        counts (dict): Counts or outcomes by name.
    """
    if not os.environ.get(SWITCH):
        return
    path = ROOT / os.environ[SWITCH]
    with exclusive(path.with_suffix('.lock')):
        found = json.loads(path.read_text()) if path.is_file() else {}
        found.setdefault(section, {}).setdefault(name, {}).update(counts)
        path.write_text(json.dumps(found, indent=1, sort_keys=True) + '\n')


def _table(head: list, rows: list[list]) -> str:
    lines = [head, ['---'] * len(head), *rows]
    return ''.join('| ' + ' | '.join(map(str, line)) + ' |\n' for line in lines)


def tables() -> dict[Path, list[str]]:
    """Return the tables of each page."""
    found = json.loads(RECORDED.read_text())
    doors = [
        [f'`{door}`', *(row.get(attack, 'not run') for attack in ATTACKS)]
        for door, row in found['doors'].items()
    ]
    fuzz = [
        [kind, sum(row.values()), row['ok'], row['refused']] for kind, row in found['fuzz'].items()
    ]
    fuzz.append(['all', *(sum(row[i] for row in fuzz) for i in (1, 2, 3))])
    kills = [
        [title, found['kills'][name]['kills'], found['kills'][name]['results']]
        for name, title in KILLED.items()
    ]
    return {
        ROOT / 'docs' / 'security.md': [
            _table(['opened by', *ATTACKS.values()], doors),
            _table(['kind of file', 'mutants', 'read', 'refused'], fuzz),
        ],
        ROOT / 'docs' / 'reliability.md': [_table(['work', 'kills', 'results, all equal'], kills)],
    }


def main() -> None:
    """Replace the tables of the documentation, which are found by their head lines."""
    for page, wanted in tables().items():
        text = page.read_text(encoding='utf-8')
        for table in wanted:
            head = re.escape(table.partition('\n')[0])
            text, count = re.subn(rf'{head}\n(?:\|.*\n)*', lambda _, new=table: new, text)
            assert count == 1, f'{page.name}: {count} tables begin with {head}'
        page.write_text(text, encoding='utf-8')


if __name__ == '__main__':
    main()
