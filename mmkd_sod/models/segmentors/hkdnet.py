"""HKDNet for RGB-D co-salient object detection."""

from mmengine.config import ConfigDict
from mmseg.models.segmentors import EncoderDecoder

from mmkd_sod.registry import MODELS


@MODELS.register_module()
class HKDNet(EncoderDecoder):
    """Hybrid Knowledge Distillation Network (HKDNet, IEEE TSMC-S 2025): two encoders, one decoder.

    An ``EncoderDecoder`` of mmseg with a ``mmkd_sod.models.backbones.TwoStreamBackbone``.
    Inputs are (N, 6, H, W), image and depth map as ``RGBDDataPreprocessor`` stacks them, of at
    least 32 x 32 pixels; outputs are four saliency maps. The student HKDNet-S uses the Shunted
    Transformer T, the teacher HKDNet-T uses B.

    =========  ==================  ==========  ===========  ==================================
    model      encoders, each [M]  decoder [M]  total [M]   released, with unused parts [M]
    =========  ==================  ==========  ===========  ==================================
    HKDNet-S   11.04               8.36        30.44        34.97
    HKDNet-T   39.10               8.36        86.56        91.09
    =========  ==================  ==========  ===========  ==================================

    The released totals include two unused 1000-way classifiers (1.03 M). The other 3.50 M of either
    model are in the decoder; ten C x C projections per level, which its forward does not need,
    would have 3.49 M.

    Args:
        encoder (dict): Backbone of the image.
        decode_head (dict, optional): Default: ``HKDHead`` with its default arguments.
        depth_encoder (dict, optional): Backbone of the depth map; default: that of ``encoder``,
            without shared weights.
        test_cfg (dict, optional): mmseg's test config; default: ``dict(mode='whole')``.
        kwargs: Arguments of mmseg's ``EncoderDecoder``.
    """

    def __init__(
        self,
        encoder: dict,
        decode_head: dict | None = None,
        depth_encoder: dict | None = None,
        test_cfg: dict | None = None,
        **kwargs,
    ) -> None:
        super().__init__(
            backbone=dict(type='mmkd_sod.TwoStreamBackbone', rgb=encoder, depth=depth_encoder),
            decode_head=decode_head or dict(type='mmkd_sod.HKDHead'),
            test_cfg=ConfigDict(test_cfg or dict(mode='whole')),
            **kwargs,
        )
