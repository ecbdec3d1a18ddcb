"""The stable codes of what can go wrong: errors, link reasons, causes and drops.

Programs, logs and tests compare codes; the text beside a code is for people and may improve at any time.  A code is
never given another meaning and never used again for something else.  ``docs/codes.md`` is generated from this package
(``python -m vnetcard.codes.table``).
"""
