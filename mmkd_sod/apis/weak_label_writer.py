"""Writing a teacher's saliency maps once, for many trainings."""
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from mmkd_sod.errors import ConfigError, DataError
from mmkd_sod.models.saliency_inferencer import SaliencyInferencer
from mmkd_sod.utils.files import atomic_path, write_json
from mmkd_sod.utils.images import read_image
from mmkd_sod.utils.progress import progress_bar
from mmkd_sod.utils.weak_labels import claim, label_path, read_label, write_label

REPORT = 'report.json'
KEPT = 'kept.txt'


def label_statistics(label: np.ndarray) -> dict[str, float]:
    """How sure a map is, and how much it marks.

    Args:
        label (np.ndarray): (H, W), in [0, 1].

    Returns:
        dict: ``confidence``, the mean of ``|2 p - 1|`` over the pixels, in [0, 1]: 1 where every
        pixel is 0 or 1, 0 where all are 1/2; and ``salient``, the mean of ``p``.
    """
    return dict(confidence=float(np.abs(2 * label.astype(np.float64) - 1).mean()),
                salient=float(label.mean(dtype=np.float64)))


class WeakLabelWriter:
    """Writes the weak labels of a data set, resumably and shared among processes.

    The folder holds ``<set>/<image>.png``, ``labels.json`` (whose labels they are),
    ``stats.*.jsonl`` (one line an image, one file a process) and, when all is done, ``report.json``
    and ``kept.txt`` (the images that passed the filter, as a list for ``UnlabelledImageDataset``).
    A label that is there is never written again.

    Args:
        inferencer (SaliencyInferencer): The teacher.
        images (Sequence[dict]): ``img_path``, ``img_name``, ``dataset_name`` of each image, as the
            entries of a ``SODDataset`` have them.
        out (str | Path): The folder.
        img_dir (str | Path): Folder that ``kept.txt`` names images relative to.
        bits (int): 8 or 16.
        min_confidence (float): Images whose map is less sure are left out of ``kept.txt``.
        rank, world (int): This process and how many there are; it takes every ``world``-th image.

    Raises:
        ConfigError: ``bits``, ``rank`` or ``min_confidence`` make no sense.
        DataError: The folder holds another teacher's labels.
    """

    def __init__(self, inferencer: SaliencyInferencer, images: Sequence[dict], out, img_dir,
                 bits: int = 16, min_confidence: float = 0., rank: int = 0,
                 world: int = 1) -> None:
        if bits not in (8, 16) or not 0 <= min_confidence <= 1 or not 0 <= rank < world:
            raise ConfigError(
                f'weak labels: bits={bits} must be 8 or 16, min_confidence={min_confidence} in '
                f'[0, 1], and rank={rank} below world={world}')
        self.inferencer = inferencer
        self.images = images
        self.out = Path(out)
        self.img_dir = Path(img_dir)
        self.bits = bits
        self.min_confidence = min_confidence
        self.rank, self.world = rank, world

    def _path(self, image: dict) -> Path:
        return label_path(self.out, image['dataset_name'], image['img_name'])

    def _read(self, images: Sequence[dict], tell, note) -> Iterator[tuple]:
        for image in images:
            try:
                yield image, read_image(image['img_path'])
            except DataError as error:
                note(image, error=str(error))
                tell()

    def run(self, show: bool = True) -> dict | None:
        """Write this process's share of what is missing.

        Args:
            show (bool): Show progress with the time left.

        Returns:
            dict, optional: The report when every process's share is done, else None.
        """
        key = self.inferencer.key
        claim(self.out, key, bits=self.bits, side=self.inferencer.side,
              teacher=Path(str(self.inferencer.config.filename)).name)
        broken = {name for name, entry in self._statistics().items() if 'error' in entry}
        share = [image for image in self.images[self.rank::self.world]
                 if not self._path(image).exists() and self._name(image) not in broken]
        with (progress_bar(len(share), show and self.rank == 0) as tell,
              open(self.out / f'stats.{self.rank}of{self.world}.jsonl', 'a') as file):

            # Ends the line that an interruption may have cut off.
            file.write('\n')

            def note(image: dict, **entry) -> None:
                file.write(json.dumps(dict(image=self._name(image), **entry)) + '\n')
                file.flush()

            for image, _, saliency in self.inferencer.stream(self._read(share, tell, note)):
                write_label(self._path(image), saliency, self.bits)
                note(image, **label_statistics(saliency))
                tell()
        return self._report()

    @staticmethod
    def _name(image: dict) -> str:
        return f"{image['dataset_name']}/{image['img_name']}"

    def _statistics(self) -> dict[str, dict]:
        """What all processes noted, by image; the last word counts."""
        found = {}
        for path in sorted(self.out.glob('stats.*.jsonl')):
            for line in path.read_text().splitlines():
                try:
                    entry = json.loads(line)
                    found[entry.pop('image')] = entry
                except (ValueError, KeyError):
                    continue  # cut off by an interruption; read from the label instead
        return found

    def _report(self) -> dict | None:
        """Write report and list when all labels are there."""
        noted = self._statistics()
        kept: list[dict] = []
        dropped: list[dict] = []
        broken, confidences, salient = [], [], []
        for image in self.images:
            entry, path = noted.get(self._name(image), {}), self._path(image)
            if path.exists():
                if 'confidence' not in entry:
                    entry = label_statistics(read_label(path))
                confidences.append(entry['confidence'])
                salient.append(entry['salient'])
                sure = entry['confidence'] >= self.min_confidence
                (kept if sure else dropped).append(image)
            elif 'error' in entry:
                broken.append(entry['error'])
            else:
                return None
        counts, edges = np.histogram(confidences, bins=10, range=(0, 1))
        report = dict(
            images=len(self.images), kept=len(kept), min_confidence=self.min_confidence,
            mean_confidence=float(np.mean(confidences)) if confidences else None,
            mean_salient=float(np.mean(salient)) if salient else None,
            confidence_histogram={f'{low:.1f}-{low + .1:.1f}': int(n)
                                  for low, n in zip(edges, counts, strict=False)},
            dropped=[self._name(image) for image in dropped], unreadable=broken)
        with atomic_path(self.out / KEPT) as path:
            path.write_text(''.join(
                f"{Path(image['img_path']).relative_to(self.img_dir)}\n" for image in kept))
        write_json(self.out / REPORT, report, indent=1)
        return report
