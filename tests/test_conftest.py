"""What the fixtures leave between tests."""

import io
import logging

from mmengine.logging import MMLogger

from tests.conftest import release_captured_streams


def test_loggers_do_not_keep_a_closed_stream(capsys):
    loggers = [MMLogger('of_a_test', logger_name='of_a_test'), logging.getLogger('of_a_test.too')]
    for logger in loggers:
        stream = io.StringIO()
        logger.addHandler(logging.StreamHandler(stream))
        stream.close()
        logger.error('told to nobody')
    assert 'Logging error' in capsys.readouterr().err
    MMLogger._instance_dict['of_a_test'] = loggers[0]
    try:
        release_captured_streams()
        for logger in loggers:
            logger.error('told')
    finally:
        del MMLogger._instance_dict['of_a_test']
        loggers[1].handlers.clear()
    assert 'Logging error' not in capsys.readouterr().err
