"""Draws the demo's media files by code: pictures, stickers, videos, voice messages and documents."""
