"""HDR gain maps: found beside a picture, decoded as pixels, and written anew with numbers of our own.

A gain map says, pixel by pixel, how much brighter a picture may be where a display can show it. Runs in the jail only.
"""
