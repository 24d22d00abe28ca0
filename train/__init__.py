"""Images and labels in, a trained Keras CNN and honest figures out: a run folder."""
