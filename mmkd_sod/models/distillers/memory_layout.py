"""Which distillers mind how the maps of a teacher's head lie in memory."""
from mmrazor.models.distillers import BaseDistiller
from mmrazor.models.task_modules.recorder import ModuleInputsRecorder, ModuleOutputsRecorder

_FEATURES = ('backbone', 'neck')


def takes_any_layout(distiller: BaseDistiller) -> bool:
    """Whether the teacher's head may answer in any memory format.

    Backbone and neck hand out plain maps anyway; of mmrazor's losses some fail on others.

    Args:
        distiller (BaseDistiller): One of this package says so itself; another does not mind where
            its recorders read outputs or inputs of modules of backbone and neck alone.
    """
    own = getattr(distiller, 'any_layout', None)
    if own is not None:
        return own
    recorders = getattr(getattr(distiller, 'teacher_recorders', None), 'recorders', None)
    return isinstance(recorders, dict) and all(
        isinstance(one, (ModuleInputsRecorder, ModuleOutputsRecorder))
        and one.source.split('.')[0] in _FEATURES for one in recorders.values())
