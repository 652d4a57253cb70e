"""Curves: one chart per term, the teacher's in a labelled block."""

from mmkd_sod.report.curves import curve_blocks, term_of
from mmkd_sod.report.runs import find_runs
from mmkd_sod.report.studies import group, join_tests
from tests.work_dirs import STUDENT, TEACHER, TRAIN, distilled_records, seeds, work_dir


def study_of(folder):
    return group(join_tests(find_runs([str(folder)]))[0])[0]


def test_terms_of_plain_and_distilled_are_one():
    assert (
        term_of('student.loss_cls', True) == term_of('loss_cls', False) == ('student', 'loss_cls')
    )
    assert term_of('distill.loss_kd', True) == ('distill', 'loss_kd')
    assert term_of('teacher.loss_cls', True) == ('measured', 'loss_cls')
    assert term_of('loss', True) != term_of('loss', False)
    assert term_of('lr', False) is None


def test_every_term_has_a_chart_and_the_teacher_its_block(tmp_path):
    page = curve_blocks(study_of(seeds(tmp_path, {0: (0.6, 0.4, 0.5), 1: (0.6, 0.4, 0.5)})))
    above, teacher = page.split('<div class="teacher-block">')
    for term in ('loss_cls', 'loss_bbox', 'loss_kd', 'loss (with distillation terms)'):
        assert f'<figcaption>{term}</figcaption>' in above
    assert 's-teacher' not in above.split('Task loss terms')[1]
    assert 'class="tag">teacher</span>The teacher' in teacher
    assert 'loss_kd' not in teacher and 's-plain' not in teacher
    assert 'reference s-teacher' in above  # its final score, in the validation chart
    assert '1 → 0.08333' in above  # first and last, in the table


def test_rows_that_mmrazor_logs_of_the_teacher_are_labelled(tmp_path):
    train = [dict(record, **{'teacher.loss_cls': 0.7}) for record in distilled_records(TRAIN)]
    val = [{'mIoU': 10.0, 'teacher.mIoU': 30.0, 'step': 12}]
    work_dir(
        tmp_path / 'kd',
        dict(
            type='mmrazor.SingleTeacherDistill',
            architecture=STUDENT,
            teacher=TEACHER,
            distiller=dict(type='mmrazor.ConfigurableDistiller'),
        ),
        train=train,
        val=val,
    )
    page = curve_blocks(study_of(tmp_path))
    assert 'teacher</span>Losses of the teacher during distillation' in page
    assert 'Teacher, as measured in distillation: 30' in page


def test_nothing_logged_gives_nothing(tmp_path):
    assert (
        curve_blocks(
            study_of(work_dir(tmp_path / 'a', STUDENT, train=(), val=[{'step': 1, 'x': 1.0}]))
        ).count('<figure')
        == 1
    )
