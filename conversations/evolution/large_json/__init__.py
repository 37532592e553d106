"""Decodes and encodes large JSON incrementally, so that a body needs little memory, and no step delays other threads.

Decoded JSON needs many times the memory of its bytes: one emoji makes Python store a text with four bytes for each
character. So a body is decoded value by value from a window of text (`decoder`, `window`), and the bytes before the
window are freed. The items of the large array `data` are checked, but stay JSON in UTF-8 (`values`) until each of them
is changed and encoded (`encoder`). All other values are decoded, so their memory is estimated and limited (`memory`).
"""
