"""Counts, classes and files of the data, and one batch."""

import json
import shutil

from mmkd_sod.doctor import data
from tests.doctor import findings, run_section


def test_counts_are_those_of_the_annotations(scenes):
    context, section = run_section(data, scenes)
    annotations = json.loads((scenes / 'annotations/train.json').read_text())
    found = section.data
    assert found['train']['images'] == 16 and found['val']['images'] == 4
    assert sum(found['train']['boxes'].values()) == len(annotations['annotations'])
    assert found['batch']['images'] == 8 and found['batch']['shapes'] == [[3, 160, 160]]
    assert sum(found['batch']['labels'].values()) == sum(
        len(sample.gt_instances) for sample in context.batch['data_samples']
    )
    assert len(context.val_set) == 4 and not findings(section, 'error')


def test_a_missing_image_is_named(scenes, tmp_path):
    shutil.copytree(scenes, tmp_path / 'scenes')
    gone = min((tmp_path / 'scenes/val/images').iterdir())
    gone.unlink()
    _, section = run_section(data, tmp_path / 'scenes')
    assert f"val: 1 files do not exist, first '{gone}'" in findings(section, 'error')


def test_validation_images_that_are_trained_on_are_counted(scenes):
    _, section = run_section(
        data,
        scenes,
        'val_dataloader.dataset.ann_file=annotations/train.json',
        'val_dataloader.dataset.data_prefix.img=train/images/',
    )
    assert '16 of the 16 validation images are also training images' in findings(section, 'warning')


def test_classes_missing_in_the_annotations_are_reported(scenes):
    _, section = run_section(
        data,
        scenes,
        *(f'{name}_dataloader.dataset.metainfo.classes=[cat,dog]' for name in ('train', 'val')),
    )
    assert 'cat' in findings(section, 'error')


def test_different_classes_of_train_and_val_are_reported(scenes):
    _, section = run_section(data, scenes, 'val_dataloader.dataset.metainfo.classes=[disk,square]')
    assert 'train and val have different classes, 6 and 2' in findings(section, 'error')


def test_a_loader_without_a_batch_is_reported(scenes):
    context, section = run_section(
        data,
        scenes,
        'train_dataloader.batch_size=32',
        'train_dataloader.batch_sampler=None',
        'train_dataloader.drop_last=True',
    )
    assert 'has no batches: 16 images are fewer than batch_size' in findings(section, 'error')
    assert context.batch is None


def test_a_config_without_data_is_reported():
    _, section = run_section(data)
    assert 'no train_dataloader' in findings(section, 'error')


def test_spread_takes_first_and_last():
    assert data.spread(100, 3) == [0, 50, 99] and data.spread(2, 8) == [0, 1]
    assert data.spread(5, 1) == [0]
