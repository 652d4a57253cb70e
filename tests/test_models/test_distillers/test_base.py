"""DenseDistiller speaks mmrazor's protocol."""
import pytest
from mmrazor.models.distillers import BaseDistiller
from torch import nn

from mmkd_sod.models.distillers import DenseDistiller, ForwardRecorder


class Distiller(DenseDistiller):
    def prepare(self, student, teacher):
        self.student_taps = (ForwardRecorder({'out': (student, 'output')}), )
        self.teacher_taps = (ForwardRecorder({'out': (teacher, 'output')}), )

    def compute_distill_losses(self):
        return dict(loss=self.student_taps[0].data['out'][0] - self.teacher_taps[0].data['out'][0])


def test_protocol():
    distiller, student, teacher = Distiller(), nn.Identity(), nn.Identity()
    assert isinstance(distiller, BaseDistiller)
    distiller.prepare_from_student(student)
    distiller.prepare_from_teacher(teacher)
    assert distiller.student is student and distiller.teacher is teacher
    # The models are not the distiller's own.
    assert not list(distiller.children())
    distiller.set_deliveries_override(True)
    with distiller.student_recorders, distiller.deliveries:
        student(5)
    with distiller.teacher_recorders, distiller.deliveries:
        teacher(3)
    assert distiller.compute_distill_losses() == dict(loss=2)
    distiller.clear()
    with pytest.raises(IndexError):
        distiller.compute_distill_losses()
