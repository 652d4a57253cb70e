"""Panels of truth, teacher and student while a student is trained."""
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper

from mmkd_sod.engine.sample_images import SampleImages
from mmkd_sod.errors import ConfigError
from mmkd_sod.registry import HOOKS
from mmkd_sod.visualization.answers import draw_answer
from mmkd_sod.visualization.grid import image_grid


@HOOKS.register_module()
class PanelHook(Hook):
    """Draw what teacher and student answer on the same few images, every N steps.

    Detectors' boxes, segmentors' class masks and saliency maps, over images of the validation
    split, spread evenly. A row is an image; the columns are the truth, the teacher (frozen, so it
    predicts once) and the student; a plain model has no teacher column. Panels go through the
    runner's ``Visualizer`` to each back end: ``LocalVisBackend`` writes
    ``vis_image/panel_<step>.png`` beside the run's scalars, ``TensorboardVisBackend``, where
    tensorboard is installed, an image of that step. The back ends are named in the config's
    ``visualizer``: ``dict(type='mmdet.DetLocalVisualizer', vis_backends=[...])``.

    The student predicts in eval mode, without gradients, and is put back; a deterministic
    validation pipeline takes nothing from the random streams, so the training is the same with and
    without panels. In a distributed run the first process draws.

    Args:
        interval (int): Steps from one panel to the next; the first is drawn before the first step.
        images (int): How many images.
        score_thr (float): Boxes below this score are not drawn.
        side (int): Smaller images are enlarged until their longer side has this many pixels.

    Raises:
        ConfigError: Nonsense in ``interval`` or ``images``, or a run without ``val_dataloader``.
    """

    priority = 'LOW'

    def __init__(self, interval: int = 500, images: int = 4, score_thr: float = 0.3,
                 side: int = 320) -> None:
        if interval < 1 or images < 1:
            raise ConfigError(f'PanelHook: interval={interval} and images={images} must be at '
                              'least 1')
        self.interval = interval
        self.images = images
        self.score_thr = score_thr
        self.side = side
        self._samples: SampleImages
        self._teacher: list | None = None

    def before_train(self, runner) -> None:
        """Read the images and draw the first panel; a resumed run draws where it goes on."""
        loop = runner.val_loop
        if loop is None:
            raise ConfigError('PanelHook: the run has no val_dataloader, whose images are drawn; '
                              'add one, or take the hook out')
        if is_main_process():
            self._samples = SampleImages(loop.dataloader.dataset, self.images)
            self._teacher = None
            self._draw(runner, runner.iter)

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Draw when it is time."""
        if is_main_process() and self.every_n_train_iters(runner, self.interval):
            self._draw(runner, runner.iter + 1)

    def _columns(self, model) -> dict:
        """Answers on every image by title: those of a distillation, or of a plain model."""
        samples = self._samples
        # A distillation preprocesses for both.
        preprocessor = model.data_preprocessor
        teacher = getattr(model, 'teacher', None)
        student = model.student if hasattr(model, 'student') else model
        answers = samples.predictions(student, preprocessor)
        columns: dict[str, list] = {}
        truths = samples.truths(answers[0])
        if None not in truths:
            columns['truth'] = truths
        if teacher is not None:
            if self._teacher is None:
                self._teacher = samples.predictions(teacher, preprocessor)
            columns['teacher'] = self._teacher
        return {**columns, 'student' if hasattr(model, 'student') else 'model': answers}

    def _draw(self, runner, step: int) -> None:
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        columns, samples = self._columns(model), self._samples
        rows = [[draw_answer(image, answers[index], samples.classes, samples.palette,
                             self.score_thr, self.side) for answers in columns.values()]
                for index, image in enumerate(samples.images)]
        runner.visualizer.add_image('panel', image_grid(rows, list(columns)), step)
