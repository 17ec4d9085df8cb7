"""Says good, bad or unsure of an upload, with reasons. Touches no ledger and no network."""
