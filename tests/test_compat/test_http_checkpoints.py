"""Downloaded checkpoints are read with the weights-only loader."""

import os
import socket
import subprocess
import sys

import pytest
import torch
from mmengine.runner.checkpoint import CheckpointLoader

from mmkd_sod.compat.http_checkpoints import load_from_http
from mmkd_sod.errors import CheckpointError
from mmkd_sod.utils.downloads import cached_path
from tests.servers import serving


class Evil:
    def __reduce__(self):
        return (print, ('run',))


def test_mmengine_takes_the_safe_loader_and_logs_the_name_of_its_own():
    loader = CheckpointLoader._get_checkpoint_loader('https://a.b/c.pth')
    assert loader is load_from_http and loader.__name__[10:] == 'http'


def test_a_file_in_the_cache_is_read_without_the_network_and_runs_nothing(tmp_path):
    evil, address = 'https://a.b/c.pth', 'https://a.b/d.pth?x=1'
    torch.save({'state_dict': Evil()}, cached_path(evil, tmp_path))
    with pytest.raises(CheckpointError, match='holds more than weights'):
        load_from_http(evil, model_dir=str(tmp_path))
    torch.save({'a': torch.ones(2)}, cached_path(address, tmp_path))
    good = load_from_http(address, model_dir=str(tmp_path))
    assert torch.equal(good['a'], torch.ones(2))


def test_a_web_page_instead_of_a_checkpoint_is_named_and_not_kept(tmp_path):
    with serving({'/w.pth': b'<html>Log in</html>'}) as server:
        address = f'{server.address}/w.pth'
        with pytest.raises(CheckpointError, match=r'w\.pth. is a web page'):
            load_from_http(address, model_dir=str(tmp_path), progress=False)
        assert not cached_path(address, tmp_path).exists()


NODE = """
import os, sys, torch, mmkd_sod
from mmengine.runner.checkpoint import CheckpointLoader
torch.distributed.init_process_group('gloo')
checkpoint = CheckpointLoader.load_checkpoint(sys.argv[1], map_location='cpu')
sums = [None] * torch.distributed.get_world_size()
torch.distributed.all_gather_object(sums, float(checkpoint['a'].sum()))
assert sums == [28.0] * 4, sums
"""


@pytest.mark.slow
def test_two_nodes_with_caches_of_their_own_download_once_each(tmp_path):
    torch.save({'a': torch.arange(8.0)}, tmp_path / 'w.pth')
    (tmp_path / 'node.py').write_text(NODE)
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    with serving({'/w.pth': (tmp_path / 'w.pth').read_bytes()}, delay=0.1) as server:
        nodes = [
            subprocess.Popen(
                [
                    *(sys.executable, '-m', 'torch.distributed.run', '--nnodes=2'),
                    *(f'--node-rank={node}', '--nproc-per-node=2', '--master-addr=127.0.0.1'),
                    *(f'--master-port={port}', tmp_path / 'node.py', f'{server.address}/w.pth'),
                ],
                env=dict(
                    os.environ,
                    TORCH_HOME=str(tmp_path / f'node{node}'),
                    OMP_NUM_THREADS='1',
                    no_proxy='127.0.0.1',
                ),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for node in range(2)
        ]
        outputs = [node.communicate(timeout=180)[0] for node in nodes]
    assert [node.returncode for node in nodes] == [0, 0], outputs
    assert len(server.requests) == 2
    for node in range(2):
        folder = tmp_path / f'node{node}' / 'hub' / 'checkpoints'
        assert [path.name[:2] for path in folder.iterdir()] == ['w.']
