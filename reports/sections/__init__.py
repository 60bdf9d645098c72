"""Sections: one function for each section of a report, from the findings on a run to the parts of a page."""
