"""The tables of asset families. ``KNOWN`` trains the network and the default bank; ``UNKNOWN`` is shown to neither.

``CLUTTER`` is abstract shapes: outliers for training that imitate no unknown type. ``SCENERY`` stands around.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from training.apron.families import (
    aircraft,
    buildings,
    clutter,
    loaders,
    small,
    towing,
    trucks,
    unknown_debris,
    unknown_equipment,
)
from training.apron.solids import Asset

Family = Callable[[np.random.Generator], Asset]


def _table(*families: Family) -> dict[str, Family]:
    return {family.__name__: family for family in families}


KNOWN = _table(
    towing.baggage_tractor,
    towing.pushback_tug,
    towing.dolly_train,
    towing.ground_power_unit,
    loaders.belt_loader,
    loaders.cargo_loader,
    loaders.passenger_stairs,
    loaders.catering_truck,
    trucks.fuel_bowser,
    trucks.lavatory_truck,
    trucks.de_icer,
    trucks.bus,
    trucks.service_van,
    aircraft.aircraft_small,
    aircraft.aircraft_medium,
    aircraft.aircraft_large,
    small.person,
    small.cone,
    small.chocks,
    small.jet_bridge,
)

UNKNOWN = _table(
    unknown_equipment.baggage_robot,
    unknown_equipment.scissor_lift,
    unknown_equipment.loose_container,
    unknown_equipment.portable_generator,
    unknown_equipment.hand_cart,
    unknown_equipment.inspection_robot,
    unknown_equipment.forklift,
    unknown_equipment.cable_reel,
    unknown_equipment.mobile_crane_hoist,
    unknown_debris.fallen_suitcase,
    unknown_debris.animal,
    unknown_debris.drone,
    unknown_debris.ladder,
    unknown_debris.tow_bar,
    unknown_debris.pallet_stack,
    unknown_debris.oil_drum,
    unknown_debris.fallen_barrier,
    unknown_debris.tarpaulin,
    unknown_debris.bicycle,
)

CLUTTER = _table(clutter.clutter)

SCENERY = _table(
    buildings.terminal,
    buildings.hangar,
    buildings.control_tower,
    buildings.light_mast,
    buildings.blast_fence,
    buildings.tree_row,
    buildings.parked_cars,
)

PROTECTED = frozenset({"person"})
AIRCRAFT = ("aircraft_small", "aircraft_medium", "aircraft_large")
