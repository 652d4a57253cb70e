"""Images and labels agree."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from mmkd_sod.datasets.scenes.layout import SceneObject, random_layout
from mmkd_sod.datasets.scenes.render import render, salient_instance, visible_objects
from mmkd_sod.datasets.scenes.shapes import SHAPES
from mmkd_sod.datasets.scenes.textures import Texture

RED = Texture('plain', ((0, 0, 255), (0, 0, 255)), 10.0, 0.0, 0)


def layout_of(*objects):
    layout = random_layout(np.random.default_rng(0), 100, 80)
    return replace(layout, objects=objects, strokes=(), light=(0.0, 0.0), noise=0.0)


def disk(x, y, radius, depth):
    return SceneObject('disk', (x, y), radius, 1.0, 0.0, depth, RED)


def test_render_is_deterministic():
    layout = random_layout(np.random.default_rng(5), 160, 120)
    first, second = render(layout), render(layout)
    assert first.image.shape == (120, 160, 3) and first.depth.shape == (120, 160)
    for name in ('image', 'instances', 'depth'):
        array = getattr(first, name)
        assert array.dtype == np.uint8
        np.testing.assert_array_equal(array, getattr(second, name))
    assert (first.labels, first.salient) == (second.labels, second.salient)


@pytest.mark.parametrize('seed', range(8))
def test_labels_and_instances_agree(seed):
    scene = render(random_layout(np.random.default_rng(seed), 160, 160))
    numbers = set(np.unique(scene.instances)) - {0}
    assert numbers == set(range(1, len(scene.labels) + 1))
    assert all(0 <= label < len(SHAPES) for label in scene.labels)
    assert 1 <= scene.salient <= len(scene.labels)


def test_the_nearer_object_hides_the_other_in_every_array():
    scene = render(layout_of(disk(40, 40, 15, 0.5), disk(55, 40, 15, 0.8)))
    assert scene.instances[40, 50] == 1 and scene.instances[40, 30] == 2
    near, far = (np.median(scene.depth[scene.instances == number]) for number in (1, 2))
    assert near == pytest.approx(0.8 * 255, abs=4) and far == pytest.approx(0.5 * 255, abs=4)
    assert scene.depth[0].max() < 0.3 * 255
    assert scene.image[40, 50, 2] > 120 and scene.image[40, 50, :2].max() < 10


def test_depth_follows_the_order_of_occlusion_everywhere():
    for seed in range(10):
        scene = render(random_layout(np.random.default_rng(seed), 160, 160))
        # Instances are numbered from near to far; the background is farther than all.
        ranges = [
            scene.depth[scene.instances == number]
            for number in (*range(1, len(scene.labels) + 1), 0)
        ]
        for nearer, farther in pairwise(ranges):
            assert int(nearer.min()) >= int(farther.max())


def test_a_hidden_object_is_omitted_and_hides_nothing():
    front, hidden, back = disk(50, 40, 20, 0.9), disk(50, 42, 19, 0.7), disk(66, 40, 18, 0.5)
    kept = [item for item, _, _ in visible_objects(layout_of(back, hidden, front))]
    assert kept == [front, back]
    scene = render(layout_of(back, hidden, front))
    assert scene.labels == (0, 0) and scene.instances.max() == 2


def test_salient_instance_is_large_and_unlike_its_surroundings():
    image = np.full((60, 90, 3), 100, dtype=np.uint8)
    instances = np.zeros((60, 90), dtype=np.uint8)
    instances[10:30, 10:30], instances[10:30, 55:75] = 1, 2
    image[instances == 1], image[instances == 2] = (105, 100, 100), (0, 0, 255)
    assert salient_instance(image, instances, 2) == 2
    image[instances == 1] = (0, 0, 255)
    instances[30:45, 10:30] = 1
    image[30:45, 10:30] = (0, 0, 255)
    assert salient_instance(image, instances, 2) == 1
    assert salient_instance(image, np.zeros_like(instances), 0) == 0


def test_an_empty_scene_renders():
    scene = render(layout_of())
    assert scene.labels == () and scene.salient == 0 and scene.instances.max() == 0
