"""mmrazor's PKD loss on the neck, for use with another distiller in a CompositeDistiller."""
neck = dict(neck=dict(type='mmrazor.ModuleOutputs', source='neck'))
pkd = dict(
    type='mmrazor.ConfigurableDistiller',
    student_recorders=neck,
    teacher_recorders=neck,
    distill_losses=dict(loss_feat_kd=dict(type='mmrazor.PKDLoss', loss_weight=6.0)),
    loss_forward_mappings=dict(
        loss_feat_kd=dict(
            preds_S=dict(from_student=True, recorder='neck'),
            preds_T=dict(from_student=False, recorder='neck'))))
