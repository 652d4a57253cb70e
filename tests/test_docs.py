"""The documentation: links, settings that build, commands that parse and, slow, run as printed."""

import argparse
import ast
import functools
import importlib
import inspect
import itertools
import re
import runpy
import sys
import time
from pathlib import Path

import pytest
import yaml
from mmengine.config import Config
from mmengine.registry import DefaultScope, init_default_scope

import mmkd_sod.__main__
from mmkd_sod.models import task_modules
from mmkd_sod.models.distillers.entries import read_entry
from mmkd_sod.models.distillers.hkd_schedule import HKDSchedule
from mmkd_sod.registry import HOOKS, MODELS
from tests.clone import make_clone, shell
from tests.conftest import ROOT
from tests.onnx_networks import write_network
from tests.pages import ALL_BLOCKS, LANGUAGES, PAGES, anchors, blocks, links, needs, prose, title

PYTHON = [block for block in ALL_BLOCKS if block.language == 'python']
COMMANDS = [
    (block, command)
    for block in ALL_BLOCKS
    if block.language == 'bash'
    for command in block.commands
]
# What may begin a command; those of the shell are not looked at before they are run.
SHELL = ('cp', 'ln', 'mkdir', 'SWIN')
DOCS = ROOT / 'docs'


def by_name(items):
    return pytest.mark.parametrize('page', items, ids=title)


@by_name(PAGES)
def test_code_stands_in_fences_of_a_known_language(page):
    wrong = [str(block) for block in blocks(page) if block.language not in LANGUAGES]
    assert not wrong, 'fences without bash, python or text'
    lines = prose(page)
    indented = [
        f'{title(page)}:{number}'
        for (_, before), (number, line) in itertools.pairwise(lines)
        if line.startswith('    ') and not before
    ]
    assert not indented, 'indented blocks, which nothing tests'


@by_name(PAGES)
def test_links_lead_somewhere(page):
    for link in links(page):
        if '://' in link:
            continue
        path, _, anchor = link.partition('#')
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f'{title(page)} links {link}'
        if page.is_relative_to(DOCS):
            assert target.is_relative_to(DOCS), f'{title(page)}: {link} lies outside of docs/'
        if anchor:
            assert anchor in anchors(target), f'{title(page)}: {link} has no such heading'
    for found in needs(page):
        assert found in PAGES


def test_every_page_stands_in_the_navigation():
    def pages(node):
        if isinstance(node, str):
            return [node]
        return [
            page
            for item in (node.values() if isinstance(node, dict) else node)
            for page in pages(item)
        ]

    nav = pages(yaml.safe_load((ROOT / 'mkdocs.yml').read_text())['nav'])
    assert sorted(nav) == sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob('*.md'))


def rows(page) -> list:
    """Cells of a page's tables."""
    return [
        [cell.strip() for cell in line.strip('|').split('|')]
        for _, line in prose(page)
        if line.startswith('|')
    ]


def test_measured_and_published_numbers_are_told_alike():
    told = rows(DOCS / 'results.md')
    assert all(row in told for row in rows(ROOT / 'README.md') if row[0].startswith('seed'))
    # The configs' own pages say more of each recipe; the scores are the same.
    for method in ('crosskd', 'scfnet'):
        recipes = [set(row) for row in rows(ROOT / f'configs/{method}/README.md')]
        numbers = [
            {cell for cell in row if re.fullmatch(r'[\d. ]+', cell)}
            for row in rows(DOCS / f'{method}.md')
        ]
        scores = [row for row in numbers if len(row) >= 3]
        assert scores and all(any(row <= recipe for recipe in recipes) for row in scores)


def test_pictures_are_small():
    assert all(path.stat().st_size < 150_000 for path in (DOCS / 'images').iterdir())


def test_quoted_sentences_are_the_program_s():
    source = ''.join(path.read_text() for path in (ROOT / 'mmkd_sod').rglob('*.py'))
    source = re.sub(r"['\"]\s*\n\s*f?['\"]", '', source)
    source = re.sub(r'\{[^{}]*\}', '#', source)
    for _, line in prose(DOCS / 'troubleshooting.md'):
        if line.startswith("mmengine's"):
            continue
        for sentence in re.findall(r'"([^"]+)"', line):
            for part in re.split(r'\.\.\.|\b[NM]\b|\d+', sentence):
                if len(part.strip(" ,'")) > 2:
                    assert part.strip(" ,'") in source, sentence


def option_tables() -> list:
    """Rows ``| `name`, `name` | default |`` of tables of options: page, class, names, default."""
    found = []
    for page in PAGES:
        owner = None
        for _, line in prose(page):
            cells = [cell.strip() for cell in line.split('|')[1:3]] if line[:1] == '|' else []
            if not cells or not set(cells[0]) - set('- '):
                owner = owner if cells else None
            elif cells[0].startswith('option'):
                owner = (re.findall(r'option of `(\w+)`', cells[0]) or [''])[0]
            elif owner is not None:
                names = re.findall(r'`([\w.]+)`', cells[0])
                if '.' in names[0]:
                    owner, names[0] = names[0].split('.')
                found.append((page, owner, tuple(names), cells[1].replace('`', '')))
    return found


@pytest.mark.parametrize(
    ('page', 'owner', 'names', 'default'),
    option_tables(),
    ids=[f'{title(page)}-{owner}.{names[0]}' for page, owner, names, _ in option_tables()],
)
def test_options_have_the_defaults_that_a_page_names(page, owner, names, default):
    if owner.endswith('Cross'):
        cls = getattr(task_modules, owner)
    else:
        cls = (
            HKDSchedule
            if owner == 'HKDSchedule'
            else (HOOKS if owner.endswith('Hook') else MODELS).get(f'mmkd_sod.{owner}')
        )
    known = inspect.signature(cls).parameters
    try:
        told = ast.literal_eval(default or '...')
    except (SyntaxError, ValueError):  # said in words
        told = None
        default = 'words'
    for position, name in enumerate(names):
        own = known[name].default
        if default == '':
            assert own is inspect.Parameter.empty, f'{owner}.{name}: {own}'
        elif default != 'words':
            several = len(names) > 1 and isinstance(told, tuple)
            assert own == (told[position] if several else told), f'{owner}.{name}'


@pytest.fixture(scope='module')
def tree(tmp_path_factory):
    """The project by links, with the files that the pages write."""
    root = tmp_path_factory.mktemp('tree')
    for name in ('tools', 'Makefile', 'requirements', 'shipped'):
        if (ROOT / name).exists():
            (root / name).symlink_to(ROOT / name)
    (root / 'configs').mkdir()
    for folder in (ROOT / 'configs').iterdir():
        (root / 'configs' / folder.name).symlink_to(folder)
    for block in PYTHON:
        if block.path:
            path = root / block.path
            assert not path.is_symlink() and not path.parent.is_symlink(), block
            assert not path.exists(), f'{block}: another page writes {block.path} too'
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text)
    return root


@pytest.fixture
def inside(tree, monkeypatch):
    """The tree as the working folder; modules of its files and registered types go again."""
    monkeypatch.chdir(tree)
    monkeypatch.syspath_prepend(str(tree))
    write_network(tree / 'u2netp.onnx')
    yield tree
    written = {path.stem for path in tree.glob('*.py')}
    for name in [name for name, kind in MODELS.module_dict.items() if kind.__module__ in written]:
        del MODELS.module_dict[name]
    for name in written:
        sys.modules.pop(name, None)


def build(cfg: Config) -> None:
    """Build what a config names: its model and its hooks."""
    DefaultScope._instance_dict.clear()
    init_default_scope(cfg.get('default_scope') or 'mmengine')
    if cfg.get('model'):
        MODELS.build(cfg.model)
    for hook in cfg.get('custom_hooks') or []:
        HOOKS.build(hook)


def settings(block) -> list:
    """Assignments of a block, as dicts; a name that comes again begins another."""
    found = [{}]
    for statement in ast.parse(block.text).body:
        assert isinstance(statement, ast.Assign), f'{block}: settings are name=value'
        name = statement.targets[0].id
        if name in found[-1]:
            found.append({})
        found[-1][name] = eval(ast.unparse(statement.value))
    return found


@pytest.mark.parametrize('block', PYTHON, ids=str)
def test_settings_build(block, inside):
    if block.is_script:
        compile(block.text, str(block), 'exec')
        for node in ast.walk(ast.parse(block.text)):
            if isinstance(node, ast.ImportFrom) and node.module.startswith('mmkd_sod'):
                module = importlib.import_module(node.module)
                assert all(hasattr(module, alias.name) for alias in node.names)
    elif block.path:
        build(Config.fromfile(block.path))
    elif block.over:
        for options in settings(block):
            cfg = Config.fromfile(block.over)
            cfg.merge_from_dict(
                {
                    name if name in cfg or name == 'custom_hooks' else f'model.{name}': value
                    for name, value in options.items()
                }
            )
            build(cfg)
    elif isinstance(ast.parse(block.text).body[0], ast.Expr):
        entry, _ = read_entry(eval(block.text), 0)
        MODELS.build(entry)
    else:
        cfg = Config.fromstring(block.text, '.py')
        assert cfg.get('model'), f'{block}: name its file, or the config that it overrides'
        build(cfg)


class _ParsedError(BaseException):
    """Arguments were understood."""


def check_python(argv: list, monkeypatch) -> None:
    """Let a tool or command read its arguments, and stop it there."""
    if argv[:2] == ['-m', 'mmkd_sod']:
        mmkd_sod.__main__.parse_args(argv[2:])
        return
    parse = argparse.ArgumentParser.parse_args

    def stop(self, args=None, namespace=None):
        parse(self, args, namespace)
        raise _ParsedError

    monkeypatch.setattr(argparse.ArgumentParser, 'parse_args', stop)
    monkeypatch.setattr(sys, 'argv', argv)
    with pytest.raises(_ParsedError):
        runpy.run_path(argv[0], run_name='__main__')


def check_bash(argv: list, monkeypatch) -> None:
    """`tools/dist_*.sh CONFIG [CHECKPOINT] PROCESSES` and what their tool takes."""
    script, *words = argv
    assert Path(script).is_file()
    positional = 1 if script == 'tools/dist_train.sh' else 2
    assert words[positional].isdigit()
    tool = f'tools/{"train" if positional == 1 else "test"}.py'
    check_python([tool, *words[:positional], *words[positional + 1 :]], monkeypatch)


def check_pip(argv: list, monkeypatch) -> None:
    """Constraint files and extras are there."""
    assert argv[0] == 'install'
    files = [after for word, after in itertools.pairwise(argv) if word in ('-c', '-r')]
    assert all(Path(file).is_file() for file in files)
    extras = re.search(r'for name in \(([^)]*)\)', (ROOT / 'setup.py').read_text()).group(1)
    for extra in re.findall(r'\[(\w+)\]', ' '.join(argv)):
        assert f"'{extra}'" in extras and Path(f'requirements/{extra}.txt').is_file()


def check_mim(argv: list, monkeypatch) -> None:
    """The command is one of openmim's, and the config is one of this package's."""
    assert argv[0] in ('search', 'train', 'test') and argv[1] == 'mmkd_sod'
    for word in argv[2:]:
        assert not word.endswith('.py') or list((ROOT / 'configs').glob(f'*/{word}')), word


def check_make(argv: list, monkeypatch) -> None:
    """The target is one of the Makefile's."""
    text = (ROOT / 'Makefile').read_text()
    assert all(re.search(rf'^{target}:', text, re.M) for target in argv)


CHECKS = dict(python=check_python, bash=check_bash, pip=check_pip, make=check_make, mim=check_mim)


@pytest.mark.parametrize(
    ('block', 'command'), COMMANDS, ids=[f'{b}-{" ".join(c.argv[:3])}' for b, c in COMMANDS]
)
def test_commands_are_understood(block, command, inside, monkeypatch):
    argv = command.argv
    if argv[0] == 'srun':
        argv = argv[argv.index('python') :]
    for word in argv:
        if re.match(r'(configs/|tools/|mmkd_sod::)\S*\.(py|sh)$', word) and '::' not in word:
            assert Path(word).is_file(), f'{block}: {word} is not there'
    if argv[0] in CHECKS:
        if argv[1].startswith('shipped/'):
            argv[1] = str(ROOT / 'mmkd_sod/deployment/predict.py')
        CHECKS[argv[0]](argv[1:], monkeypatch)
    else:
        assert argv[0] in SHELL or argv[0].split('=')[0] in SHELL or command.reason, (
            f'{block}: nothing checks {argv[0]}'
        )


@pytest.fixture(scope='module')
def project(tmp_path_factory):
    """A clone with small data, shared by all pages."""
    return make_clone(tmp_path_factory.mktemp('clone'))


@functools.cache
def run_page(project: Path, page: Path) -> list:
    """Write a page's files and run its commands, once; the failures."""
    failed = [f for needed in needs(page) for f in run_page(project, needed)]
    for block in blocks(page):
        if block.path:
            path = project / block.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text)
    for block in blocks(page):
        lines = []
        if block.language == 'bash':
            lines = [command.text for command in block.commands if not command.reason]
        elif block.language == 'python' and block.is_script and not block.path:
            (project / 'page_script.py').write_text(block.text)
            lines = ['python page_script.py']
        for line in lines:
            began = time.monotonic()
            done = shell(project, line)
            print(f'{time.monotonic() - began:6.1f} s  {line}')
            # Trained on a handful of images, a teacher may be no better than a random one: the
            # doctor says so, and leaves with 1.
            if done.returncode not in ((0, 1) if ' doctor ' in line else (0,)) or (
                'Traceback' in done.stdout
            ):
                failed.append(f'{block}: {line}\n{done.stdout[-2500:]}')
    return failed


@pytest.mark.slow
@by_name(
    [
        page
        for page in PAGES
        if any(not command.reason for block, command in COMMANDS if block.page == page)
    ]
)
def test_commands_run_as_printed(page, project):
    failures = run_page(project, page)
    assert not failures, '\n'.join(failures)
