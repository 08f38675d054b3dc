"""Objects over time: constant velocity on the ground plane, in metres and seconds."""
