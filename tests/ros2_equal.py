"""Whether two ROS 2 messages say the same."""

from __future__ import annotations

import numpy as np


def assert_equal(left: object, right: object) -> None:
    """Two messages, field by field; float32 fields have lost what they cannot hold."""
    assert type(left) is type(right)
    for name in left.__dataclass_fields__:  # type: ignore[attr-defined]
        a, b = getattr(left, name), getattr(right, name)
        if hasattr(a, "__dataclass_fields__"):
            assert_equal(a, b)
        elif isinstance(a, list):
            assert len(a) == len(b)
            for one, other in zip(a, b, strict=True):
                assert_equal(one, other)
        elif isinstance(a, np.ndarray):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)
        elif isinstance(a, float):
            assert a == b or a == float(np.float32(b)), name
        else:
            assert a == b, name
