"""Fast-SCNN with one output <- SCFNet R50, without masks: any segmentor can be the student."""
_base_ = ['./kd_scfnet_mobilenetv3.py']
model = dict(
    architecture=dict(
        cfg_path='mmseg::fastscnn/fast_scnn_8xb4-160k_cityscapes-512x1024.py',
        data_preprocessor=dict(_delete_=True, type='mmkd_sod.SODDataPreprocessor'),
        decode_head=dict(num_classes=2, out_channels=1, threshold=0.5),
        auxiliary_head=None))
