"""Writing a teacher's saliency maps to disk for later training."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from mmkd_sod.errors import ConfigError, DataError
from mmkd_sod.models.saliency_inferencer import SaliencyInferencer
from mmkd_sod.utils.files import (
    atomic_path,
    open_appending,
    read_bytes,
    refuse_links,
    remove_leftovers,
    write_json,
)
from mmkd_sod.utils.image_lists import listed
from mmkd_sod.utils.images import read_image
from mmkd_sod.utils.progress import progress_bar
from mmkd_sod.utils.weak_labels import claim, label_path, read_label, write_label

REPORT = 'report.json'
KEPT = 'kept.txt'


def label_statistics(label: np.ndarray) -> dict[str, float]:
    """Return the confidence and the salient share of a map.

    Args:
        label (np.ndarray): Probabilities p, (H, W), in [0, 1].

    Returns:
        dict: ``confidence``, the mean of ``|2 p - 1|``, in [0, 1]: 1 if all pixels are 0 or 1, 0 if
        all are 1/2; and ``salient``, the mean of ``p``.
    """
    return dict(
        confidence=float(np.abs(2 * label.astype(np.float64) - 1).mean()),
        salient=float(label.mean(dtype=np.float64)),
    )


class WeakLabelWriter:
    """Writes the weak labels of a data set; can be resumed and split among processes.

    The folder contains ``<set>/<image>.png``, ``labels.json`` (key of the teacher),
    ``stats.*.jsonl`` (one line per image, one file per process) and, after the last label,
    ``report.json`` and ``kept.txt`` (images that passed the filter, a list for
    ``UnlabelledImageDataset``). Existing labels are not written again.

    Args:
        inferencer (SaliencyInferencer): The teacher.
        images (Sequence[dict]): ``img_path``, ``img_name`` and ``dataset_name`` of each image, as
            in the entries of a ``SODDataset``.
        out (str | Path): Output folder.
        img_dir (str | Path): Folder to which the paths in ``kept.txt`` are relative.
        bits (int): 8 or 16 bits per pixel.
        min_confidence (float): Minimum confidence of the images in ``kept.txt``, in [0, 1].
        rank (int): Index of this process, which writes every ``world``-th image.
        world (int): Number of processes.

    Raises:
        ConfigError: ``bits``, ``rank`` or ``min_confidence`` is out of range.
        DataError: The folder has labels of another teacher.
    """

    def __init__(
        self,
        inferencer: SaliencyInferencer,
        images: Sequence[dict],
        out,
        img_dir,
        bits: int = 16,
        min_confidence: float = 0.0,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        if bits not in (8, 16) or not 0 <= min_confidence <= 1 or not 0 <= rank < world:
            raise ConfigError(
                f'weak labels: got bits={bits}, min_confidence={min_confidence}, rank={rank}, '
                f'world={world}; bits must be 8 or 16, min_confidence in [0, 1] and rank below '
                'world; change these options'
            )
        self.inferencer = inferencer
        self.images = images
        self.out = Path(out)
        self.img_dir = Path(img_dir)
        self.bits = bits
        self.min_confidence = min_confidence
        self.rank, self.world = rank, world

    def _path(self, image: dict) -> Path:
        return label_path(self.out, image['dataset_name'], image['img_name'])

    def _read(self, images: Sequence[dict], advance, record) -> Iterator[tuple]:
        for image in images:
            try:
                yield image, read_image(image['img_path'])
            except DataError as error:
                record(image, error=str(error))
                advance()

    def run(self, show: bool = True) -> dict | None:
        """Write the missing labels of this process.

        Args:
            show (bool): Whether to show a progress bar.

        Returns:
            dict, optional: The report if the labels of all processes are complete, else None.
        """
        key = self.inferencer.key
        claim(
            self.out,
            key,
            bits=self.bits,
            side=self.inferencer.side,
            teacher=Path(str(self.inferencer.config.filename)).name,
        )
        for folder in {self.out, *(self._path(image).parent for image in self.images)}:
            remove_leftovers(folder)
        broken = {name for name, entry in self._statistics().items() if 'error' in entry}
        share = [
            image
            for image in self.images[self.rank :: self.world]
            if not self._path(image).exists() and self._name(image) not in broken
        ]
        with (
            progress_bar(len(share), show and self.rank == 0) as advance,
            open_appending(self.out / f'stats.{self.rank}of{self.world}.jsonl') as file,
        ):
            # Ends a line that an interrupted process may have left incomplete.
            file.write('\n')

            def record(image: dict, **entry) -> None:
                file.write(json.dumps(dict(image=self._name(image), **entry)) + '\n')
                file.flush()

            for image, _, saliency in self.inferencer.stream(self._read(share, advance, record)):
                refuse_links(self._path(image), self.out)
                write_label(self._path(image), saliency, self.bits)
                record(image, **label_statistics(saliency))
                advance()
        return self._report()

    @staticmethod
    def _name(image: dict) -> str:
        return f'{image["dataset_name"]}/{image["img_name"]}'

    def _statistics(self) -> dict[str, dict]:
        """Return the records of all processes by image; later ones override earlier ones."""
        found = {}
        for path in sorted(self.out.glob('stats.*.jsonl')):
            for line in read_bytes(path).splitlines():
                try:
                    entry = json.loads(line)
                    name = str(entry.pop('image'))
                    if 'error' in entry or all(
                        0 <= float(entry[key]) <= 1 for key in ('confidence', 'salient')
                    ):
                        found[name] = entry
                except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                    continue  # an incomplete line; `_report` computes it from the label
        return found

    def _report(self) -> dict | None:
        """Write the report and the list if all labels exist."""
        records = self._statistics()
        kept: list[dict] = []
        dropped: list[dict] = []
        broken, confidences, salient = [], [], []
        for image in self.images:
            entry, path = records.get(self._name(image), {}), self._path(image)
            if path.exists():
                if 'confidence' not in entry:
                    entry = label_statistics(read_label(path))
                confidences.append(entry['confidence'])
                salient.append(entry['salient'])
                confident = entry['confidence'] >= self.min_confidence
                (kept if confident else dropped).append(image)
            elif 'error' in entry:
                broken.append(entry['error'])
            else:
                return None
        counts, edges = np.histogram(confidences, bins=10, range=(0, 1))
        report = dict(
            images=len(self.images),
            kept=len(kept),
            min_confidence=self.min_confidence,
            mean_confidence=float(np.mean(confidences)) if confidences else None,
            mean_salient=float(np.mean(salient)) if salient else None,
            confidence_histogram={
                f'{low:.1f}-{low + 0.1:.1f}': int(n) for low, n in zip(edges, counts, strict=False)
            },
            dropped=[self._name(image) for image in dropped],
            unreadable=broken,
        )
        with atomic_path(self.out / KEPT) as path:
            lines = [
                listed(str(Path(image['img_path']).relative_to(self.img_dir))) for image in kept
            ]
            path.write_text(
                ''.join(f'{line}\n' for line in lines), encoding='utf-8', errors='surrogateescape'
            )
        write_json(self.out / REPORT, report, indent=1)
        return report
