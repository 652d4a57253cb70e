"""A small model that fits each kind of data set of mmdet and mmseg."""

import copy

from mmengine.config import ConfigDict

from mmkd_sod.models.builder import resolve_model_cfg
from mmkd_sod.testing.small_detectors import small_detector
from mmkd_sod.testing.small_segmentors import small_segmentor

TRACKERS = dict(
    mot_challenge='qdtrack/qdtrack_faster-rcnn_r50_fpn_4e_base.py',
    youtube_vis='masktrack_rcnn/masktrack-rcnn_mask-rcnn_r50_fpn_8xb1-12e_youtubevis2019.py',
)


def _narrow(detector: ConfigDict, classes: int) -> None:
    """Make a two-stage detector of mmdet narrow, and give it random weights."""
    detector.pop('init_cfg', None)
    detector.backbone.update(depth=18, base_channels=8, frozen_stages=-1, init_cfg=None)
    detector.neck.in_channels = [8, 16, 32, 64]
    head = detector.roi_head
    head.bbox_head.update(num_classes=classes, fc_out_channels=32)
    if 'mask_head' in head:
        head.mask_head.num_classes = classes


def _tracker(name: str, classes: int) -> ConfigDict:
    model = resolve_model_cfg(dict(cfg_path=f'mmdet::{TRACKERS[name]}'))
    _narrow(model.detector, classes)
    return model


def _mask_rcnn(classes: int) -> ConfigDict:
    model = resolve_model_cfg(dict(cfg_path='mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py'))
    _narrow(model, classes)
    return model


def _semi_supervised(classes: int) -> ConfigDict:
    detector = small_detector('RetinaHead', classes=classes)
    return ConfigDict(
        type='SemiBaseDetector',
        detector=detector,
        data_preprocessor=dict(
            type='MultiBranchDataPreprocessor',
            data_preprocessor=copy.deepcopy(detector['data_preprocessor']),
        ),
        semi_train_cfg=dict(
            freeze_teacher=True,
            sup_weight=1.0,
            unsup_weight=1.0,
            cls_pseudo_thr=0.2,
            min_pseudo_bbox_wh=(1e-2, 1e-2),
        ),
        semi_test_cfg=dict(predict_on='teacher'),
    )


def _depth_estimator() -> ConfigDict:
    model = small_segmentor('FCN')
    model.type = 'DepthEstimator'
    model.backbone.update(strides=(1, 2, 2, 2), dilations=(1, 1, 1, 1))
    model.pop('auxiliary_head')
    model.decode_head = dict(
        type='VPDDepthHead',
        in_channels=[16, 32, 64, 128],
        embed_dim=8,
        feature_dim=64,
        num_deconv_filters=(8, 8, 8),
    )
    return model


def fitting_model(package: str, name: str, classes: int) -> ConfigDict | dict:
    """Return the config of a model that can be trained on a base data set.

    Args:
        package (str): ``'mmdet'`` or ``'mmseg'``.
        name (str): Name of the config of the data set.
        classes (int): Number of its classes.
    """
    if package == 'mmseg':
        return _depth_estimator() if 'nyu' in name else small_segmentor('FCN', classes=classes)
    if name in TRACKERS:
        return _tracker(name, classes)
    if name == 'semi_coco_detection':
        return _semi_supervised(classes)
    if name == 'mot_challenge_reid':
        return resolve_model_cfg(
            dict(cfg_path='mmdet::reid/reid_r50_8xb32-6e_mot17train80_test-mot17val20.py')
        )
    if 'instance' in name or name == 'deepfashion':
        return _mask_rcnn(classes)
    return small_detector('GFLHead', classes=classes)
