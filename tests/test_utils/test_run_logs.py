"""Logged scalars are read line by line."""

import pytest

from mmkd_sod.errors import DataError
from mmkd_sod.utils.run_logs import is_training, scalar_records


def test_logs_are_read_in_order_and_truncated_ends_ignored(tmp_path):
    for stamp, text in (
        ('1', '{"loss": 1, "step": 1}\n{"mAP": 2, "step": 2}\n{"lo'),
        ('2', '{"lr": 3, "step": 3.0}\n'),
    ):
        (tmp_path / stamp / 'vis_data').mkdir(parents=True)
        (tmp_path / stamp / 'vis_data' / 'scalars.json').write_text(text)
    records = list(scalar_records(tmp_path))
    assert [record['step'] for record in records] == [1, 2, 3]
    assert [is_training(record) for record in records] == [True, False, True]


def test_lines_that_are_no_records_are_named(tmp_path):
    with pytest.raises(DataError, match='train there first'):
        list(scalar_records(tmp_path))
    (tmp_path / '1' / 'vis_data').mkdir(parents=True)
    (tmp_path / '1' / 'vis_data' / 'scalars.json').write_text('[]\n{"step": 1}\n')
    with pytest.raises(DataError, match='line 1 is not a logged record'):
        list(scalar_records(tmp_path))
