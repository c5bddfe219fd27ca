"""Reading ahead, records, blocks, and arrays larger than memory."""
