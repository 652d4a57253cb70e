"""Running functions in several forked processes of a gloo group."""

import datetime
import multiprocessing
import os
import time
import traceback

import torch


def _rank(work, rank, world, folder):
    torch.set_num_threads(1)
    try:
        torch.distributed.init_process_group(
            'gloo',
            init_method=f'file://{folder}/store',
            rank=rank,
            world_size=world,
            timeout=datetime.timedelta(seconds=60),
        )
        torch.save(work(rank, world), folder / f'{rank}.pt')
        torch.distributed.barrier()
    except BaseException:
        (folder / f'{rank}.log').write_text(traceback.format_exc())
        os._exit(1)
    os._exit(0)


def in_ranks(world, work, folder, timeout=150) -> list:
    """Return the results of ``work(rank, world)`` in each process, as saved by ``torch.save``.

    Fails with the ranks' errors if one of them fails or they are blocked.
    """
    folder.mkdir(parents=True)
    start = multiprocessing.get_context('fork').Process
    ranks = [start(target=_rank, args=(work, rank, world, folder)) for rank in range(world)]
    deadline = time.monotonic() + timeout
    for process in ranks:
        process.start()
    try:
        for process in ranks:
            process.join(max(0, deadline - time.monotonic()))
    finally:
        hung = [process for process in ranks if process.is_alive()]
        for process in hung:
            process.kill()
            process.join()
    errors = ''.join(path.read_text()[-3000:] for path in folder.glob('*.log'))
    ends = [process.exitcode for process in ranks]
    assert not hung and not any(ends), (ends, errors)
    return [torch.load(folder / f'{rank}.pt', weights_only=True) for rank in range(world)]
