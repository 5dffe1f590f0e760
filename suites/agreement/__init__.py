"""Cross-framework comparison: the same cases, semantics and networks on several backends (`mcnbench agree`)."""
