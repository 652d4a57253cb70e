"""The golden cases of the repository, how they are read, and the page about them."""

import json
import re

import numpy as np
import pytest
import torch

from tests.conftest import OWN_GOLDEN
from tests.parity import Pair, draw, read
from tests.parity.__main__ import PAGE, cases, insert, largest
from tests.parity.rounding import SEEDS, SPLITS, random_weights


def table(name):
    """Cells of a table of the page, without its head."""
    page = PAGE.read_text()
    text = re.search(f'<!-- table: {name} -->\n(.*?)<!-- end of table -->', page, re.S).group(1)
    rows = [
        [cell.strip() for cell in line.strip('|').split('|')] for line in text.strip().splitlines()
    ]
    return rows[2:]


def test_every_method_has_cases_and_they_are_small():
    assert [method for method, *_ in cases(OWN_GOLDEN)] == ['CrossKD'] * 4 + [
        'CSKD',
        'SCFNet',
        'HKDNet',
    ]
    assert sum(path.stat().st_size for path in OWN_GOLDEN.iterdir()) < 6 * 2**20


@pytest.mark.golden
def test_the_page_lists_every_case_and_quantity():
    wanted = []
    for method, path, compare, teacher in cases(OWN_GOLDEN):
        pairs = compare(path, teacher_exact=True) if teacher else compare(path)
        wanted += [
            [method, f'`{path.stem}`', quantity, str(number)]
            for quantity, (number, _) in largest(pairs).items()
        ]
    rows = table('released')
    assert [row[:4] for row in rows] == wanted
    for method, _, quantity, _, *differences in rows:
        if method != 'CrossKD':
            assert differences.pop() == 'no teacher runs'
        for difference in differences:
            assert 0 <= float(difference) <= (1e-4 if 'gradient' in quantity else 2e-5)


def test_the_page_tells_what_rounding_does_to_every_pair_of_detectors():
    rows = table('rounding')
    assert [row[:2] for row in rows] == [
        [f'`{path.stem}`', str(len(SPLITS) * len(SEEDS))]
        for method, path, *_ in cases(OWN_GOLDEN)
        if method == 'CrossKD'
    ]
    for _, _, *cells in rows:
        assert len(cells) == 4
        for cell in cells:
            median, most = map(float, cell.split(', '))
            assert 0 < median <= most < 0.1


def test_a_table_takes_the_place_of_the_one_before():
    page = 'a\n<!-- table: x -->\nold\n<!-- end of table -->\nb\n<!-- end of table -->\n'
    assert insert(page, 'x', ['| 1 |', '| 2 |']) == (
        'a\n<!-- table: x -->\n\n| 1 |\n| 2 |\n\n<!-- end of table -->\nb\n<!-- end of table -->\n'
    )


def test_differences():
    assert Pair('', '', 1.5, 2.0).difference == 0.25
    assert (
        Pair('', '', 0.0, 0.0).difference == 0 < Pair('', '', 1.0, 0.0).difference == float('inf')
    )
    assert Pair('', '', 0.001, 0.002, least=0.1).difference == pytest.approx(0.01)
    assert Pair('', '', torch.tensor([3.0, 4.0]), torch.tensor([0.0, 4.0])).difference == 0.75
    with pytest.raises(AssertionError, match='a map'):
        _ = Pair('', 'a map', torch.zeros(2), torch.zeros(1, 2)).difference


def write(folder, numbers, **arrays):
    (folder / 'case.json').write_text(json.dumps(numbers))
    np.savez(folder / 'case.npz', **arrays)
    return folder / 'case.json'


def test_described_arrays_are_made_and_stored_ones_take_precedence(tmp_path):
    generator = torch.Generator().manual_seed(3)
    state = generator.get_state().numpy()
    first = torch.empty(4, 5).normal_(0, 2.0, generator=generator)
    second = torch.empty(7).uniform_(-0.5, 0.5, generator=generator)
    arrays = [['first', [4, 5], 'normal', 2.0], ['second', [7], 'uniform', 0.5]]
    total = first.double().sum().item() + second.double().sum().item()
    for start in (3, 'state'):
        path = write(
            tmp_path,
            dict(
                a=1,
                drawn=[dict(start=start, arrays=arrays, sum=total)],
                constant=dict(ones=[[2, 3], 'float32', 1.0], count=[[], 'int64', 0]),
            ),
            state=state,
            second=np.zeros(7, np.float32),
        )
        numbers, found = read(path)
        assert numbers == dict(a=1) and found['count'].dtype == torch.int64
        assert torch.equal(found['first'], first) and torch.equal(found['ones'], torch.ones(2, 3))
        assert torch.equal(found['second'], torch.zeros(7))


def test_another_stream_of_random_numbers_is_told():
    stream = dict(start=0, arrays=[['a', [50], 'normal', 1.0]], sum=0.0)
    with pytest.raises(RuntimeError, match='draws other random numbers.*set MMKD_GOLDEN'):
        draw(stream, {})


def test_random_weights_keep_what_is_no_weight():
    numbers, arrays = read(OWN_GOLDEN / 'crosskd_gfl_idx3.json')
    pair = random_weights(arrays, 0)
    assert pair.keys() == arrays.keys() and 'student_cfg' in numbers
    for name, old in arrays.items():
        assert pair[name].shape == old.shape and pair[name].dtype == old.dtype
        changed = '/' in name and (old.dim() == 4 or ('backbone' in name and 'num_' not in name))
        assert changed != torch.equal(pair[name], old), name
    assert all(value.min() > 0 for name, value in pair.items() if 'running_var' in name)
