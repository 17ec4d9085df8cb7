"""Our own walkers over the containers of video, before any tool sees a clip: headers only, never the samples.

Linear in the number of boxes or elements, both bounded; memory does not grow with the file. What carries metadata is
told at once and dropped, so that a thousand carriers need no more than one.
"""
