"""The media room: bytes in, bytes out. Parsers of user bytes run only inside `jail`; no I/O elsewhere.

formats, limits, codes, renditions   the tables: what is taken, how much of it, why not, what is made
studio      which workshop takes a file, and the proof of what it made
image       the workshop of pictures      walk   reads their structure before any decoder does
video       the workshop of clips
proof       the second reader             proving   the parent side of it
rendered    what comes out
jail        one locked child a file
"""
