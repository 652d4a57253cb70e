"""Elements of the page escape their text."""

from mmkd_sod.report.markup import details, legend, note, styles_of, table
from mmkd_sod.report.studies import Study, Variant


def test_all_text_is_escaped():
    bad = '<script>'
    parts = (
        note(bad),
        legend([(bad, 's-plain')]),
        details(bad, ''),
        table(bad, ['', bad], [([bad, (bad, 'good')], 'gain')]),
    )
    for part in parts:
        assert bad not in part and '&lt;script&gt;' in part


def test_variants_of_a_role_get_styles_of_their_own():
    study = Study(
        's',
        [
            Variant('teacher', 'T'),
            Variant('distilled', 'A'),
            Variant('distilled', 'B'),
            Variant('distilled', 'C'),
        ],
    )
    assert styles_of(study) == {
        'T': 's-teacher',
        'A': 's-distilled',
        'B': 's-other1',
        'C': 's-other2',
    }
