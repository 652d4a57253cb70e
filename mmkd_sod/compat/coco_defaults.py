"""mmdet's COCO data sets and pycocotools end with a KeyError for annotations without defaults.

Annotations without ``iscrowd`` end training at the first evaluation, those without ``area`` when
they are read. Both get the defaults of the COCO format in memory; the file is not changed.
"""

import logging
from collections import Counter

from mmengine.logging import print_log

from .entry import Entry


def fill_defaults(annotations: list) -> Counter:
    """Add ``iscrowd`` 0 and ``area`` width x height where they are missing.

    Args:
        annotations (list): Annotations of a COCO json; changed in place.

    Returns:
        Counter: Number of values that were added, by key.
    """
    added: Counter = Counter()
    for entry in annotations:
        box = entry.get('bbox')
        if 'iscrowd' not in entry:
            entry['iscrowd'] = 0
            added['iscrowd'] += 1
        if 'area' not in entry and isinstance(box, list) and len(box) == 4:
            entry['area'] = box[2] * box[3]
            added['area'] += 1
    return added


def fill_when_indexed() -> None:
    """Fill in the defaults when mmdet's COCO class indexes a file."""
    from mmdet.datasets.api_wrappers import coco_api

    index, stated = coco_api.COCO.createIndex, set()

    def create_index(self) -> None:
        annotations = self.dataset.get('annotations') if isinstance(self.dataset, dict) else None
        if isinstance(annotations, list) and all(isinstance(entry, dict) for entry in annotations):
            for key, count in fill_defaults(annotations).items():
                default = '0' if key == 'iscrowd' else 'width x height of the box'
                text = f'{count} annotations have no {key}; it is taken as {default}'
                if text not in stated:
                    stated.add(text)
                    print_log(text, logger='current', level=logging.WARNING)
        index(self)

    coco_api.COCO.createIndex = create_index


ENTRY = Entry(
    name='coco_defaults',
    packages=('mmdet',),
    versions='>=3.0,<4',
    attributes={'mmdet.datasets.api_wrappers.coco_api:COCO.createIndex': ('self',)},
    after='mmdet.datasets.api_wrappers.coco_api',
    why='annotations without iscrowd or area end training at the first evaluation',
    until='an mmdet that fills in the defaults of the COCO format',
    patch=fill_when_indexed,
)
