"""deformable_detr_r18.py with the student's queries; targets are detached, unlike as released."""
_base_ = ['./deformable_detr_r18.py']
model = dict(distiller=dict(queries='student'))
