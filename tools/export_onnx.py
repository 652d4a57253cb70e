"""Export a saliency network to ONNX: input RGB in [0, 255], output map in [0, 1]."""

import argparse
import os.path as osp

import mmkd_sod  # noqa: F401  (applies the compatibility patches first)
from mmkd_sod.cli.common import run_tool
from mmkd_sod.deployment.onnx_export import export_onnx
from mmkd_sod.models.saliency_inferencer import SaliencyInferencer


def parse_args():
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config of a segmentor or of a distillation')
    parser.add_argument('checkpoint', help='its checkpoint')
    parser.add_argument('out', help='the .onnx file to write; must not exist')
    parser.add_argument('--side', type=int, default=352, help="side of the network's input")
    parser.add_argument('--batch', type=int, help='fixed batch size; default: dynamic')
    return parser.parse_args()


def main() -> None:
    """Export and compare with torch."""
    args = parse_args()
    inferencer = SaliencyInferencer(args.config, args.checkpoint, 'cpu', args.side)
    difference = export_onnx(inferencer, args.out, args.batch)
    compared = (
        'not compared with torch: onnxruntime is not installed'
        if difference is None
        else f'differs from torch by {difference:.1e}'
    )
    print(f'{args.out}: {osp.getsize(args.out) / 2**20:.2f} MiB, {compared}')


if __name__ == '__main__':
    run_tool(main)
