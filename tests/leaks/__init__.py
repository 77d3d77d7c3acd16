"""Planted leaks of every kind, and healthy engines that turn memory over: what the naming of leaks is measured on.

`known` and `healthy_known` were there while the method was worked out; `unseen` and `healthy_unseen` were written when
it was fixed, and were not used to change it. `python -m tests.leaks` takes a look at each and says where the true line
came out.

A line that allocates what leaks bears the comment `leak: NAME`, in Python, C or Rust; NAME is that of the case. Some
have two: what is kept, and what keeps it alive.
"""
