"""Dumped configs are read as data."""

import pytest
from mmengine.config import Config

from mmkd_sod.errors import DataError
from mmkd_sod.report.dumped_config import read_dumped_config

PLAIN = dict(
    model=dict(type='A', depth=-1.5, names=['a', ('b',)], empty=[], none=None),
    custom_keys={'a.b': dict(lr_mult=0.1), 'norm': dict(decay_mult=0)},
    data_root='Ünïcode "quoted" \\ \n',
    default_scope='mmdet',
)


def test_what_mmengine_dumps_is_read(tmp_path):
    Config(PLAIN).dump(tmp_path / 'config.py')
    read = read_dumped_config(tmp_path / 'config.py')
    assert read._cfg_dict.to_dict() == PLAIN and read.model.type == 'A'
    assert read.filename == str(tmp_path / 'config.py')
    (tmp_path / 'config.py').write_text("a = dict({'b.c': 1}, d=-inf)")
    assert read_dumped_config(tmp_path / 'config.py').a == {'b.c': 1, 'd': float('-inf')}


@pytest.mark.parametrize(
    'text',
    [
        'import os',
        'open({mark!r}, "w")',
        'a = open({mark!r}, "w")',
        'a = [open({mark!r}, "w")]',
        'a = dict(b=open({mark!r}, "w"))',
        'a = dict(*[open({mark!r}, "w")])',
        'a = dict(**open({mark!r}, "w"))',
        'a = {{open({mark!r}, "w"): 1}}',
        'a = f"{{open({mark!r}, chr(119))}}"',
        'a: open({mark!r}, "w") = 1',
        'a.b = 1',
        'a = b',
        'a = 9 ** 9 ** 9',
        'a = -"a"',
        'a = {{[]: 1}}',
        'filename = 1',
        'a = (',
        'a = \0',
        '(' * 10_000,
        'a = ' + '-' * 100_000 + '1',
        'a = ' + 'dict(a=' * 5_000 + ')' * 5_000,
    ],
    ids=lambda text: text[:30],
)
def test_everything_else_is_refused_and_not_executed(tmp_path, text):
    mark = tmp_path / 'mark'
    (tmp_path / 'config.py').write_text(text.format(mark=str(mark)) if '{mark' in text else text)
    with pytest.raises(DataError, match=r"config\.py' cannot be read as plain values"):
        read_dumped_config(tmp_path / 'config.py')
    assert not mark.exists()


def test_bytes_that_are_not_utf_8_are_refused(tmp_path):
    (tmp_path / 'config.py').write_bytes(b"a = '\xff'")
    with pytest.raises(DataError, match='UnicodeDecodeError'):
        read_dumped_config(tmp_path / 'config.py')
    with pytest.raises(DataError, match='No such file'):
        read_dumped_config(tmp_path / 'none.py')
