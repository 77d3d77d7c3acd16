"""Planted leaks of every kind, and healthy engines that turn memory over: what the naming of leaks is measured on.

`known` and `healthy_known` were there while the method was worked out. `unseen` and `healthy_unseen` were written when
it was fixed; what they showed was mended, and `later` written; what that showed was mended too, and `last` written.
docs/attribution.md has the score of each at first sight, before anything was mended for it. `python -m tests.leaks`
takes a look at each and says where the true line came out.

A line that allocates what leaks bears the comment `leak: NAME`, in Python, C or Rust; NAME is that of the case. Some
have two: what is kept, and what keeps it alive. The container that keeps it, where there is one, bears `keeps: NAME`.
"""
