"""Grouping runs by their configs."""

from pathlib import Path

from mmkd_sod.report.runs import find_runs
from mmkd_sod.report.studies import distance, group, join_tests, writer_of
from tests.work_dirs import STUDENT, TEACHER, seeds, work_dir


def test_roles_seeds_and_tests(tmp_path):
    seeds(tmp_path, {0: (0.6, 0.4, 0.5), 1: (0.7, 0.5, 0.55)})
    runs, notes = join_tests(find_runs([str(tmp_path)]))
    (study,) = group(runs)
    assert not notes and len(study.runs) == 6
    assert [(v.role, v.name) for v in study.variants] == [
        ('teacher', 'Teacher'),
        ('plain', 'Plain'),
        ('distilled', 'CrossKD'),
    ]
    assert [v.by_seed('test', 'coco/bbox_mAP') for v in study.variants] == [
        {0: [0.6], 1: [0.7]},
        {0: [0.4], 1: [0.5]},
        {0: [0.5], 1: [0.55]},
    ]


def test_a_test_without_its_run_is_skipped_and_named(tmp_path):
    seeds(tmp_path, {0: (0.6, 0.4, 0.5), 1: (0.7, 0.5, 0.55)})
    runs, notes = join_tests(find_runs([str(tmp_path / '0'), str(tmp_path / '1' / 'test_kd')]))
    assert len(runs) == 3 and len(notes) == 1 and 'test_kd' in notes[0]
    runs, _ = join_tests(find_runs([f'distilled={tmp_path}/1/test_kd']))
    assert group(runs)[0].variants[0].role == 'distilled'


def test_an_ambiguous_checkpoint_has_no_run(tmp_path):
    seeds(tmp_path, {0: (0.6, 0.4, 0.5), 1: (0.7, 0.5, 0.55)})
    runs = [run for run in find_runs([str(tmp_path)]) if run.train]

    def writer(path):
        run = writer_of(Path(path), runs)
        return None if run is None else str(run.path.relative_to(tmp_path))

    assert writer('1/kd/epoch_1.pth') == '1/kd'
    assert writer('1/kd/student/net.pth') == '1/kd'  # exported below
    assert writer('kd/epoch_1.pth') is None  # of either seed
    assert writer('2/kd/epoch_1.pth') is None


def test_two_recipes_of_a_method_are_distinguished(tmp_path):
    seeds(tmp_path, {0: (0.6, 0.4, 0.5)})
    work_dir(
        tmp_path / 'long',
        dict(
            type='mmkd_sod.DenseDistill',
            architecture=STUDENT,
            teacher=TEACHER,
            distiller=dict(type='mmkd_sod.CrossKDDistiller', idx=1),
        ),
    )
    runs, _ = join_tests(find_runs([str(tmp_path)]))
    names = [variant.name for variant in group(runs)[0].variants]
    assert names == ['Teacher', 'Plain', 'CrossKD (net) 1', 'CrossKD (net) 2']


def test_studies_of_two_students_and_strangers(tmp_path):
    seeds(tmp_path / 'a', {0: (0.6, 0.4, 0.5)})
    other = dict(type='Other', layers=[1, 2, 3])
    work_dir(
        tmp_path / 'kd',
        dict(
            type='mmkd_sod.DenseDistill',
            architecture=other,
            teacher=None,
            distiller=dict(
                type='mmkd_sod.CompositeDistiller',
                distillers=dict(
                    a=dict(type='mmkd_sod.CSKDDistiller'), b=dict(type='mmkd_sod.HKDDistiller')
                ),
            ),
        ),
    )
    work_dir(tmp_path / 'alone', dict(type='Alone', size=5))
    runs, _ = join_tests(find_runs([str(tmp_path)]))
    studies = group(runs)
    assert [len(study.runs) for study in studies] == [3, 1, 1]
    assert studies[1].variants[0].name == 'CSKD + HKD' and studies[2].name == 'Other runs'


def test_distance_counts_settings():
    assert distance(STUDENT, STUDENT) == 0 and distance(STUDENT, TEACHER) == 0.5
    assert distance(dict(STUDENT, _scope_='mmdet'), STUDENT) == 0
