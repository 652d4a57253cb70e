"""The teacher sees the student's batch at 1.5 times its size."""
_base_ = ['../demo/human_seg_scfnet_kd.py']
model = dict(teacher_input=dict(scale=1.5))
