"""``python -m mmkd_sod report`` and `tools/report.py` write one page."""

import pytest

from mmkd_sod.__main__ import main
from tests.runs import tool
from tests.work_dirs import seeds


def test_page_is_written_and_kept(tmp_path, capsys):
    runs, out = str(seeds(tmp_path / 'runs', {0: (0.6, 0.4, 0.5)})), tmp_path / 'new' / 'page.html'
    main(['report', runs, '--out', str(out), '--images', '0', '--title', 'Mine'])
    page = out.read_text(encoding='utf-8')
    assert '<title>Mine</title>' in page and '+10.0' in page
    assert '3 runs' in capsys.readouterr().out
    assert [path.name for path in out.parent.iterdir()] == ['page.html']

    with pytest.raises(SystemExit) as left:
        main(['report', runs, '--out', str(out)])
    assert left.value.code == 2 and 'exists; give another' in capsys.readouterr().err
    assert out.read_text(encoding='utf-8') == page
    tool('report', runs, '--out', out, '--force')  # no data in these configs
    assert 'Distillation report: net' in out.read_text(encoding='utf-8')
    assert 'no test_dataloader' in capsys.readouterr().out


@pytest.mark.parametrize(
    'args, message',
    [
        (['absent'], 'is not a folder'),
        (['{runs}', '--images', '-1'], 'less than 0'),
        (['{runs}', '--metric', 'nothing'], 'choose one of coco/bbox_mAP'),
        (['{runs}/0/test_kd'], 'none of 1 arguments'),
    ],
)
def test_mistakes_are_told(tmp_path, capsys, args, message):
    runs = str(seeds(tmp_path, {0: (0.6, 0.4, 0.5)}))
    with pytest.raises(SystemExit) as left:
        main(['report', *(arg.format(runs=runs) for arg in args), '--out', f'{tmp_path}/o.html'])
    assert left.value.code == 2 and message in capsys.readouterr().err
    assert not (tmp_path / 'o.html').exists()
