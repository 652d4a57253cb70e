"""How pages are taken apart."""

import pytest

from tests import pages

TEXT = """# A page, of trials

<!-- needs other.md -->
See [there](other.md#a-place) and `not[this](one)`.

<!-- parse only `make`: it takes long -->
```bash
A=1 python tools/x.py one \\
    --two    # a remark
make it
```

<!-- over configs/a.py -->
```python
distiller=dict(a=1)
```

```python
# configs/mine/b.py
import os
```
"""


@pytest.fixture
def page(tmp_path):
    path = tmp_path / 'page.md'
    path.write_text(TEXT)
    return path


def test_blocks(page):
    shell, over, script = pages.blocks(page)
    assert [block.line for block in (shell, over, script)] == [8, 15, 19]
    first, second = shell.commands
    assert first.argv == ['python', 'tools/x.py', 'one', '--two'] and first.reason == ''
    assert second.argv == ['make', 'it'] and second.reason == 'it takes long'
    assert over.over == 'configs/a.py' and not over.path and not over.is_script
    assert script.path == 'configs/mine/b.py' and script.is_script and not script.over


def test_links_headings_and_needs(page):
    assert pages.links(page) == ['other.md#a-place']
    assert pages.anchors(page) == {'a-page-of-trials'}
    assert pages.needs(page) == [page.parent / 'other.md']


def test_an_open_fence_is_refused(page):
    page.write_text('```bash\nls\n')
    with pytest.raises(ValueError, match='not closed'):
        pages.blocks(page)
