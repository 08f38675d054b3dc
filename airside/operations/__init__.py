"""What keeps airside running on a vehicle: metrics, the watchdog, settings that change while it runs."""
