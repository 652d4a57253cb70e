"""Small HKDNets and RGB-D batches for tests."""

import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

DIMS = (16, 16, 32, 32)


def hkdnet(**head) -> dict:
    """Return the config of an HKDNet of 0.2 M parameters; arguments are those of its head."""
    return dict(
        type='mmkd_sod.HKDNet',
        data_preprocessor=dict(type='mmkd_sod.RGBDDataPreprocessor'),
        encoder=dict(
            type='mmkd_sod.ShuntedTransformer',
            embed_dims=DIMS,
            heads=(2, 2, 4, 4),
            mlp_ratios=(2, 2, 2, 2),
            depths=(1, 1, 1, 1),
        ),
        decode_head={
            **dict(
                type='mmkd_sod.HKDHead', in_channels=DIMS, heads=(1, 1, 2, 2), repeats=(1, 2, 2, 1)
            ),
            **head,
        },
    )


def batch(number: int, height: int, width: int, labels: bool = True) -> dict:
    """Return a batch of the data loader; the original size of the images is a little larger."""
    data = dict(inputs=dict(img=[], depth=[]), data_samples=[])
    for _ in range(number):
        data['inputs']['img'].append(torch.randint(0, 256, (3, height, width), dtype=torch.uint8))
        data['inputs']['depth'].append(torch.rand(1, height, width))
        sample = SegDataSample(
            metainfo=dict(ori_shape=(height + 3, width + 5), img_shape=(height, width))
        )
        if labels:
            sample.gt_sem_seg = PixelData(data=torch.randint(0, 2, (1, height, width)))
        data['data_samples'].append(sample)
    return data
