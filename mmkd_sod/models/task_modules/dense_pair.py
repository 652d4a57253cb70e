"""The checks of dense heads: whether two of them can be combined."""

from collections.abc import Sequence

from mmkd_sod.errors import ConfigError

from .base import HeadReader


def check_pair(
    student: HeadReader,
    teacher: HeadReader,
    student_idx: int,
    teacher_idx: int,
    adapter: bool = False,
    mapped: bool = False,
) -> None:
    """Refuse a pair of heads that CrossKD cannot combine.

    Args:
        student (HeadReader): The student's head.
        teacher (HeadReader): The teacher's head.
        student_idx (int): Blocks of the student's towers before the split.
        teacher_idx (int): Blocks of the teacher's towers before the split, which are skipped.
        adapter (bool): Whether channels may differ.
        mapped (bool): Whether classes may differ in number.

    Raises:
        ConfigError: The message names both sides and what to change.
    """
    _check_idx(
        'reused_teacher_head_idx',
        teacher_idx,
        student,
        teacher,
        (student, teacher) if student_idx == teacher_idx else (teacher,),
    )
    if student_idx != teacher_idx:
        _check_idx('student_head_idx', student_idx, student, teacher, (student,))
    if (student.family or type(student)) != (teacher.family or type(teacher)):
        raise ConfigError(
            f"CrossKDDistiller: the student's head {student.name} and the teacher's "
            f'{teacher.name} have different outputs; use heads of one kind'
        )
    for owner, reader in (('student', student), ('teacher', teacher)):
        reason = reader.refusal()
        if reason:
            raise ConfigError(
                f"CrossKDDistiller: the {owner}'s head {reader.name} is not supported: {reason}"
            )
    layouts = student.layout(), teacher.layout()
    for name in layouts[0]:
        ours, theirs = (layout.get(name) for layout in layouts)
        if ours != theirs:
            raise ConfigError(
                f'CrossKDDistiller: {name} of the heads must agree, student {ours}, teacher '
                f'{theirs}; change one of the two configs'
            )
    ours, theirs = (reader.head.cls_out_channels for reader in (student, teacher))
    if ours != theirs and not mapped:
        raise ConfigError(
            f'CrossKDDistiller: classes of the heads must agree, student {ours}, teacher {theirs}; '
            "change one of the two configs, or give class_mapping, the teacher's class index for "
            'each class of the student'
        )
    _check_channels(student, teacher, student_idx, teacher_idx, adapter)


def _check_idx(
    name: str, idx: int, student: HeadReader, teacher: HeadReader, bounds: Sequence[HeadReader]
) -> None:
    deepest = min(reader.depth for reader in bounds)
    if not isinstance(idx, int) or isinstance(idx, bool) or not 0 <= idx <= deepest:
        raise ConfigError(
            f"CrossKDDistiller: {name}={idx!r}, but the student's towers have {student.depth} "
            f"blocks and the teacher's {teacher.depth}; choose 0 ... {deepest}"
        )


def _check_channels(
    student: HeadReader, teacher: HeadReader, student_idx: int, teacher_idx: int, adapter: bool
) -> None:
    if student.streams(student_idx) != teacher.streams(teacher_idx):
        raise ConfigError(
            f'CrossKDDistiller: {student.name} reads every block of its tower, so '
            f'student_head_idx={student_idx} and reused_teacher_head_idx={teacher_idx} must agree; '
            'leave student_head_idx out'
        )
    pairs = zip(
        student.channels(student_idx).values(), teacher.channels(teacher_idx).values(), strict=True
    )
    ours, theirs = next((pair for pair in pairs if pair[0] != pair[1]), (0, 0))
    if ours != theirs and not adapter:
        where, what = ('tower', 'feat_channels') if teacher_idx else ('input', 'in_channels')
        raise ConfigError(
            f'CrossKDDistiller: reused_teacher_head_idx={teacher_idx} needs equal {where} '
            f'channels, student {ours}, teacher {theirs}; set {what}, choose '
            f'{"idx=0" if teacher_idx else "another idx"}, or learn a 1x1 convolution with '
            'adapter=True'
        )


def check_class_mapping(
    mapping: Sequence[int | None] | None, student: HeadReader, teacher: HeadReader
) -> tuple[list[int], list[int]] | None:
    """Return the class columns of student and teacher that correspond.

    Args:
        mapping (Sequence, optional): The teacher's class index, or None, for each class of the
            student.
        student (HeadReader): The student's head.
        teacher (HeadReader): The teacher's head.

    Returns:
        tuple: Two lists of columns; None where classes correspond by index.

    Raises:
        ConfigError: The mapping does not fit the heads.
    """
    if mapping is None:
        return None
    ours, theirs = (reader.head.num_classes for reader in (student, teacher))
    if len(mapping) != ours:
        raise ConfigError(
            f'CrossKDDistiller: class_mapping names {len(mapping)} classes, the student has '
            f"{ours}; give the teacher's class index, or None, for each class of the student"
        )
    for entry in mapping:
        if entry is not None and (
            not isinstance(entry, int) or isinstance(entry, bool) or not 0 <= entry < theirs
        ):
            raise ConfigError(
                f'CrossKDDistiller: class_mapping contains {entry!r}, the teacher has the classes '
                f'0 ... {theirs - 1}; use these numbers, or None'
            )
    pairs = [(number, entry) for number, entry in enumerate(mapping) if entry is not None]
    if not pairs:
        raise ConfigError('CrossKDDistiller: class_mapping maps no class; name at least one')
    return [number for number, _ in pairs], [entry for _, entry in pairs]
