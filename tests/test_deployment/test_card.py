"""The model card lists all measurements."""

import sys
import types

import pytest

from mmkd_sod.deployment.agreement import Agreement
from mmkd_sod.deployment.card import CardFacts, machine, write_card


@pytest.fixture
def facts(tmp_path, monkeypatch):
    # The card names the version only.
    monkeypatch.setitem(sys.modules, 'onnxruntime', types.SimpleNamespace(__version__='1.2.3'))
    (tmp_path / 'model.onnx').write_bytes(bytes(2**20))
    (tmp_path / 'weights.pth').write_bytes(bytes(2**19))
    agreement = Agreement(72, dict(mAP=0.4906), dict(mAP=0.4907), dict(mAP=1e-4), 112.14, 81.25)
    return CardFacts(
        'my_model',
        dict(task='detection', classes=['cat', 'dog']),
        'GFL, ResNet',
        ', 18 epochs',
        850_000,
        '320 x 256',
        7e-7,
        agreement,
        1,
        'test',
        (),
    )


def test_card(facts, tmp_path):
    card = write_card(facts, tmp_path)
    for part in (
        '# my_model',
        'object detection',
        '2: cat, dog',
        '0.85 million',
        '1.00 MiB',
        '0.50 MiB',
        '| mAP | 0.4906 | 0.4907 | 1.0e-04 |',
        '| 112.1 |',
        '| 81.2 |',
        '72 images of the test split',
        '1 thread,',
        'onnxruntime 1.2.3',
        machine(),
    ):
        assert part in card, part
    assert len(card.splitlines()) < 60 and 'it needs' not in card


def test_many_classes_and_own_parts(facts, tmp_path):
    facts.spec['classes'] = [f'class{i}' for i in range(80)]
    facts.ours = ['mmkd_sod.SCFHead']
    card = write_card(facts, tmp_path)
    assert '80, named in `model.json`' in card and 'class79' not in card
    assert 'it needs `mmkd_sod.SCFHead` of mmkd_sod' in card


def test_names_are_shown_and_not_interpreted():
    from mmkd_sod.deployment.card import _plain

    assert _plain('gfl_r18, coco/bbox_mAP') == 'gfl_r18, coco/bbox_mAP'
    shown = _plain('<script>a</script>|`b`\n# [c](javascript:d) & \u202e')
    assert not set('<>|`\n[]\u202e') & set(shown) and '&#60;script&#62;' in shown
