"""Small segmentors and batches for the tests of salient object detection."""

import torch
from mmengine.config import Config
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from mmkd_sod.registry import MODELS
from tests.conftest import ROOT
from tests.sod_data import write_set

MODELS_DIR = ROOT / 'configs/_base_/models'


def scfnet(**head):
    """Return the config of SCFNet on MobileNetV3; keyword arguments are those of its head."""
    cfg = Config.fromfile(MODELS_DIR / 'scfnet_mobilenetv3.py').model
    cfg.decode_head.update(head)
    return cfg


def distill(student=None, teacher='scfnet', distiller=None, **kwargs):
    """Build a DenseDistill with a WeakLabelDistiller; the default teacher is random."""
    return MODELS.build(
        dict(
            type='mmkd_sod.DenseDistill',
            architecture=student or scfnet(),
            teacher=scfnet() if teacher == 'scfnet' else teacher,
            distiller=dict(type='mmkd_sod.WeakLabelDistiller', **(distiller or {})),
            **dict(dict(calculate_student_loss=False, teacher_allow_missing=['*']), **kwargs),
        )
    )


def batch(n=2, side=64, label=False, weak=False, seed=0):
    """Return preprocessed inputs and their samples."""
    generator = torch.Generator().manual_seed(seed)
    inputs, samples = torch.randn(n, 3, side, side, generator=generator), []
    for _ in range(n):
        sample = SegDataSample(metainfo=dict(img_shape=(side, side), ori_shape=(side, side)))
        if label:
            sample.gt_sem_seg = PixelData(
                data=torch.randint(0, 2, (1, side, side), generator=generator)
            )
        if weak:
            sample.set_data(
                dict(weak_label=PixelData(data=torch.rand(1, side, side, generator=generator)))
            )
        samples.append(sample)
    return inputs, samples


def save_network(folder, name='teacher', seed=0):
    """Write config and checkpoint of a random SCFNet; return both paths as strings."""
    torch.manual_seed(seed)
    cfg, path = scfnet(), folder / f'{name}.py'
    model = MODELS.build(cfg)
    model.init_weights()
    Config(dict(model=cfg, default_scope='mmseg')).dump(path)
    torch.save(dict(state_dict=model.state_dict(), meta={}), folder / f'{name}.pth')
    return str(path), str(folder / f'{name}.pth')


def scfnet_config(folder):
    """Return the config of an SCFNet with a test set of three images, written to ``folder``."""
    base = Config.fromfile(ROOT / 'configs/_base_/datasets/sod_sets.py')
    dataset = dict(
        type='mmkd_sod.SODDataset',
        name='s',
        data_root=str(write_set(folder / 'set')),
        data_prefix=dict(img_path='image', seg_map_path='mask'),
        test_mode=True,
        pipeline=base.test_pipeline,
    )
    return Config(
        dict(model=scfnet(), default_scope='mmseg', test_dataloader=dict(dataset=dataset))
    )
