"""HKDNet for RGB-D co-salient object detection."""
from mmengine.config import ConfigDict
from mmseg.models.segmentors import EncoderDecoder

from mmkd_sod.registry import MODELS


@MODELS.register_module()
class HKDNet(EncoderDecoder):
    """HKDNet (IEEE TSMC-S 2025): two encoders, one decoder, four saliency maps.

    It is mmseg's ``EncoderDecoder`` on a :class:`~mmkd_sod.models.backbones.TwoStreamBackbone`:
    inputs are (N, 6, H, W), image and depth map, as :class:`RGBDDataPreprocessor` stacks them; any
    size of at least 32 x 32. HKDNet-S uses the Shunted Transformer T, HKDNet-T, the teacher, B.

    =========  ==================  ==========  ===========  ==================================
    model      encoders, each [M]  decoder [M]  total [M]   released, with unused parts [M]
    =========  ==================  ==========  ===========  ==================================
    HKDNet-S   11.04               8.36        30.44        34.97
    HKDNet-T   39.10               8.36        86.56        91.09
    =========  ==================  ==========  ===========  ==================================

    The released totals hold two 1000-way classifiers (1.03 M) that nothing uses. The rest, 3.50 M
    in either model, sits in the decoder: as much as ten more C x C linear layers a level (3.49 M),
    projections that its forward does not need.

    Args:
        encoder (dict): Backbone of the image.
        decode_head (dict, optional): Default: :class:`HKDHead` as it is.
        depth_encoder (dict, optional): Backbone of the depth map; a second one like ``encoder``
            where absent.
        test_cfg (dict, optional): mmseg's; whole images where absent.
        kwargs: As for mmseg's ``EncoderDecoder``.
    """

    def __init__(self, encoder: dict, decode_head: dict | None = None,
                 depth_encoder: dict | None = None, test_cfg: dict | None = None,
                 **kwargs) -> None:
        super().__init__(
            backbone=dict(type='mmkd_sod.TwoStreamBackbone', rgb=encoder, depth=depth_encoder),
            decode_head=decode_head or dict(type='mmkd_sod.HKDHead'),
            test_cfg=ConfigDict(test_cfg or dict(mode='whole')),
            **kwargs)
