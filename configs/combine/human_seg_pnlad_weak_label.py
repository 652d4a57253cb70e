"""Weak labels and PNLAD: the student learns from masks, the teacher's maps and its logits."""
_base_ = ['../demo/human_seg_scfnet_masks_kd.py']
# The stages of human_seg_scfnet_pnlad.py. No label_weight: the student's own loss is added anyway.
pnlad = dict(
    type='mmkd_sod.HKDDistiller',
    loss_pnlad=dict(
        type='mmkd_sod.PNLADLoss', level_weights=(1, 1 / 2, 1 / 4, 1 / 8), pos_weight=0.9375),
    schedule=dict(stage_ends=(18, 36), tau_step=5, gt_weights=None))
model = dict(
    distiller=dict(
        _delete_=True,
        type='mmkd_sod.CompositeDistiller',
        distillers=[_base_.model.distiller, pnlad]))
