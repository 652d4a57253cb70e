"""Deciding once per folder how its saliency masks are read."""

import contextlib
import logging
from collections.abc import Iterator, Sequence

import numpy as np
from mmengine.logging import print_log

from mmkd_sod.errors import DataError
from mmkd_sod.utils.images import load_mask
from mmkd_sod.utils.mask_kinds import MEANINGS, UNSURE, Mask, MaskRule, choose, unclear

# Maximum number of masks of a folder that are read before the decision.
SAMPLE = 48
# Masks that are mostly salient are probably inverted, or not masks.
_MUCH = 0.6


def _readable(paths: Sequence[str]) -> Iterator[tuple[str, Mask]]:
    """Yield masks; those that cannot be read are refused when they are needed."""
    for path in paths:
        with contextlib.suppress(DataError):
            yield path, load_mask(path)


def decide(paths: Sequence[str], name: str, setting=None) -> MaskRule | None:
    """Decide how the masks of a folder are read, from evenly spaced samples, and log it.

    Masks that are read later and do not fit are refused by ``read_mask``.

    Args:
        paths (Sequence[str]): Masks of the folder, at least one.
        name (str): Name of the data set, for messages.
        setting: ``mask_values`` of the data set; None decides by the masks.

    Returns:
        MaskRule: The rule; None if none of the masks can be read.

    Raises:
        ConfigError: The setting is not known.
        DataError: A mask does not fit the setting, its values have several meanings, or two masks
            do not fit one rule. The message names the files.
    """
    stated = MaskRule.from_setting(setting)
    chosen = np.linspace(0, len(paths) - 1, min(SAMPLE, len(paths))).round().astype(int)
    masks = _readable([paths[i] for i in chosen])
    if stated is not None:
        return _check_stated(masks, stated, name)
    # Only shares and a few examples are kept, since masks may be large.
    common: frozenset | None = None
    first: tuple[str, str] = ('', '')
    open_question, shares = '', []
    for path, mask in masks:
        if not mask.rules:
            raise DataError(f'{name}: {unclear(mask, path)}')
        rules = mask.rules - {UNSURE}
        if common is not None and not common & rules:
            raise DataError(
                f"{name}: masks '{first[0]}' ({first[1]}) and '{path}' ({mask.describe()}) cannot "
                'be read in one way; give both the same values, or set mask_values'
            )
        if UNSURE in mask.rules:
            open_question = open_question or unclear(mask, path)
        if common is None or common - rules:
            first = path, mask.describe()
        common = rules if common is None else common & rules
        shares.append(_share(mask, choose(rules)))
    if common is None:
        return None
    found = choose(common)
    if found is None or (open_question and len(common) > 1):
        raise DataError(f'{name}: {open_question}')
    _state(found, name, first, shares, len(paths))
    return found


def _check_stated(masks, rule: MaskRule, name: str) -> MaskRule:
    for path, mask in masks:
        if not mask.fits(rule):
            raise DataError(
                f"{name}: mask '{path}' ({mask.describe()}) does not fit mask_values="
                f"'{rule.kind}' ({MEANINGS[rule.kind]}); correct one of them"
            )
    return rule


def _share(mask: Mask, rule: MaskRule | None) -> float:
    return 0.0 if rule is None else float((mask.read(rule)[0] > 128).mean())


def _state(rule: MaskRule, name: str, first: tuple, shares: list, total: int) -> None:
    share = float(np.mean(shares))
    print_log(
        f'{name}: masks are read as {MEANINGS[rule.kind]}; decided by {len(shares)} of {total}, '
        f"such as '{first[0]}' ({first[1]}); {share:.1%} of the pixels are salient",
        logger='current',
    )
    fault = (
        'is salient; if background and object are exchanged, invert the masks'
        if share > _MUCH
        else 'is not salient in any of them; check the masks'
        if not share
        else ''
    )
    if fault:
        print_log(
            f'{name}: {max(share, 1 - share):.0%} of the area of the masks {fault}, or set '
            'mask_values',
            logger='current',
            level=logging.WARNING,
        )
