"""A rig file: made from a calibration, or looked at.

  airside rig nuscenes calibration.json --out rig.yaml
  airside rig camera-info front=front.yaml rear=rear.yaml --mount mounts.yaml --out rig.yaml
  airside rig show rig.yaml --out rig.png

A CameraInfo says nothing of where its camera is mounted. --mount is a file of mounts (a rig without lenses: a list
"mounts" of name, ego_from_cam, and if wanted max_range_m, source, rate_hz), or what ros2 topic echo /tf_static prints.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from airside.commands.artifacts import add_model_option, model_path
from airside.commands.table import table
from airside.config import RigConfig, load_rig
from airside.config.camera_info import read_camera_info
from airside.config.mounts import DEFAULT_RANGE_M, Mounts
from airside.config.nuscenes import HEIGHT, WIDTH, rig_from_nuscenes
from airside.config.rig_file import save_rig
from airside.errors import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    def action(name: str, text: str) -> argparse.ArgumentParser:
        return actions.add_parser(name, help=text, description=text, allow_abbrev=False)

    text = "a rig from nuScenes' calibration of a keyframe"
    nuscenes = action("nuscenes", text)
    nuscenes.add_argument("file", type=Path, metavar="FILE", help="JSON with cameras: cam2img and cam2ego of each")
    nuscenes.add_argument("--size", metavar="WxH", default=f"{WIDTH}x{HEIGHT}",
                          help=f"of the pictures (default: {WIDTH}x{HEIGHT}, nuScenes' own)")  # fmt: skip
    nuscenes.add_argument("--max-range-m", type=float, metavar="M", default=DEFAULT_RANGE_M,
                          help=f"how far ranges are told (default: {DEFAULT_RANGE_M:g})")  # fmt: skip
    nuscenes.set_defaults(do=_nuscenes)

    info = action("camera-info", "a rig from sensor_msgs/CameraInfo, one YAML a camera")
    info.add_argument("files", nargs="+", metavar="[NAME=]FILE",
                      help="as ros2 topic echo or camera_calibration write it; NAME: the camera's")  # fmt: skip
    info.add_argument("--mount", type=Path, metavar="FILE", required=True,
                      help="where the cameras are: a file of mounts, or ros2 topic echo /tf_static")  # fmt: skip
    info.add_argument("--base", metavar="FRAME", default="base_link",
                      help="the vehicle's frame, its origin on the ground (default: base_link)")  # fmt: skip
    info.set_defaults(do=_camera_info)
    for sub in (nuscenes, info):
        sub.add_argument("--out", type=Path, metavar="FILE.yaml", required=True, help="the rig file to write")

    show = action("show", "what a rig sees; --out draws it from above")
    show.add_argument("file", type=Path, metavar="FILE", help="the rig file")
    show.add_argument("--out", type=Path, metavar="FILE.png", help="write a picture of the coverage")
    add_model_option(show)
    show.set_defaults(do=_show)


def run(args: argparse.Namespace) -> int:
    return int(args.do(args))


def _nuscenes(args: argparse.Namespace) -> int:
    found = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", args.size)
    if found is None:
        raise UsageError(f"--size {args.size}: wanted WIDTHxHEIGHT in px, such as {WIDTH}x{HEIGHT}")
    width, height = int(found[1]), int(found[2])
    return _saved(rig_from_nuscenes(args.file, width=width, height=height, max_range_m=args.max_range_m), args.out)


def _camera_info(args: argparse.Namespace) -> int:
    mounts = Mounts(args.mount, args.base)
    cameras = []
    for word in args.files:
        name, given, path = word.rpartition("=")
        if given and not name:
            raise UsageError(f"{word}: wanted NAME=FILE")
        info = read_camera_info(Path(path))
        name = name or info.camera_name or Path(path).stem
        mount = mounts.of(name, info.frame_id)
        try:
            cameras.append(info.lens.camera(name, mount.ego_from_cam, mount.max_range_m, mount.source, mount.rate_hz))
        except UsageError as error:
            raise UsageError(f"camera info {path}: {error}") from None
    return _saved(RigConfig(tuple(cameras)), args.out)


def _saved(rig: RigConfig, path: Path) -> int:
    save_rig(rig, path)
    print(f"{path}: {len(rig.cameras)} cameras, {', '.join(camera.name for camera in rig.cameras)}")
    print(f"look at it: airside rig show {path} --out {path.with_suffix('.png')}")
    return 0


def _show(args: argparse.Namespace) -> int:
    from airside.commands.rig_checks import coverage_checks, network_size, write_picture
    from airside.coverage import coverage_of

    coverage = coverage_of(load_rig(args.file), network_size(model_path(args.model)))
    rows = [
        (
            view.name, f"{view.heading_deg:+.0f}", f"{view.fov_deg[0]:.0f} x {view.fov_deg[1]:.0f}",
            f"{view.deg_per_patch:.1f}", f"{view.patches_at_27_m:.1f}", f"{view.ground_from_m:.1f}"
            if view.ground_from_m is not None else "none", f"{view.max_range_m:g}", view.lens,
        )
        for view in coverage.views
    ]  # fmt: skip
    head = ("camera", "looks", "field", "a patch", "2 m at 27 m", "ground from", "ranges to", "lens")
    print(table(head, rows, right="lrrrrrrl"))
    print("looks (positive left), field, a patch (in the middle): degrees; 2 m at 27 m: patches; the rest: metres\n")
    print(table(("", "check", "found"), list(coverage_checks(coverage))))
    if args.out is not None:
        write_picture(coverage, args.file.stem, args.out)
        print(f"\nwrote {args.out}")
    return 0
