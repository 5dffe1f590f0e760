"""From run files to tables, figures and pages, with pandas and matplotlib; works without torch."""
