"""Counts, classes and files of the data, and one batch."""
import json
import shutil

from mmkd_sod.doctor import data
from tests.doctor import look, told


def test_counts_are_those_of_the_annotations(scenes):
    context, section = look(data, scenes)
    annotations = json.loads((scenes / 'annotations/train.json').read_text())
    found = section.data
    assert found['train']['images'] == 16 and found['val']['images'] == 4
    assert sum(found['train']['boxes'].values()) == len(annotations['annotations'])
    assert found['batch']['images'] == 8 and found['batch']['shapes'] == [[3, 160, 160]]
    assert sum(found['batch']['labels'].values()) == sum(
        len(sample.gt_instances) for sample in context.batch['data_samples'])
    assert len(context.val_set) == 4 and not told(section, 'error')


def test_a_missing_image_is_named(scenes, tmp_path):
    shutil.copytree(scenes, tmp_path / 'scenes')
    gone = min((tmp_path / 'scenes/val/images').iterdir())
    gone.unlink()
    _, section = look(data, tmp_path / 'scenes')
    assert f"val: 1 files do not exist, first '{gone}'" in told(section, 'error')


def test_validation_images_that_are_trained_on_are_counted(scenes):
    _, section = look(data, scenes, 'val_dataloader.dataset.ann_file=annotations/train.json',
                      'val_dataloader.dataset.data_prefix.img=train/images/')
    assert '16 of the 16 validation images are training images too' in told(section, 'warning')


def test_classes_that_the_annotations_do_not_know_are_called_out(scenes):
    _, section = look(data, scenes, *(f'{name}_dataloader.dataset.metainfo.classes=[cat,dog]'
                                      for name in ('train', 'val')))
    assert 'cat' in told(section, 'error')


def test_train_and_val_of_different_classes_are_called_out(scenes):
    _, section = look(data, scenes, 'val_dataloader.dataset.metainfo.classes=[disk,square]')
    assert 'train and val have different classes, 6 and 2' in told(section, 'error')


def test_a_loader_without_a_batch_is_called_out(scenes):
    context, section = look(data, scenes, 'train_dataloader.batch_size=32',
                         'train_dataloader.batch_sampler=None', 'train_dataloader.drop_last=True')
    assert 'gives no batch: 16 images are fewer than batch_size' in told(section, 'error')
    assert context.batch is None


def test_a_config_without_data_says_so():
    _, section = look(data)
    assert 'no train_dataloader' in told(section, 'error')


def test_spread_takes_first_and_last():
    assert data.spread(100, 3) == [0, 50, 99] and data.spread(2, 8) == [0, 1]
    assert data.spread(5, 1) == [0]
