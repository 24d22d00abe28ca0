"""What the device package costs beside a bare loop around the same interpreter."""
