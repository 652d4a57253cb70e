"""CSKD with the paper's weights; CKA compares the images of all GPUs."""
model = dict(
    type='mmkd_sod.DenseDistill',
    distiller=dict(
        type='mmkd_sod.CSKDDistiller',
        loss_logits=dict(type='mmrazor.ChannelWiseDivergence', tau=2.0, loss_weight=3.0),
        loss_feat=dict(
            type='mmkd_sod.ChannelSpatialKDLoss',
            tau=2.0,
            grid=(5, 5),
            cam_weight=0.3,
            pam_weight=0.8,
            projection='resampled',
            gather=True)))
