"""``python -m mmkd_sod compat``."""

import json

from mmkd_sod import compat
from mmkd_sod.__main__ import main


def test_every_entry_is_listed_with_its_package_state_and_reason(capsys):
    main(['compat'])
    lines = capsys.readouterr().out.splitlines()
    for entry, line in zip(compat.ENTRIES, lines, strict=False):
        assert line.split()[0] == entry.name
        assert entry.why in line if ' active ' in line else 'is not installed' in line
    assert 'MMKD_COMPAT_OFF=name' in lines[-1]


def test_the_list_as_json(capsys):
    main(['compat', '--json'])
    found = json.loads(capsys.readouterr().out)
    assert [row['name'] for row in found] == [entry.name for entry in compat.ENTRIES]
    assert all(row['why'] and row['until'] and row['reason'] for row in found)
