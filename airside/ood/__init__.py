"""Knowing and not knowing: similarity arrays -> calibrated score map -> regions, and the threshold of a site.

The way through: ``scoring`` (with ``calibration``) gives an ``OodMap``, ``refine`` its pixel map, ``regions`` (with
``evidence`` and ``outline``) the objects, ``conformal`` the threshold at which a region alarms. NumPy and OpenCV only.
"""
