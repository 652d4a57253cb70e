"""``'mmseg::...'`` makes mmengine install mmsegmentation where only its fork is.

onedl-mmsegmentation brings the module under another name of the distribution, and the forks'
mmengine still looks for the old one, which pip would then write over the fork.
"""

from .entry import Entry


def find_configs_of_the_fork() -> None:
    """Let mmengine look for ``mmseg::`` configs in onedl-mmsegmentation."""
    from mmengine.config.utils import MODULE2PACKAGE

    MODULE2PACKAGE['mmseg'] = 'onedl-mmsegmentation'


ENTRY = Entry(
    name='onedl_configs',
    packages=('onedl-mmsegmentation',),
    versions='>=1.2,<2',
    unless=('mmsegmentation',),
    attributes={'mmengine.config.utils:MODULE2PACKAGE': None},
    why="onedl-mmengine finds no 'mmseg::' configs of its own fork",
    until="an onedl-mmengine that knows its fork's distribution",
    patch=find_configs_of_the_fork,
)
