"""The figures of all drives as plain values, and as a table for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from eval.aims import Aim, aim_line
from eval.metrics.drive import (
    DriveResult,
    approach_of,
    false_alert_rates,
    first_alert_table,
    identity_switches,
    position_errors,
    recall,
    tick_times,
    times_to_first_alert,
    told_as,
)

AIM_IN_TIME, AIM_POSITION, AIM_LATERAL_M, AIM_FALSE, AIM_TICKS = 0.95, 0.10, 0.5, 1.0, 0.99
AIM_AGE_MS, AIM_GROWTH = 400.0, 0.02
_MAIN_GROUP = "day >=1.5m"


def report_of(
    results: Sequence[DriveResult], protocol: dict[str, Any], tick_ms: float, extra: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Everything that the drives tell. False alerts are those of the clean drives; of the others beside them.

    ``extra`` holds what was measured besides: ``live`` (see :mod:`eval.drive.live`) and ``soak``.
    """
    extra = dict(extra or {})
    live = extra.pop("live", {})
    clean = [result for result in results if result.kind == "clean"]
    others = [result for result in results if result.kind != "clean"]
    approaches = [a for r in results if r.kind == "approach" and (a := approach_of(r)) is not None]
    recalls = recall(others)
    report: dict[str, Any] = {
        "ticks": {"within_200ms": None, "age_p99_ms": None, **live, "offline": tick_times(results, tick_ms)},
        "first_alert_m": {
            **first_alert_table(approaches),
            "drives": {
                a.drive: {
                    "family": a.family,
                    "largest_m": round(a.largest_m, 2),
                    "height_m": round(a.height_m, 2),
                    "first_alert_m": a.first_alert_m,
                    "confirmed_m": a.confirmed_m,
                    "level2_m": a.level2_m,
                    "patches_at_27_m": round(a.patches, 2),
                }
                for a in approaches
            },
        },
        "position": position_errors(others),
        "time_to_first_alert": times_to_first_alert(others),
        "false_per_hour": false_alert_rates(clean),
        "false_per_hour_other_drives": false_alert_rates(others),
        "recall_by_range": recalls["by_range"],
        "recall_by_patches": recalls["by_patches"],
        "recall_of_pictures_by_patches": recalls["pictures_by_patches"],
        "told_as": told_as(others),
        "identity_switches": identity_switches(others),
        **extra,
        "protocol": {**protocol, "drives": _count(results)},
    }
    report["aims"] = [aim.as_json() for aim in aims(report)]
    return report


def aims(report: dict[str, Any]) -> list[Aim]:
    """What the issue asks for; a figure that was not measured reaches nothing."""
    main, position, false = report["first_alert_m"].get(_MAIN_GROUP), report["position"], report["false_per_hour"]
    share = main["share"] if main is not None else None
    wrong = false["episodes"]["level3_or_4"] if false["hours"] else None
    ticks = report["ticks"]
    found = [
        Aim("level 2 before 27 m, objects of 1.5 m and more by day", AIM_IN_TIME, share, at_least=True),
        Aim("position within 20 m, median error as a share of the range", AIM_POSITION, position["median_relative"]),
        Aim("position within 20 m, median error sideways, m", AIM_LATERAL_M, position["lateral_m"]),
        Aim(f"false level 3 or 4 in {false['hours']:.2f} clean hours", AIM_FALSE, wrong),
    ]
    if ticks["within_200ms"] is not None:
        found += [
            Aim("live ticks within 200 ms", AIM_TICKS, ticks["within_200ms"], at_least=True),
            Aim("age of the newest frame when published, p99, ms", AIM_AGE_MS, ticks["age_p99_ms"]),
        ]
    if "soak" in report:
        found.append(Aim("soak: memory growth", AIM_GROWTH, report["soak"]["memory_growth"]))
    return found


def _count(results: Sequence[DriveResult]) -> dict[str, int]:
    kinds = sorted({result.kind for result in results})
    return {kind: sum(result.kind == kind for result in results) for kind in kinds}


def print_table(report: dict[str, Any]) -> None:
    counts = ", ".join(f"{count} {kind}" for kind, count in report["protocol"]["drives"].items())
    print(f"\n{counts} drives; ranges are true ones, to the nearest point")
    head = "first level-2 alert of what stands on the path at 25 km/h     in time (95 %)      median   worst   never"
    print(f"\n{head}   of a patch by then")
    for name, row in report["first_alert_m"].items():
        if name != "drives":
            share = f"{row['before_27_m']}/{row['approaches']}  {row['low']:.2f}-{row['high']:.2f}"
            told = f"{row['median_m']:8.1f} m {row['worst_m']:5.1f} m {row['never']:6}"
            told += f"   {row['shown_before_27_m']}/{row['shown']}"
            print(f"  {name:56} {share:>18} {told}")
    position = report["position"]
    along, across = _of(position["median_relative"], ".1%"), _of(position["lateral_m"], ".2f")
    print(f"\nposition within 20 m, {position['ticks']} ticks: median error {along} of the range, {across} m sideways")
    waited = report["time_to_first_alert"]
    print(f"first alert {_of(waited['median_s'], '.1f')} s after 4 patches are seen (median; 90 %: "
          f"{_of(waited['p90_s'], '.1f')} s); never: {waited['never']} of {waited['things']}")  # fmt: skip
    switches = report["identity_switches"]
    print(f"identity switches: {switches['switches']} over {switches['tracked_things']} tracked things")
    for title, key in (("clean drives", "false_per_hour"), ("other drives", "false_per_hour_other_drives")):
        _print_false(title, report[key])
    for title, key in (
        ("recall by range, m", "recall_by_range"),
        ("recall by patches", "recall_by_patches"),
        ("the same of single pictures", "recall_of_pictures_by_patches"),
    ):
        cells = [f"{name}: {_of(row['recall'], '.2f')} of {row['shown']}" for name, row in report[key].items()]
        print(f"{title:28} " + "   ".join(cells))
    print("what single pictures with 10 patches of it and more call it")
    for family, row in report["told_as"].items():
        names = ", ".join(f"{name} {count}" for name, count in list(row["called"].items())[:5])
        print(f"  {family:24} {row['recall']:.2f} of {row['pictures']:4}   {names}")
    ticks, offline = report["ticks"], report["ticks"]["offline"]
    print(f"ticks off-line: {_of(offline['p50_ms'], '.0f')} ms, 99 %: {_of(offline['p99_ms'], '.0f')} ms")
    if ticks["within_200ms"] is not None:
        print(f"ticks live: {ticks['within_200ms']:.2%} within 200 ms, frames {ticks['age_p50_ms']:.0f} ms old when "
              f"published, 99 %: {ticks['age_p99_ms']:.0f} ms")  # fmt: skip
    if "soak" in report:
        soak = report["soak"]
        (threads, threads_after), (files, files_after) = soak["threads"], soak["files"]
        print(f"soak of {soak['ticks']} ticks: memory {soak['memory_growth']:+.2%} ({soak['memory_mb'][1]:.0f} MB), "
              f"threads {threads} to {threads_after}, files {files} to {files_after}")  # fmt: skip
    print()
    for aim in report["aims"]:
        print(aim_line(aim))


def _print_false(title: str, rates: dict[str, Any]) -> None:
    print(f"\nfalse alerts an hour, {title}, {rates['hours']:.2f} h")
    for name, count in rates["episodes"].items():
        if rates["hours"]:
            low, high = rates["interval"][name]
            print(f"  {name:12} {count:5}   {rates[name]:8.1f} an hour ({low:.1f} to {high:.1f})")
    if rates["causes"]:
        print("  they lie on: " + ", ".join(f"{name} {count}" for name, count in rates["causes"].items()))


def _of(value: float | None, style: str) -> str:
    return "-" if value is None else format(value, style)
