"""Cache-first reads: lookup, load, fill; serialization of values; logging and Cache-Status of reads."""
