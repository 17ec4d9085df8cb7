"""Our own walkers over the structure of pictures, before any C decoder sees them.

Linear in the size of the file: `struct` jumps and compiled expressions, no loop over bytes, no recursion on depth that
the file chooses. They find size, frames and carriers of metadata, and refuse what is over a limit or ends too early.
"""
