"""Charts, picture grids, tables and the page: plain data in, documents out. Nothing here knows of runs."""
