"""The truth: uploads, copies, events, jobs, holds, requests and proofs, as rows of SQLite or PostgreSQL.

Every function takes a transaction (`database.Tx`) and the instant that came with it. Nothing here touches bytes, and no
column holds a raw subject, a file name or a place (P7).
"""
