"""Fitting the device's checks of photographs: what is refused before a probability is believed."""
