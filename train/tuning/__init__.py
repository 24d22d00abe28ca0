"""Tuning: many short trainings that look for better settings, by Optuna."""
