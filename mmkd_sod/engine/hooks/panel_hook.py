"""Hook that draws panels of ground truth, teacher and student during training."""

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper

from mmkd_sod.engine.sample_images import SampleImages
from mmkd_sod.errors import ConfigError
from mmkd_sod.registry import HOOKS
from mmkd_sod.visualization.grid import image_grid
from mmkd_sod.visualization.predictions import draw_prediction


@HOOKS.register_module()
class PanelHook(Hook):
    """Draws the predictions of teacher and student on the same images every N steps.

    Draws boxes, class masks or saliency maps on evenly spaced images of the validation data. Each
    row is an image; the columns are ground truth, teacher (predicted once, since it is frozen) and
    student, or ground truth and model for a plain model. The runner's ``Visualizer`` passes panels
    to its backends: ``LocalVisBackend`` writes ``vis_image/panel_<step>.png``,
    ``TensorboardVisBackend`` logs an image. Set backends in the config's ``visualizer``:
    ``dict(type='mmdet.DetLocalVisualizer', vis_backends=[...])``.

    The student predicts in eval mode without gradients, and its mode is restored. With a
    deterministic validation pipeline panels do not change the training. In a distributed run rank 0
    draws.

    Args:
        interval (int): Steps between panels; the first is drawn before the first step.
        images (int): Number of images.
        score_thr (float): Minimum score of drawn boxes.
        side (int): Minimum length of the longer side in pixels; smaller images are enlarged.

    Raises:
        ConfigError: ``interval`` or ``images`` is below 1, or the run has no ``val_dataloader``.
    """

    priority = 'LOW'

    def __init__(
        self, interval: int = 500, images: int = 4, score_thr: float = 0.3, side: int = 320
    ) -> None:
        if interval < 1 or images < 1:
            raise ConfigError(
                f'PanelHook: got interval={interval} and images={images}; both must '
                'be at least 1; change the hook in custom_hooks'
            )
        self.interval = interval
        self.images = images
        self.score_thr = score_thr
        self.side = side
        self._samples: SampleImages
        self._teacher: list | None = None

    def before_train(self, runner) -> None:
        """Read the images and draw the first panel, also in a resumed run."""
        loop = runner.val_loop
        if loop is None:
            raise ConfigError(
                'PanelHook: the config has no val_dataloader; the hook draws its '
                'images; add one, or remove the hook'
            )
        if is_main_process():
            self._samples = SampleImages(loop.dataloader.dataset, self.images)
            self._teacher = None
            self._draw(runner, runner.iter)

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Draw a panel every ``interval`` steps."""
        if is_main_process() and self.every_n_train_iters(runner, self.interval):
            self._draw(runner, runner.iter + 1)

    def _columns(self, model) -> dict:
        """Return the predictions on all images by title of the column."""
        samples = self._samples
        # That of a distillation preprocesses for teacher and student.
        preprocessor = model.data_preprocessor
        teacher = getattr(model, 'teacher', None)
        student = model.student if hasattr(model, 'student') else model
        predictions = samples.predictions(student, preprocessor)
        columns: dict[str, list] = {}
        truths = samples.truths(predictions[0])
        if None not in truths:
            columns['truth'] = truths
        if teacher is not None:
            if self._teacher is None:
                self._teacher = samples.predictions(teacher, preprocessor)
            columns['teacher'] = self._teacher
        return {**columns, 'student' if hasattr(model, 'student') else 'model': predictions}

    def _draw(self, runner, step: int) -> None:
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        columns, samples = self._columns(model), self._samples
        rows = [
            [
                draw_prediction(
                    image,
                    predictions[index],
                    samples.classes,
                    samples.palette,
                    self.score_thr,
                    self.side,
                )
                for predictions in columns.values()
            ]
            for index, image in enumerate(samples.images)
        ]
        runner.visualizer.add_image('panel', image_grid(rows, list(columns)), step)
