"""Checks -> the verdict of the run: classes, sites, waivers, sentences."""
