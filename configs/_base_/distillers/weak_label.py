"""KD-SCFNet: the teacher's saliency map is the only label."""
model = dict(
    type='mmkd_sod.DenseDistill',
    calculate_student_loss=False,
    distiller=dict(type='mmkd_sod.WeakLabelDistiller'))
