"""What is done with an upload, from its first byte to its last. No queue in here: `tasks` says when.

cli         the command line, on top of everything
api         the HTTP edge
wiring      builds the house from settings
places      where copies lie, built from settings
home        the keys made on first use, the folder of receipts
settings    the only reader of the environment
logs        what may be logged, by an allow-list
flows       where the rooms meet: one file, one story
shelf       the only door to bytes: ledger row first
moderation  good, bad or unsure, with reasons
ledger      the truth: rows, states, events, jobs
retention   keep or erase, and why
privacy     requests of persons, receipts
media       formats, limits, renditions; decoding in a jail
streams     bytes in pieces
model       the words everybody uses
errors      the one tree of errors
"""
