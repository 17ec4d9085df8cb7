"""Where bytes lie: one protocol (`storage`), one class per backend, one contract that each must pass (`contract`).

Imports nothing else of this project, and knows nothing of uploads, subjects or purposes.
"""
